/** `whodns config`: every setting, its value and where it came from. Secrets are never shown. */
import { forTerminal } from '../lib/escape.ts';
import { OPTIONS, type Option, type RepeatableOption } from '../tables/options.ts';
import type { Config, Key, Origins } from './config.ts';
import { isSecretName, MASK, withoutCredentials } from './secrets.ts';

export interface Setting {
  /** Flag, else the first variable. */
  readonly name: string;
  /** undefined: not set, and there is no default. */
  readonly value: unknown;
  readonly from: string;
}

/** A table is for a terminal. */
const MOST_CHARACTERS = 100;

/** One JSON object, or a table, as `--format` says; with the line break. */
export function describeConfig(config: Config, origins: Origins): string {
  const settings = settingsOf(config, origins);
  if (config.format === 'json') return `${JSON.stringify({ settings }, null, 2)}\n`;
  const rows = settings.map(({ name, value, from }) => [name, shortened(cell(value)), from].map(forTerminal));
  rows.unshift(['SETTING', 'VALUE', 'FROM']);
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const [first, second] = [width(0), width(1)];
  return rows
    .map(([name = '', value = '', from = '']) => `${name.padEnd(first)}  ${value.padEnd(second)}  ${from}\n`)
    .join('');
}

export function settingsOf(config: Config, origins: Origins): Setting[] {
  const values: Readonly<Record<string, unknown>> = {
    ...config,
    exporters: undefined,
    logsExporters: config.logs,
    metricsExporters: config.metrics,
  };
  return (Object.entries(OPTIONS) as [Key, Option | RepeatableOption][])
    .filter(([key]) => key !== 'exporters')
    .map(([key, option]) => ({
      name: nameOf(option) ?? key,
      value: shown(values[key], option),
      from:
        (key === 'logsExporters' || key === 'metricsExporters') && origins.exporters !== 'default'
          ? origins.exporters
          : origins[key],
    }));
}

/** The flag, but not one that says the opposite of the value. */
function nameOf({ flag, env }: Option | RepeatableOption): string | undefined {
  return flag === undefined || flag.startsWith('--no-') ? env?.[0] : flag.split(' ')[0];
}

/** As JSON can hold it; a credential anywhere in it is masked. */
function shown(value: unknown, option: Option | RepeatableOption): unknown {
  if (value === undefined) return undefined;
  if (option.secret === true) return maskedValues(value);
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, each]) => [key, isSecretName(key) ? MASK : each]));
  if (Array.isArray(value)) return value.map(elementName);
  return typeof value === 'string' ? withoutCredentials(value) : value;
}

/** Names stay, they tell which header is set. */
function maskedValues(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value.keys()].map((key) => [key, MASK]));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.keys(value).map((key) => [key, MASK]));
  return MASK;
}

function elementName(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { kind, path, text } = value as { kind?: unknown; path?: unknown; text?: unknown };
  if (text !== undefined) return text; // a label selector
  return path === undefined ? kind : `${String(kind)}:${String(path)}`;
}

function cell(value: unknown): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.join(',');
  if (typeof value === 'object' && value !== null)
    return Object.entries(value)
      .map(([key, each]) => `${key}=${String(each)}`)
      .join(',');
  return String(value);
}

function shortened(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}
