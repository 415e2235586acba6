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
  /** Of a number: how people write it. */
  readonly unit?: 'ms' | 'bytes';
}

/** A table is for a terminal. */
const MAX_CHARACTERS = 100;

/**
 * One JSON object with every setting, or a table, as `--format` says; with the line break.
 * @param all the table shows those too that have their default
 */
export function describeConfig(config: Config, origins: Origins, all: boolean): string {
  const settings = settingsOf(config, origins);
  if (config.format === 'json') return `${JSON.stringify({ settings }, null, 2)}\n`;
  const shownOnes = all ? settings : settings.filter(({ from }) => from !== 'default');
  if (shownOnes.length === 0) return 'every setting has its default; --all shows them\n';
  const rows = shownOnes.map(({ name, value, from, unit }) =>
    [name, shortened(cell(value, unit)), from].map(forTerminal),
  );
  rows.unshift(['SETTING', 'VALUE', 'FROM']);
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const [first, second] = [width(0), width(1)];
  return rows
    .map(([name = '', value = '', from = '']) => `${name.padEnd(first)}  ${value.padEnd(second)}  ${from}\n`)
    .join('');
}

/** What a search takes is of that search, not a setting. */
export function settingsOf(config: Config, origins: Origins): Setting[] {
  const values: Readonly<Record<string, unknown>> = {
    ...config,
    exporters: undefined,
    logsExporters: config.logs,
    metricsExporters: config.metrics,
  };
  return (Object.entries(OPTIONS) as [Key, Option | RepeatableOption][])
    .filter(([key, { commands }]) => key !== 'exporters' && commands.some((command) => command !== 'search'))
    .map(([key, option]) => ({
      name: nameOf(option) ?? key,
      value: shown(values[key], option),
      ...unitOf(key),
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

/** Exporters, container runtimes and label selectors, as their flags take them. */
function elementName(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { kind, api = kind, path, text } = value as Record<'kind' | 'api' | 'path' | 'text', unknown>;
  if (text !== undefined) return text; // a label selector
  return path === undefined ? api : `${String(api)}:${String(path)}`;
}

function unitOf(key: Key): Pick<Setting, 'unit'> {
  if (key.endsWith('Ms')) return { unit: 'ms' };
  return key.endsWith('Bytes') ? { unit: 'bytes' } : {};
}

const SCALES = {
  ms: [
    [3_600_000, 'h'],
    [60_000, 'm'],
    [1000, 's'],
    [1, 'ms'],
  ],
  bytes: [
    [1024 ** 3, 'G'],
    [1024 ** 2, 'M'],
    [1024, 'K'],
    [1, ''],
  ],
} as const;

/** In the largest unit that it is a whole number of. */
function withUnit(value: number, unit: keyof typeof SCALES): string {
  const [size, name] = SCALES[unit].find(([each]) => value >= each && value % each === 0) ?? [1, ''];
  return `${value / size}${name}`;
}

function cell(value: unknown, unit?: keyof typeof SCALES): string {
  if (value === undefined) return '';
  if (unit !== undefined && typeof value === 'number') return withUnit(value, unit);
  if (Array.isArray(value)) return value.join(',');
  if (typeof value === 'object' && value !== null)
    return Object.entries(value)
      .map(([key, each]) => `${key}=${String(each)}`)
      .join(',');
  return String(value);
}

function shortened(text: string): string {
  return text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS - 1)}…`;
}
