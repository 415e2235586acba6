/**
 * Every setting of the command as data: flag, environment variables, check, default. `config/` reads it;
 * `whodns --help` and docs/configuration.md are made from it.
 */
import { boolean, bytes, duration, integer, list, oneOf, type Parsed, type Parser } from '../lib/values.ts';

export type Command = 'run' | 'replay' | 'doctor';

export type ExporterSpec =
  | { readonly kind: 'console' }
  | { readonly kind: 'otlp' }
  | { readonly kind: 'otlp-file'; readonly path: string }
  | { readonly kind: 'none' };

/** `console`, `otlp`, `otlp-file:PATH` or `none`. */
function exporter(text: string): Parsed<ExporterSpec> {
  if (text === 'console' || text === 'otlp' || text === 'none') return { value: { kind: text } };
  const path = /^otlp-file:(.+)$/s.exec(text)?.[1];
  if (path !== undefined && !path.includes('\0')) return { value: { kind: 'otlp-file', path } };
  return { problem: 'is not one of console, otlp, otlp-file:PATH, none' };
}

const otlpProtocol = oneOf('grpc', 'http/protobuf');

export interface Option<T = unknown> {
  /** As commander takes it; undefined = environment only. */
  readonly flag?: string;
  readonly commands: readonly Command[];
  /** The first one that is set and not empty wins. A repeatable setting is a comma list there. */
  readonly env?: readonly string[];
  readonly brief: string;
  readonly parse: Parser<T>;
  readonly fallback: T | undefined;
  /** How help and docs show the default where the value does not speak for itself. */
  readonly shownDefault?: string;
}

/** The flag can be given several times; each value is checked by `parse`, the setting is the list of them. */
export interface RepeatableOption<T = unknown> extends Omit<Option<T>, 'fallback'> {
  readonly repeatable: true;
  readonly fallback: readonly T[] | undefined;
}

function option<T>(spec: Option<T>): Option<T> {
  return spec;
}

function repeatable<T>(spec: RepeatableOption<T>): RepeatableOption<T> {
  return spec;
}

const CAPTURE: readonly Command[] = ['run', 'replay'];
const MINUTE = 60_000;

export const OPTIONS = {
  exporters: repeatable<ExporterSpec>({
    flag: '--exporter <name>',
    repeatable: true,
    commands: CAPTURE,
    brief: 'where records and metrics go: console, otlp, otlp-file:PATH, none; repeatable',
    parse: exporter,
    fallback: undefined,
    shownDefault: 'otlp if an OTLP endpoint is configured, else console',
  }),
  format: option<'table' | 'json'>({
    flag: '--format <format>',
    commands: ['run', 'replay', 'doctor'],
    env: ['WHODNS_FORMAT'],
    brief: 'what the console shows: table, json',
    parse: oneOf('table', 'json'),
    fallback: 'table',
  }),
  hook: option<'auto' | 'fentry' | 'kprobe' | 'tracepoint'>({
    flag: '--hook <family>',
    commands: ['run'],
    env: ['WHODNS_HOOK'],
    brief: 'kernel hooks: auto (the first that attaches), fentry, kprobe, tracepoint',
    parse: oneOf('auto', 'fentry', 'kprobe', 'tracepoint'),
    fallback: 'auto',
  }),
  ports: repeatable<number>({
    flag: '--port <port>',
    repeatable: true,
    commands: CAPTURE,
    env: ['WHODNS_PORTS'],
    brief: 'DNS port; repeatable, at most 4',
    parse: integer(1, 65535),
    fallback: [53],
    shownDefault: '53',
  }),
  emit: option<'lookup' | 'request'>({
    flag: '--emit <when>',
    commands: CAPTURE,
    env: ['WHODNS_EMIT'],
    brief: 'lookup: a record when the answer or the time-out comes; request: at once, no answer fields',
    parse: oneOf('lookup', 'request'),
    fallback: 'lookup',
  }),
  timeoutMs: option<number>({
    flag: '--timeout <duration>',
    commands: CAPTURE,
    env: ['WHODNS_TIMEOUT'],
    brief: 'how long an answer is waited for, 100ms to 10m',
    parse: duration(100, 10 * MINUTE),
    fallback: 5000,
    shownDefault: '5s',
  }),
  commandArgs: option<boolean>({
    flag: '--command-args',
    commands: ['run'],
    env: ['WHODNS_COMMAND_ARGS'],
    brief: 'add process.command_args, with secrets masked',
    parse: boolean,
    fallback: false,
  }),
  durationMs: option<number>({
    flag: '--duration <duration>',
    commands: ['run'],
    brief: 'stop after this time',
    parse: duration(100, 30 * 24 * 60 * MINUTE),
    fallback: undefined,
    shownDefault: 'until SIGINT or SIGTERM',
  }),
  maxPayload: option<number>({
    flag: '--max-payload <bytes>',
    commands: ['run'],
    env: ['WHODNS_MAX_PAYLOAD'],
    brief: 'bytes of each message copied from the kernel, 128 to 65535',
    parse: integer(128, 65535),
    fallback: 4096,
  }),
  ringBytes: option<number>({
    flag: '--ring <bytes>',
    commands: ['run'],
    env: ['WHODNS_RING'],
    brief: 'kernel ring buffer, a power of two, 128K to 256M',
    parse: powerOfTwo(128 * 1024, 256 * 1024 * 1024),
    fallback: 16 * 1024 * 1024,
    shownDefault: '16M',
  }),
  maxInFlight: option<number>({
    flag: '--max-in-flight <count>',
    commands: CAPTURE,
    env: ['WHODNS_MAX_IN_FLIGHT'],
    brief: 'requests waiting for an answer; when full the oldest is finished as timeout',
    parse: integer(16, 10_000_000),
    fallback: 65536,
  }),
  nxdomainError: option<boolean>({
    flag: '--no-nxdomain-error',
    commands: CAPTURE,
    env: ['WHODNS_NXDOMAIN_ERROR'],
    brief: 'do not call NXDOMAIN an error (error.type, severity)',
    parse: boolean,
    fallback: true,
    shownDefault: 'NXDOMAIN is an error',
  }),
  stats: option<string>({
    flag: '--stats <file>',
    commands: CAPTURE,
    env: ['WHODNS_STATS'],
    brief: 'write the loss ledger and the counters as JSON to this file at the end',
    parse: (text) => (text.includes('\0') ? { problem: 'is not a file name' } : { value: text }),
    fallback: undefined,
  }),
  logLevel: option<string>({
    commands: ['run', 'replay', 'doctor'],
    env: ['OTEL_LOG_LEVEL'],
    brief: "the agent's own messages on stderr: none, error, warn, info, debug, verbose, all",
    parse: (text) => oneOf('none', 'error', 'warn', 'info', 'debug', 'verbose', 'all')(text.toLowerCase()),
    fallback: 'info',
  }),
  sdkDisabled: option<boolean>({
    commands: CAPTURE,
    env: ['OTEL_SDK_DISABLED'],
    brief: 'true: nothing is exported by OTLP',
    parse: boolean,
    fallback: false,
  }),
  logsExporters: option<readonly ('otlp' | 'console' | 'none')[]>({
    commands: CAPTURE,
    env: ['OTEL_LOGS_EXPORTER'],
    brief: 'where records go when no --exporter is given: comma list of otlp, console, none',
    parse: list(oneOf('otlp', 'console', 'none')),
    fallback: undefined,
    shownDefault: 'as --exporter',
  }),
  metricsExporters: option<readonly ('otlp' | 'none')[]>({
    commands: CAPTURE,
    env: ['OTEL_METRICS_EXPORTER'],
    brief: 'where metrics go when no --exporter is given: comma list of otlp, none',
    parse: list(oneOf('otlp', 'none')),
    fallback: undefined,
    shownDefault: 'as --exporter',
  }),
  logsProtocol: option<'grpc' | 'http/protobuf'>({
    commands: CAPTURE,
    env: ['OTEL_EXPORTER_OTLP_LOGS_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'],
    brief: 'OTLP transport of records: grpc, http/protobuf',
    parse: otlpProtocol,
    fallback: 'grpc',
  }),
  metricsProtocol: option<'grpc' | 'http/protobuf'>({
    commands: CAPTURE,
    env: ['OTEL_EXPORTER_OTLP_METRICS_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'],
    brief: 'OTLP transport of metrics: grpc, http/protobuf',
    parse: otlpProtocol,
    fallback: 'grpc',
  }),
  batchDelayMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BLRP_SCHEDULE_DELAY'],
    brief: 'longest time in ms that a record waits for its batch',
    parse: integer(1, 60 * MINUTE),
    fallback: 1000,
  }),
  batchTimeoutMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BLRP_EXPORT_TIMEOUT'],
    brief: 'time in ms that one export of records may take',
    parse: integer(1, 60 * MINUTE),
    fallback: 30_000,
  }),
  batchQueueSize: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BLRP_MAX_QUEUE_SIZE'],
    brief: 'records that may wait for export (the standard says 2048; a busy resolver fills that in 50 ms)',
    parse: integer(1, 10_000_000),
    fallback: 65536,
  }),
  batchSize: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BLRP_MAX_EXPORT_BATCH_SIZE'],
    brief: 'records in one export, at most the queue',
    parse: integer(1, 1_000_000),
    fallback: 2048,
  }),
  metricIntervalMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_METRIC_EXPORT_INTERVAL'],
    brief: 'time in ms between two exports of metrics',
    parse: integer(100, 24 * 60 * MINUTE),
    fallback: MINUTE,
  }),
  metricTimeoutMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_METRIC_EXPORT_TIMEOUT'],
    brief: 'time in ms that one export of metrics may take, at most the interval',
    parse: integer(1, 24 * 60 * MINUTE),
    fallback: 30_000,
  }),
} as const;

/** Ring buffer sizes: the kernel takes powers of two pages only (kernel/bpf/ringbuf.c, ringbuf_map_alloc). */
function powerOfTwo(least: number, most: number): Parser<number> {
  return (text) => {
    const parsed = bytes(least, most)(text);
    if ('problem' in parsed) return parsed;
    return Number.isInteger(Math.log2(parsed.value)) ? parsed : { problem: 'is not a power of two' };
  };
}
