/** Config -> the sinks of a run, behind one. */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { DnsCache } from '../dnscache/cache.ts';
import type { InspectorStats } from '../inspector/inspector.ts';
import type { Ledger } from '../ledger.ts';
import type { Log } from '../lib/log.ts';
import type { Attributes, ProcessCount, ProcessIdentity, ProcessKey, SourceStats } from '../model.ts';
import type { ExporterSpec } from '../tables/options.ts';
import { ConsoleJsonSink } from './console/json.ts';
import { ConsoleTableSink, type TerminalStream } from './console/table.ts';
import { MemoryStore, type RequestStore } from './delivery/request-store.ts';
import { FanOut } from './fan-out.ts';
import { limited } from './limits.ts';
import type { PodsObserved } from './metrics/kubernetes-metrics.ts';
import type { ObservedQueue } from './metrics/self-metrics.ts';
import type { MetricsOptions, MetricsSink } from './metrics/sink.ts';
import type { FileBounds, LinesFile } from './otlp/lines-file.ts';
import type { MetricExporter } from './otlp/metric-exporter.ts';
import type { Sink } from './sink.ts';

export interface OutputOptions {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
  readonly ledger: Ledger;
  /** Resource attributes of the host. */
  readonly host: Attributes;
  /** What the metrics are read from. */
  readonly source: {
    stats(): SourceStats;
    processes(): readonly ProcessCount[];
    forget(keys: readonly ProcessKey[]): void;
  };
  /** Where pods are known from. */
  readonly pods?: readonly PodsObserved[] | undefined;
  readonly dnsCache?: DnsCache | undefined;
  /** What became of requests to the inspector; undefined: there is none. */
  readonly inspector?: (() => InspectorStats) | undefined;
  /** Counts of the sources of container metadata. */
  readonly metadata?: () => Readonly<Record<string, Readonly<Record<string, number>>>> | undefined;
  /** Sinks that were made before. */
  readonly further?: readonly Sink[];
  readonly stdout: TerminalStream;
  readonly color: boolean;
  /** Called when nobody reads the console any more and it is the only output. */
  readonly onBroken: () => void;
}

export interface Output {
  readonly sink: FanOut;
  /** A sink reads and forgets the kernel's per-process counters. */
  readonly metersProcesses: boolean;
  /** Learns what a process is called that has no records. */
  readonly introduce: (process: ProcessIdentity) => void;
  /** Lines for the operator. */
  readonly notes: readonly string[];
  /** The metrics as Prometheus reads them; undefined: not asked for. */
  readonly scrape: (() => Promise<string>) | undefined;
  /** Lets go of the files that are written to and opens what is at their paths. */
  readonly reopen: () => void;
}

/**
 * Loads only what the configured exporters need: the OTLP packages take some 30 MB that a console does not want.
 * @throws UserError: a file cannot be opened, an endpoint makes no sense, the spool is in use.
 */
export async function createOutput(options: OutputOptions): Promise<Output> {
  const { config, ledger, log } = options;
  const files = new Files({ maxBytes: config.otlpFileBytes, backups: config.otlpFileBackups }, (problem) =>
    log.warn(problem),
  );
  if (
    config.traces ||
    [...config.logs, ...config.metrics].some(({ kind }) => kind === 'otlp' || kind === 'sdk')
  )
    (await import('./otlp/diagnostics.ts')).routeDiagnostics(log);
  const metrics: MetricsSink[] = [];
  for (const spec of config.metrics)
    metrics.push(await createMetricsSink(spec, metrics.length, options, files));
  const scraped =
    config.command === 'run' && config.healthMetrics ? await createPrometheus(options) : undefined;
  // The exporters of records report to the metrics that are pushed, if there are such.
  const witness = metrics[0] ?? scraped?.sink;
  const logs: Sink[] = [];
  for (const spec of config.logs) {
    const created = await createLogsSink(spec, logs.length, options, files, witness);
    const limits = { count: config.attributeCountLimit, length: config.attributeLengthLimit };
    // The SDK has limits of its own, and counts what it leaves out.
    logs.push(spec.kind === 'sdk' ? created : limited(created, limits));
  }
  if (config.traces) logs.push(await createSpans(options, witness));
  const all = [...logs, ...metrics, ...(scraped === undefined ? [] : [scraped.sink])];
  const sink = new FanOut([...all, ...(options.further ?? [])], ledger, log);
  const ways = config.logs.flatMap(({ kind }) =>
    kind === 'otlp' ? [config.logsProtocol] : kind === 'sdk' ? ["grpc, OpenTelemetry's SDK"] : [],
  );
  const notes = ways.map((way) => `sending records by OTLP (${way})`);
  const introduce = (process: ProcessIdentity) => {
    for (const each of [...metrics, ...(scraped === undefined ? [] : [scraped.sink])])
      each.introduce(process);
  };
  return {
    sink,
    metersProcesses: metrics.length > 0,
    introduce,
    notes,
    scrape: scraped?.scrape,
    reopen: () => files.reopen(),
  };
}

/** Files of several sinks, each opened once. */
class Files {
  readonly #open = new Map<string, LinesFile>();
  readonly #bounds: FileBounds;
  readonly #warn: (problem: string) => void;

  constructor(bounds: FileBounds, warn: (problem: string) => void) {
    this.#bounds = bounds;
    this.#warn = warn;
  }

  async at(path: string): Promise<LinesFile> {
    const { LinesFile: File } = await import('./otlp/lines-file.ts');
    const file = this.#open.get(path) ?? File.open(path, this.#bounds);
    this.#open.set(path, file);
    return file;
  }

  reopen(): void {
    for (const file of this.#open.values())
      file.reopen().catch((error: Error) => this.#warn(`otlp-file: cannot open it anew: ${error.message}`));
  }
}

async function createLogsSink(
  spec: ExporterSpec,
  index: number,
  options: OutputOptions,
  files: Files,
  metrics: MetricsSink | undefined,
): Promise<Sink> {
  const { config, log, ledger } = options;
  switch (spec.kind) {
    case 'console':
      return createConsole(options);
    case 'otlp':
      return createOtlp(options, metrics);
    case 'otlp-file': {
      const { createOtlpFileSink } = await import('./otlp/file-sink.ts');
      return createOtlpFileSink({
        name: fileSinkName(index),
        file: await files.at(spec.path),
        scope: scopeOf(options),
        ledger,
        notices: log,
        store: new MemoryStore({ maxBytes: config.queueBytes, maxRecords: config.batchQueueSize }),
        limits: { batchSize: config.batchSize, delayMs: config.batchDelayMs },
      });
    }
    case 'sdk': {
      const { createSdkSink } = await import('./otlp/sdk-sink.ts');
      const meterProvider = metrics?.meterProvider;
      return createSdkSink({ config, scope: scopeOf(options), ledger, notices: log, meterProvider });
    }
    case 'none':
      throw new Error('"none" is filtered by the configuration');
  }
}

function createConsole({ config, ledger, stdout, color, onBroken }: OutputOptions): Sink {
  const broken = config.logs.length === 1 ? onBroken : () => {};
  if (config.format === 'json') return new ConsoleJsonSink({ stream: stdout, ledger, onBroken: broken });
  const table = new ConsoleTableSink({ stream: stdout, ledger, color, onBroken: broken });
  table.start();
  return table;
}

/** A capture file waits for its records to be delivered: without a bound it would wait for ever. */
const REPLAY_RETRY_MS = 60_000;

async function createOtlp(options: OutputOptions, metrics: MetricsSink | undefined): Promise<Sink> {
  const { config, log, ledger } = options;
  const { otlpTarget } = await import('./otlp/target.ts');
  const { createOtlpLogsSink } = await import('./otlp/logs-sink.ts');
  const target = otlpTarget(config, 'logs');
  return createOtlpLogsSink({
    target,
    scope: scopeOf(options),
    ledger,
    notices: log,
    store: await createStore(config, log, metrics),
    limits: {
      batchSize: config.batchSize,
      delayMs: config.batchDelayMs,
      concurrency: config.concurrentRequests,
    },
    attemptMs: config.batchTimeoutMs,
    retryForMs: retryForMs(config),
    ...(metrics === undefined ? {} : { meterProvider: metrics.meterProvider }),
  });
}

async function createSpans(options: OutputOptions, metrics: MetricsSink | undefined): Promise<Sink> {
  const { config, log, ledger } = options;
  const { otlpTarget } = await import('./otlp/target.ts');
  const { createOtlpSpansSink } = await import('./otlp/spans-sink.ts');
  const spans = await createOtlpSpansSink({
    target: otlpTarget(config, 'traces'),
    scope: scopeOf(options),
    ledger,
    notices: log,
    store: new MemoryStore({ maxBytes: config.queueBytes, maxRecords: config.spanQueueSize }),
    limits: {
      batchSize: config.spanBatchSize,
      delayMs: config.spanDelayMs,
      concurrency: config.concurrentRequests,
    },
    attemptMs: config.spanTimeoutMs,
    retryForMs: retryForMs(config),
    timeoutNs: BigInt(config.timeoutMs) * 1_000_000n,
    ...(metrics === undefined ? {} : { meterProvider: metrics.meterProvider }),
  });
  const limits = { count: config.spanAttributeCountLimit, length: config.spanAttributeLengthLimit };
  return limited(spans, limits);
}

function retryForMs(config: Config): number {
  return config.retryForMs ?? (config.command === 'replay' ? REPLAY_RETRY_MS : Number.POSITIVE_INFINITY);
}

async function createStore(
  config: Config,
  log: Log,
  metrics: MetricsSink | undefined,
): Promise<RequestStore> {
  const memory = { maxBytes: config.queueBytes, maxRecords: config.batchQueueSize };
  if (config.spool === undefined) return new MemoryStore(memory);
  const { Spool } = await import('./delivery/spool.ts');
  const spool = new Spool({
    directory: join(config.spool, 'logs'),
    maxBytes: config.spoolBytes,
    memory,
    notices: log,
  });
  metrics?.observeSpool(spool);
  return spool;
}

async function createMetricsSink(
  spec: ExporterSpec,
  index: number,
  options: OutputOptions,
  files: Files,
): Promise<MetricsSink> {
  const name = index === 0 ? 'metrics' : `metrics-${index + 1}`;
  const { MetricsSink: Metrics } = await import('./metrics/sink.ts');
  return new Metrics({
    name,
    exporter: await createMetricExporter(spec, name, options, files),
    ...metricsOf(options),
  });
}

/** Nobody may ever ask: the kernel's counters are not this sink's to forget (metersProcesses). */
async function createPrometheus(
  options: OutputOptions,
): Promise<{ readonly sink: MetricsSink; readonly scrape: () => Promise<string> }> {
  const { MetricsSink: Metrics } = await import('./metrics/sink.ts');
  const { createScraped } = await import('./metrics/prometheus.ts');
  const { exporter, scrape } = createScraped();
  return { sink: new Metrics({ name: 'prometheus', exporter, ...metricsOf(options) }), scrape };
}

function metricsOf(options: OutputOptions): Omit<MetricsOptions, 'name' | 'exporter'> {
  const { config, log, ledger, host, source } = options;
  return {
    ledger,
    notices: log,
    source,
    scope: scopeOf(options),
    hostAttributes: host,
    pods: options.pods,
    ownAttributes: {
      ...Object.fromEntries(config.resourceAttributes),
      ...(config.serviceName === undefined ? {} : { 'service.name': config.serviceName }),
    },
    intervalMs: config.metricIntervalMs,
    timeoutMs: config.metricTimeoutMs,
    questionName: config.metricQuestionName,
    queues: queuesOf(config),
    dnsCache: options.dnsCache,
    inspector: options.inspector,
    ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
  };
}

/** What waits in front of an exporter; the console has no queue to speak of. */
function queuesOf(config: Config): ObservedQueue[] {
  const capacity = config.batchQueueSize;
  const queues = config.logs.flatMap(({ kind }, index): ObservedQueue[] => {
    if (kind === 'otlp') return [{ sink: 'otlp', items: 'log', capacity }];
    return kind === 'otlp-file' ? [{ sink: fileSinkName(index), items: 'log', capacity }] : [];
  });
  if (config.traces) queues.push({ sink: 'otlp-spans', items: 'span', capacity: config.spanQueueSize });
  return queues;
}

/** Several files: each sink has a stage of its own. */
function fileSinkName(index: number): string {
  return `otlp-file${index === 0 ? '' : `-${index + 1}`}`;
}

async function createMetricExporter(
  spec: ExporterSpec,
  name: string,
  options: OutputOptions,
  files: Files,
): Promise<MetricExporter> {
  const { config, log } = options;
  if (spec.kind === 'otlp-file') {
    const { createOtlpFileMetricExporter } = await import('./otlp/file-sink.ts');
    return createOtlpFileMetricExporter(await files.at(spec.path));
  }
  const { otlpTarget } = await import('./otlp/target.ts');
  const { createOtlpMetricExporter } = await import('./otlp/metric-exporter.ts');
  return createOtlpMetricExporter({
    target: otlpTarget(config, 'metrics'),
    scope: scopeOf(options),
    temporality: config.metricsTemporality,
    timeoutMs: config.metricTimeoutMs,
    warn: (message) => log.warn(`${name}: ${message}`),
  });
}

function scopeOf({ version }: OutputOptions): { readonly name: string; readonly version: string } {
  return { name: 'whodns', version };
}
