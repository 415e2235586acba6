/**
 * What this program says of itself under the names of the semantic conventions (otel/sdk-metrics, process metrics): part of
 * METRICS. The exporters and the metric reader of the SDK emit SDK_METRICS themselves.
 */
import type { MetricDefinition } from './metric.ts';

const COMPONENT = ['otel.component.type', 'otel.component.name'] as const;

export const SELF_METRICS = {
  'otel.sdk.log.created': {
    kind: 'sum',
    unit: '{log_record}',
    description: 'Records made, whatever became of them.',
    attributes: [],
  },
  'otel.sdk.processor.log.queue.size': {
    kind: 'updown',
    unit: '{log_record}',
    description: 'Records waiting for their export to end, in memory and in the spool.',
    attributes: COMPONENT,
  },
  'otel.sdk.processor.log.queue.capacity': {
    kind: 'updown',
    unit: '{log_record}',
    description:
      'Records that may wait in memory, where `OTEL_BLRP_MAX_QUEUE_SIZE` says so; else `--queue-bytes` alone bounds it.',
    attributes: COMPONENT,
  },
  'otel.sdk.processor.log.processed': {
    kind: 'sum',
    unit: '{log_record}',
    description: 'Records that left the queue; with `error.type` those that never reached the exporter.',
    attributes: [...COMPONENT, 'error.type'],
  },
  'otel.sdk.processor.span.queue.size': {
    kind: 'updown',
    unit: '{span}',
    description: 'Spans waiting for their export to end (--traces).',
    attributes: COMPONENT,
  },
  'otel.sdk.processor.span.queue.capacity': {
    kind: 'updown',
    unit: '{span}',
    description: 'Spans that may wait (--traces).',
    attributes: COMPONENT,
  },
  'otel.sdk.processor.span.processed': {
    kind: 'sum',
    unit: '{span}',
    description:
      'Spans that left the queue; with `error.type` those that never reached the exporter (--traces).',
    attributes: [...COMPONENT, 'error.type'],
  },
  'whodns.dnscache.trees': {
    kind: 'updown',
    unit: '{tree}',
    description: 'Questions in the DNS cache, each with what its answers led to (--dnscache).',
    attributes: [],
  },
  'whodns.dnscache.nodes': {
    kind: 'updown',
    unit: '{node}',
    description: 'Questions, names and addresses in all trees of the DNS cache (--dnscache).',
    attributes: [],
  },
  'whodns.dnscache.lookups': {
    kind: 'sum',
    unit: '{lookup}',
    description:
      'Times the DNS cache was asked, by result: `hit`, `negative` (known not to be there), `expired`, `miss` (--dnscache).',
    attributes: ['whodns.dnscache.result'],
  },
  'whodns.dnscache.removed': {
    kind: 'sum',
    unit: '{tree}',
    description: 'Trees that left the DNS cache: `evicted` (for lack of room), `expired` (--dnscache).',
    attributes: ['whodns.reason'],
  },
  'whodns.dnscache.refused': {
    kind: 'sum',
    unit: '{record}',
    description:
      'Records that the DNS cache did not take: `full` (too many under one question or name), `unrelated` (nothing led to them from the question) (--dnscache).',
    attributes: ['whodns.reason'],
  },
  'whodns.inspector.requests': {
    kind: 'sum',
    unit: '{request}',
    description:
      'Requests to the inspector, which reads what belongs to other processes, by what came of them: `answered`; `gone` (the process had ended); `timeout` (it did not let itself be read within a second, the inspector was given up); `paused` (its process or workload had made one hang before, or has its share of them); `overflow` (too many waited); `stuck` (as many inspectors hang as there may be); `crashed`; `unavailable`.',
    attributes: ['whodns.inspector.result'],
  },
  'whodns.inspector.hanging': {
    kind: 'updown',
    unit: '{process}',
    description:
      'Inspectors that were given up and have not ended yet. At 8 nothing more is read of any process.',
    attributes: [],
  },
  'process.cpu.time': {
    kind: 'sum',
    unit: 's',
    description: 'CPU time of this program.',
    attributes: ['cpu.mode'],
  },
  'process.memory.usage': {
    kind: 'updown',
    unit: 'By',
    description: 'Resident memory of this program.',
    attributes: [],
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

const EXPORTER = [...COMPONENT, 'server.address', 'server.port'] as const;
const RESPONSE = ['error.type', 'rpc.response.status_code', 'http.response.status_code'] as const;

/** Emitted by the SDK: for docs/metrics.md. */
export const SDK_METRICS: Readonly<Record<string, MetricDefinition>> = {
  'otel.sdk.exporter.log.inflight': {
    kind: 'updown',
    unit: '{log}',
    description: 'Records handed to the OTLP exporter whose export has not ended, retries included.',
    attributes: EXPORTER,
  },
  'otel.sdk.exporter.log.exported': {
    kind: 'sum',
    unit: '{log}',
    description:
      'Records whose export has ended; with `error.type` those that failed, `rejected` = by a partial success.',
    attributes: [...EXPORTER, 'error.type'],
  },
  'otel.sdk.exporter.span.inflight': {
    kind: 'updown',
    unit: '{span}',
    description: 'The same of spans (--traces).',
    attributes: EXPORTER,
  },
  'otel.sdk.exporter.span.exported': {
    kind: 'sum',
    unit: '{span}',
    description: 'The same of spans (--traces).',
    attributes: [...EXPORTER, 'error.type'],
  },
  'otel.sdk.exporter.metric_data_point.inflight': {
    kind: 'updown',
    unit: '{metric_data_point}',
    description: 'The same of metric data points.',
    attributes: EXPORTER,
  },
  'otel.sdk.exporter.metric_data_point.exported': {
    kind: 'sum',
    unit: '{metric_data_point}',
    description: 'The same of metric data points.',
    attributes: [...EXPORTER, 'error.type'],
  },
  'otel.sdk.exporter.operation.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Duration of an export with all its attempts.',
    attributes: [...EXPORTER, ...RESPONSE],
  },
  'otel.sdk.metric_reader.collection.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Duration of one collection of all metrics.',
    attributes: [...COMPONENT, 'error.type'],
  },
};
