/**
 * The settings that the OpenTelemetry specification names (configuration/sdk-environment-variables.md,
 * protocol/exporter.md): part of OPTIONS. Numbers, enumerations and booleans follow its rules: what cannot be read gives a
 * warning and counts as unset, enumerations in any case.
 */
import { keyValues } from '../lib/key-values.ts';
import { boolean, caseless, integer, list, oneOf, type Parsed, type Parser } from '../lib/values.ts';
import { type Command, option } from './option.ts';

export type ExporterSpec =
  | { readonly kind: 'console' }
  | { readonly kind: 'otlp' }
  /** By OTLP too, through OpenTelemetry's own logs SDK (sinks/otlp/sdk-sink.ts). */
  | { readonly kind: 'sdk' }
  | { readonly kind: 'otlp-file'; readonly path: string }
  | { readonly kind: 'none' };

/** `console`, `otlp`, `sdk`, `otlp-file:PATH` or `none`. */
export function exporter(text: string): Parsed<ExporterSpec> {
  const word = text.toLowerCase();
  if (word === 'console' || word === 'otlp' || word === 'sdk' || word === 'none')
    return { value: { kind: word } };
  const path = /^otlp-file:(.+)$/s.exec(text)?.[1];
  if (path !== undefined && !path.includes('\0')) return { value: { kind: 'otlp-file', path } };
  return { problem: 'is not one of console, otlp, otlp-file:PATH, sdk, none' };
}

const otlpProtocol = caseless(oneOf('grpc', 'http/protobuf'));

/** Of the specification. A parent is the span that the asking thread was in (--trace-context). */
const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
export type SamplerName = (typeof SAMPLERS)[number];

const ratio: Parser<number> = (text) => {
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= 0 && value <= 1 ? { value } : { problem: 'is not a number from 0 to 1' };
};

/** Of OTEL_LOGS_EXPORTER and its kin, besides the standard's words what --exporter takes. */
const exporters: Parser<readonly ExporterSpec[]> = list(exporter);

const CAPTURE: readonly Command[] = ['run', 'replay'];
const MINUTE = 60_000;
const MAX_ATTRIBUTES = 1_000_000;
const NO_LIMIT = 'no limit';

export const TELEMETRY_OPTIONS = {
  logLevel: option<string>({
    commands: ['run', 'replay', 'doctor'],
    env: ['OTEL_LOG_LEVEL'],
    description: "the agent's own messages on stderr: none, error, warn, info, debug, verbose, all",
    parse: caseless(oneOf('none', 'error', 'warn', 'info', 'debug', 'verbose', 'all')),
    default: 'info',
  }),
  sdkDisabled: option<boolean>({
    commands: CAPTURE,
    env: ['OTEL_SDK_DISABLED'],
    description: 'true: nothing is exported by OTLP',
    parse: boolean,
    default: false,
  }),
  logsExporters: option<readonly ExporterSpec[] | undefined>({
    commands: CAPTURE,
    env: ['OTEL_LOGS_EXPORTER'],
    description:
      'where records go when no --exporter is given: comma list of otlp, console, otlp-file:PATH, sdk, none',
    parse: exporters,
    default: undefined,
    shownDefault: 'as --exporter',
  }),
  metricsExporters: option<readonly ExporterSpec[] | undefined>({
    commands: CAPTURE,
    env: ['OTEL_METRICS_EXPORTER'],
    description: 'where metrics go when no --exporter is given: comma list of otlp, otlp-file:PATH, none',
    parse: without('console', exporters),
    default: undefined,
    shownDefault: 'as --exporter',
  }),
  logsProtocol: option<'grpc' | 'http/protobuf'>({
    commands: CAPTURE,
    env: ['OTEL_EXPORTER_OTLP_LOGS_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'],
    description: 'OTLP transport of records: grpc, http/protobuf',
    parse: otlpProtocol,
    default: 'grpc',
  }),
  metricsProtocol: option<'grpc' | 'http/protobuf'>({
    commands: CAPTURE,
    env: ['OTEL_EXPORTER_OTLP_METRICS_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'],
    description: 'OTLP transport of metrics: grpc, http/protobuf',
    parse: otlpProtocol,
    default: 'grpc',
  }),
  batchDelayMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BLRP_SCHEDULE_DELAY'],
    description: 'longest time in ms that a record waits for its batch',
    parse: integer(1, 60 * MINUTE),
    default: 1000,
  }),
  batchTimeoutMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BLRP_EXPORT_TIMEOUT'],
    description: 'time in ms that one export of records may take',
    parse: integer(1, 60 * MINUTE),
    default: 30_000,
  }),
  batchQueueSize: option<number | undefined>({
    commands: CAPTURE,
    env: ['OTEL_BLRP_MAX_QUEUE_SIZE'],
    description:
      'records that may wait for export in memory (the standard says 2048; a busy resolver fills that in 50 ms)',
    parse: integer(1, 10_000_000),
    default: undefined,
    shownDefault: 'what `--queue-bytes` holds',
  }),
  batchSize: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BLRP_MAX_EXPORT_BATCH_SIZE'],
    description: 'records in one export, at most the queue',
    parse: integer(1, 1_000_000),
    default: 2048,
  }),
  metricIntervalMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_METRIC_EXPORT_INTERVAL'],
    description: 'time in ms between two exports of metrics',
    parse: integer(100, 24 * 60 * MINUTE),
    default: MINUTE,
  }),
  metricTimeoutMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_METRIC_EXPORT_TIMEOUT'],
    description: 'time in ms that one export of metrics may take, at most the interval',
    parse: integer(1, 24 * 60 * MINUTE),
    default: 30_000,
  }),
  attributeCountLimit: option<number>({
    commands: CAPTURE,
    env: ['OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT'],
    description: 'attributes of one record; what is above is left out and counted in the record',
    parse: integer(0, MAX_ATTRIBUTES),
    default: 128,
  }),
  attributeLengthLimit: option<number | undefined>({
    commands: CAPTURE,
    env: ['OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT'],
    description: 'characters of one text in an attribute of a record; longer ones are cut',
    parse: integer(0, MAX_ATTRIBUTES),
    default: undefined,
    shownDefault: NO_LIMIT,
  }),
  spanAttributeCountLimit: option<number>({
    commands: CAPTURE,
    env: ['OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT'],
    description: 'the same of one span',
    parse: integer(0, MAX_ATTRIBUTES),
    default: 128,
  }),
  spanAttributeLengthLimit: option<number | undefined>({
    commands: CAPTURE,
    env: ['OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT'],
    description: 'the same of one text in an attribute of a span',
    parse: integer(0, MAX_ATTRIBUTES),
    default: undefined,
    shownDefault: NO_LIMIT,
  }),
  tracesProtocol: option<'grpc' | 'http/protobuf'>({
    commands: CAPTURE,
    env: ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'],
    description: 'OTLP transport of spans: grpc, http/protobuf',
    parse: otlpProtocol,
    default: 'grpc',
  }),
  tracesExporter: option<'otlp' | 'none'>({
    commands: CAPTURE,
    env: ['OTEL_TRACES_EXPORTER'],
    description: 'where spans go: otlp, or none, which switches --traces off',
    parse: caseless(oneOf('otlp', 'none')),
    default: 'otlp',
  }),
  tracesSampler: option<SamplerName>({
    commands: CAPTURE,
    env: ['OTEL_TRACES_SAMPLER'],
    description: `which lookups become spans: ${SAMPLERS.join(', ')}`,
    parse: caseless(oneOf(...SAMPLERS)),
    default: 'parentbased_always_on',
  }),
  tracesSamplerRatio: option<number>({
    commands: CAPTURE,
    env: ['OTEL_TRACES_SAMPLER_ARG'],
    description: 'share of the traces that a traceidratio sampler takes, 0 to 1',
    parse: ratio,
    default: 1,
  }),
  spanDelayMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BSP_SCHEDULE_DELAY'],
    description: 'longest time in ms that a span waits for its batch',
    parse: integer(1, 60 * MINUTE),
    default: 5000,
  }),
  spanTimeoutMs: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BSP_EXPORT_TIMEOUT'],
    description: 'time in ms that one export of spans may take',
    parse: integer(1, 60 * MINUTE),
    default: 30_000,
  }),
  spanQueueSize: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BSP_MAX_QUEUE_SIZE'],
    description: 'spans that may wait for export',
    parse: integer(1, 10_000_000),
    default: 65536,
  }),
  spanBatchSize: option<number>({
    commands: CAPTURE,
    env: ['OTEL_BSP_MAX_EXPORT_BATCH_SIZE'],
    description: 'spans in one export, at most the queue',
    parse: integer(1, 1_000_000),
    default: 2048,
  }),
  serviceName: option<string | undefined>({
    commands: CAPTURE,
    env: ['OTEL_SERVICE_NAME'],
    description: "service.name of the agent itself, on its own metrics; the observed processes' is their own",
    parse: (text) => ({ value: text }),
    default: undefined,
    shownDefault: 'whodns',
  }),
  resourceAttributes: option<ReadonlyMap<string, string>>({
    commands: CAPTURE,
    env: ['OTEL_RESOURCE_ATTRIBUTES'],
    description: 'key=value,... of the agent itself, percent-encoded; on its own metrics',
    parse: resourceAttributes,
    default: new Map<string, string>(),
    shownDefault: 'none',
  }),
} as const;

/** Malformed in any part: the whole value is discarded (specification, resource/sdk.md). */
function resourceAttributes(text: string): Parsed<ReadonlyMap<string, string>> {
  const value = keyValues(text);
  return value === undefined
    ? { problem: 'is not a list key=value,... with percent-encoded keys and values' }
    : { value };
}

function without(kind: ExporterSpec['kind'], parse: typeof exporters): typeof exporters {
  return (text) => {
    const parsed = parse(text);
    if ('problem' in parsed || parsed.value.every((spec) => spec.kind !== kind)) return parsed;
    return { problem: `is not one of otlp, otlp-file:PATH, none` };
  };
}
