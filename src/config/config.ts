/**
 * Flags and environment -> one frozen, validated Config. All problems are reported at once: a bad flag is an error,
 * a bad environment variable is a warning and the default holds (OpenTelemetry specification, environment variables).
 */
import { EXIT, UserError } from '../lib/errors.ts';
import { forTerminal } from '../lib/escape.ts';
import type { Parsed } from '../lib/values.ts';
import {
  type Command,
  type ExporterSpec,
  OPTIONS,
  type Option,
  type RepeatableOption,
} from '../tables/options.ts';

type ValueOf<O> = O extends RepeatableOption<infer T> ? readonly T[] : O extends Option<infer T> ? T : never;
type Key = keyof typeof OPTIONS;

export interface Config {
  readonly command: Command;
  /** Where records go; never empty. */
  readonly logs: readonly ExporterSpec[];
  /** Where metrics go: otlp and otlp-file only. */
  readonly metrics: readonly ExporterSpec[];
  readonly format: 'table' | 'json';
  readonly hook: 'auto' | 'fentry' | 'kprobe' | 'tracepoint';
  readonly ports: readonly number[];
  readonly emit: 'lookup' | 'request';
  readonly timeoutMs: number;
  readonly commandArgs: boolean;
  readonly durationMs: number | undefined;
  readonly maxPayload: number;
  readonly ringBytes: number;
  readonly maxInFlight: number;
  readonly nxdomainError: boolean;
  readonly stats: string | undefined;
  readonly logLevel: string;
  readonly logsProtocol: 'grpc' | 'http/protobuf';
  readonly metricsProtocol: 'grpc' | 'http/protobuf';
  readonly batchDelayMs: number;
  readonly batchTimeoutMs: number;
  readonly batchQueueSize: number;
  readonly batchSize: number;
  readonly metricIntervalMs: number;
  readonly metricTimeoutMs: number;
}

export interface Resolved {
  readonly config: Config;
  /** One line each, for stderr; already safe for a terminal. */
  readonly warnings: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;
/** What the argument parser found: key -> text, texts of a repeatable flag, or true/false of a flag without value. */
export type Flags = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

const ENDPOINTS = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_LOGS_ENDPOINT',
  'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
];
const MOST_PORTS = 4;

/** @throws UserError (exit code 2) naming every bad flag. */
export function resolveConfig(command: Command, flags: Flags, env: Environment): Resolved {
  const problems: string[] = [];
  const warnings: string[] = [];
  const read = <K extends Key>(key: K): ValueOf<(typeof OPTIONS)[K]> =>
    setting(key, flags, env, problems, warnings) as ValueOf<(typeof OPTIONS)[K]>;

  const ports = [...new Set(read('ports'))];
  if (ports.length > MOST_PORTS)
    problems.push(`--port was given ${ports.length} times: at most ${MOST_PORTS} ports`);
  const metricIntervalMs = read('metricIntervalMs');
  const batchQueueSize = read('batchQueueSize');
  const config: Config = {
    command,
    ...exporters(flags, env, read),
    format: read('format'),
    hook: read('hook'),
    ports,
    emit: read('emit'),
    timeoutMs: read('timeoutMs'),
    commandArgs: read('commandArgs'),
    durationMs: read('durationMs'),
    maxPayload: read('maxPayload'),
    ringBytes: read('ringBytes'),
    maxInFlight: read('maxInFlight'),
    nxdomainError: read('nxdomainError'),
    stats: read('stats'),
    logLevel: read('logLevel'),
    logsProtocol: read('logsProtocol'),
    metricsProtocol: read('metricsProtocol'),
    batchDelayMs: read('batchDelayMs'),
    batchTimeoutMs: read('batchTimeoutMs'),
    batchQueueSize,
    batchSize: Math.min(read('batchSize'), batchQueueSize),
    metricIntervalMs,
    metricTimeoutMs: Math.min(read('metricTimeoutMs'), metricIntervalMs),
  };
  if (problems.length > 0) throw new UserError(problems.join('\n'), { exitCode: EXIT.usage });
  return { config: Object.freeze(config), warnings };
}

/** The flag's value, else the first variable's that is set, else the default. */
function setting(key: Key, flags: Flags, env: Environment, problems: string[], warnings: string[]): unknown {
  const option: Option | RepeatableOption = OPTIONS[key];

  const given = flags[key];
  if (typeof given === 'boolean') return given;
  if (given !== undefined) {
    const values: unknown[] = [];
    for (const text of typeof given === 'string' ? [given] : given) {
      const parsed = option.parse(text);
      if ('problem' in parsed) problems.push(`${flagName(option)} "${forTerminal(text)}" ${parsed.problem}`);
      else values.push(parsed.value);
    }
    return 'repeatable' in option ? values : values[0];
  }
  for (const name of option.env ?? []) {
    const text = env[name];
    if (text === undefined || text === '') continue;
    const parsed = 'repeatable' in option ? parseEach(option, text) : option.parse(text);
    if ('value' in parsed) return parsed.value;
    warnings.push(`${name}="${forTerminal(text)}" ${parsed.problem}: the default is used`);
    break;
  }
  return option.fallback;
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

function flagName(option: Option | RepeatableOption): string {
  return option.flag?.split(' ')[0] ?? '';
}

/** --exporter wins; then OTEL_*_EXPORTER; then otlp where an endpoint is configured, else console. */
function exporters(
  flags: Flags,
  env: Environment,
  read: <K extends Key>(key: K) => ValueOf<(typeof OPTIONS)[K]>,
): Pick<Config, 'logs' | 'metrics'> {
  const isConfigured = (names: readonly string[]) => names.some((name) => (env[name] ?? '') !== '');
  const standard = (
    names: readonly ('otlp' | 'console' | 'none')[] | undefined,
  ): ExporterSpec[] | undefined => names?.map((kind) => ({ kind }));
  const fallback: ExporterSpec[] = [{ kind: isConfigured(ENDPOINTS) ? 'otlp' : 'console' }];

  const chosen = flags['exporters'] === undefined ? undefined : read('exporters');
  const logs = chosen ?? standard(read('logsExporters')) ?? fallback;
  const metrics = chosen ?? standard(read('metricsExporters')) ?? fallback;
  const disabled = read('sdkDisabled');
  const keep = (spec: ExporterSpec) => spec.kind !== 'none' && !(disabled && spec.kind === 'otlp');
  return {
    logs: logs.filter(keep),
    metrics: metrics.filter(keep).filter((spec) => spec.kind !== 'console'),
  };
}
