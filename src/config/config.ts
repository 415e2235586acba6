/**
 * Flags and environment or configuration file -> one frozen, validated Config. All problems are reported at once: a bad
 * flag or a bad value in the file is an error, a bad environment variable is a warning and counts as unset (OpenTelemetry
 * specification, environment variables).
 */
import { EXIT, UserError } from '../lib/errors.ts';
import { forTerminal } from '../lib/escape.ts';
import { nearest } from '../lib/nearest.ts';
import type { Parsed } from '../lib/values.ts';
import {
  type Command,
  type ExporterSpec,
  flagName,
  OPTIONS,
  type Option,
  type RepeatableOption,
} from '../tables/options.ts';
import { type DnsCacheLimits, dnsCacheLimits } from '../tables/options-dnscache.ts';
import { MASK, withoutCredentials } from './secrets.ts';

export type Key = keyof typeof OPTIONS;
type ValueOf<O> = O extends RepeatableOption<infer T> ? readonly T[] : O extends Option<infer T> ? T : never;
type Settings = { readonly [K in Key]: ValueOf<(typeof OPTIONS)[K]> };

/** Every setting of tables/options.ts under its key, but where records and metrics go is decided. */
export interface Config
  extends Omit<Settings, 'exporters' | 'logsExporters' | 'metricsExporters' | 'dnsCache'> {
  readonly command: Command;
  /** Where records go. */
  readonly logs: readonly ExporterSpec[];
  /** Where metrics go: otlp and otlp-file only. */
  readonly metrics: readonly ExporterSpec[];
  /** undefined: there is none. */
  readonly dnsCache: DnsCacheLimits | undefined;
}

/** Where a value came from: a flag, a variable, `FILE: key` of the configuration file, or `default`. */
export type Origins = Readonly<Record<Key, string>>;

export interface Resolved {
  readonly config: Config;
  readonly origins: Origins;
  /** One line each, for stderr; already safe for a terminal. */
  readonly warnings: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;
/** What the argument parser found: key -> text, texts of a repeatable flag, or true/false of a flag without value. */
export type Flags = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

/** A configuration file as the variables that mean the same (file-settings.ts). */
export interface FileSettings {
  readonly path: string;
  readonly variables: ReadonlyMap<string, { readonly text: string; readonly key: string }>;
}

const MAX_PORTS = 4;
const OWN_PREFIX = 'WHODNS_';
const OWN_VARIABLES = new Set(
  (Object.values(OPTIONS) as Option[])
    .flatMap(({ env = [] }) => env)
    .filter((name) => name.startsWith(OWN_PREFIX)),
);
/** Of the program that runs the tests, not of this one. */
const TEST_VARIABLES = /^WHODNS_(?:TEST_|KERNELS$|FAULTS$)/;

/**
 * With a file no variable of `env` counts (specification, configuration/sdk-environment-variables.md): what the file
 * names by ${} is in it already.
 * @throws UserError (exit code 2) naming every bad flag and every bad value of the file.
 */
export function resolveConfig(
  command: Command,
  flags: Flags,
  env: Environment,
  file?: FileSettings,
): Resolved {
  const reader = new Reader(flags, env, file);
  if (file === undefined) reader.warnings.push(...unknownVariables(env));
  const settings: Record<string, unknown> = {};
  for (const key of Object.keys(OPTIONS) as Key[]) settings[key] = reader.read(key);
  if (file !== undefined && settings['configFile'] === undefined) {
    settings['configFile'] = file.path;
    reader.origins['configFile'] = 'OTEL_CONFIG_FILE';
  }
  const { exporters, logsExporters, metricsExporters, ...rest } = settings as unknown as Settings;

  if (rest.healthMetrics && rest.health === undefined)
    reader.warnings.push('--health-metrics does nothing without --health');
  if (rest.emit === 'request' && rest.dnsCache !== undefined)
    reader.warnings.push('--dnscache learns nothing with --emit request: there are no answers');
  const ports = [...new Set(rest.ports)];
  if (ports.length > MAX_PORTS)
    reader.problems.push(`${reader.origins['ports']}: ${ports.length} ports, at most ${MAX_PORTS} ports`);
  if (rest.connections && rest.emit === 'request')
    reader.problems.push(
      `${reader.origins['connections']}: needs the answers, which ${reader.origins['emit']} request does not wait for`,
    );
  if (rest.traceContext && !rest.processContext)
    reader.warnings.push(
      '--trace-context has no effect: --no-process-context keeps the agent from looking for it',
    );
  const endpoint = rest.otlpEndpoint ?? rest.logsEndpoint ?? rest.metricsEndpoint;
  const fallback: ExporterSpec[] = [{ kind: endpoint === undefined ? 'console' : 'otlp' }];
  const keep = (spec: ExporterSpec) =>
    spec.kind !== 'none' && !(rest.sdkDisabled && (spec.kind === 'otlp' || spec.kind === 'sdk'));
  const config: Config = {
    ...rest,
    command,
    // --exporter wins; then OTEL_*_EXPORTER; then otlp where an endpoint is configured, else console.
    logs: (exporters ?? logsExporters ?? fallback).filter(keep),
    metrics: metricsOf((exporters ?? metricsExporters ?? fallback).filter(keep)),
    ports,
    dnsCache: dnsCacheLimits(rest.dnsCache),
    traces: rest.traces && !rest.sdkDisabled && rest.tracesExporter !== 'none',
    traceContext: rest.traceContext && rest.processContext,
    batchSize: Math.min(rest.batchSize, rest.batchQueueSize ?? rest.batchSize),
    spanBatchSize: Math.min(rest.spanBatchSize, rest.spanQueueSize),
    metricTimeoutMs: Math.min(rest.metricTimeoutMs, rest.metricIntervalMs),
  };
  if (reader.problems.length > 0) throw new UserError(reader.problems.join('\n'), { exitCode: EXIT.usage });
  return { config: Object.freeze(config), origins: reader.origins as Origins, warnings: reader.warnings };
}

/** The SDK's own metrics are what `otlp` gives. */
function metricsOf(specs: readonly ExporterSpec[]): ExporterSpec[] {
  const metrics = specs.filter(({ kind }) => kind !== 'console' && kind !== 'sdk');
  const isSdk = specs.some(({ kind }) => kind === 'sdk') && metrics.every(({ kind }) => kind !== 'otlp');
  return isSdk ? [{ kind: 'otlp' }, ...metrics] : metrics;
}

/** Variables of ours that no setting reads: a mistyped one would be silently without effect. */
function unknownVariables(env: Environment): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith(OWN_PREFIX) && !OWN_VARIABLES.has(name) && !TEST_VARIABLES.test(name))
    .map((name) => {
      const meant = nearest(
        name.slice(OWN_PREFIX.length),
        [...OWN_VARIABLES].map((each) => each.slice(OWN_PREFIX.length)),
      );
      const hint = meant === undefined ? '' : `; did you mean ${OWN_PREFIX}${meant}?`;
      return `${forTerminal(name)} is no variable of whodns${hint}`;
    });
}

/** One setting after the other, each from the first place that has it. */
class Reader {
  readonly problems: string[] = [];
  readonly warnings: string[] = [];
  readonly origins: Record<string, string> = {};
  readonly #flags: Flags;
  readonly #env: Environment;
  readonly #file: FileSettings | undefined;

  constructor(flags: Flags, env: Environment, file: FileSettings | undefined) {
    this.#flags = flags;
    this.#env = env;
    this.#file = file;
  }

  /** The flag's value, else the first variable's that is set and good, else the default. */
  read(key: Key): unknown {
    const option: Option | RepeatableOption = OPTIONS[key];
    const given = this.#flags[key];
    if (given !== undefined) return this.#flag(key, option, given);
    for (const name of option.env ?? []) {
      const found = this.variable(name);
      if (found === undefined) continue;
      const parsed = 'repeatable' in option ? parseEach(option, found.text) : option.parse(found.text);
      if ('value' in parsed) {
        this.origins[key] = found.origin;
        return parsed.value;
      }
      this.#bad(
        name,
        option.secret === true ? MASK : forTerminal(withoutCredentials(found.text)),
        found.origin,
        parsed.problem,
      );
    }
    this.origins[key] = 'default';
    return option.default;
  }

  /** A variable, or what the file says instead; undefined: not set, or empty, which is the same (specification). */
  variable(name: string): { readonly text: string; readonly origin: string } | undefined {
    if (this.#file !== undefined) {
      const found = this.#file.variables.get(name);
      return found === undefined
        ? undefined
        : { text: found.text, origin: `${this.#file.path}: ${found.key}` };
    }
    const text = this.#env[name]?.trim();
    return text === undefined || text === '' ? undefined : { text, origin: name };
  }

  #flag(key: Key, option: Option | RepeatableOption, given: string | readonly string[] | boolean): unknown {
    const name = flagName(option) ?? '';
    this.origins[key] = name;
    // `--flag [value]` without its value is what the empty text is.
    const isBare = given === true && option.flag?.includes('[') === true;
    if (typeof given === 'boolean' && !isBare) return given;
    const values: unknown[] = [];
    for (const text of isBare ? [''] : typeof given === 'string' ? [given] : (given as readonly string[])) {
      const parsed = option.parse(text);
      if ('problem' in parsed) this.problems.push(`${name} "${forTerminal(text)}" ${parsed.problem}`);
      else values.push(parsed.value);
    }
    return 'repeatable' in option ? values : values[0];
  }

  /** Several settings read the generic variables: each is told of once. */
  #bad(name: string, shown: string, origin: string, problem: string): void {
    const line =
      this.#file === undefined
        ? `${name}="${shown}" ${problem}: ignored`
        : `${forTerminal(origin)} "${shown}" ${problem}`;
    const lines = this.#file === undefined ? this.warnings : this.problems;
    if (!lines.includes(line)) lines.push(line);
  }
}

function parseEach(option: RepeatableOption, text: string): Parsed<unknown> {
  const values: unknown[] = [];
  for (const part of text.split(',')) {
    const parsed = option.parse(part.trim());
    if ('problem' in parsed) return parsed;
    values.push(parsed.value);
  }
  return { value: values };
}
