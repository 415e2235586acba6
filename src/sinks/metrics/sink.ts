/**
 * Metrics to an OTLP endpoint or a file. Series whose number depends on who uses the host come from own, bounded tables
 * (series-table.ts, process-series.ts); the agent's own health, whose series are fixed, from the SDK's instruments.
 */
import { randomUUID } from 'node:crypto';
import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  InstrumentType,
  MeterProvider,
  type MetricProducer,
  type MetricReader,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { DnsCacheStats } from '../../dnscache/cache.ts';
import type { InspectorStats } from '../../inspector/inspector.ts';
import type { Ledger, Stage } from '../../ledger.ts';
import { wallClock } from '../../lib/clock.ts';
import type { Attributes, LogEvent, ProcessIdentity, SourceStats } from '../../model.ts';
import { stageReasons } from '../../tables/stages.ts';
import { FailureReporter } from '../delivery/failure-reporter.ts';
import type { MetricExporter } from '../otlp/metric-exporter.ts';
import { type Notices, type Sink, stageName } from '../sink.ts';
import { observeInspector } from './inspector-metrics.ts';
import { instrument } from './instruments.ts';
import { observePods, type PodsObserved } from './kubernetes-metrics.ts';
import { LookupSeries } from './lookup-series.ts';
import { type MetadataCounts, observeMetadata } from './metadata-metrics.ts';
import { type ProcessLimits, ProcessSeries, type ProcessSource } from './process-series.ts';
import { type ProducerParts, SeriesProducer, type Temporality } from './producer.ts';
import { type ObservedQueue, observeDnsCache, observeSelf } from './self-metrics.ts';
import type { SeriesLimits } from './series-table.ts';

export interface MetricsOptions {
  /** `metrics` unless there are several. */
  readonly name?: string;
  readonly exporter: MetricExporter | Scraped;
  readonly ledger: Ledger;
  readonly notices: Notices;
  /** Counters of the capture and of the kernel. */
  readonly source: ProcessSource & { stats(): SourceStats };
  readonly scope: { readonly name: string; readonly version: string };
  /** Attributes of this host (host.*, os.type) for the agent's own resource. */
  readonly hostAttributes: Attributes;
  /** What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say of the agent itself: they come first. */
  readonly ownAttributes?: Readonly<Record<string, string>>;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** dns.question.name on dns.lookup.duration; default false. */
  readonly questionName?: boolean;
  /** Where pods are known from. */
  readonly pods?: readonly PodsObserved[] | undefined;
  /** undefined: there is none. */
  readonly inspector?: (() => InspectorStats) | undefined;
  /** Of the sources of container metadata. */
  readonly metadata?: () => MetadataCounts | undefined;
  /** Queues in front of exporters of records and spans. */
  readonly queues?: readonly ObservedQueue[];
  readonly dnsCache?: { stats(): DnsCacheStats } | undefined;
  readonly seriesLimits?: SeriesLimits;
  readonly processLimits?: ProcessLimits;
}

/** Nothing is exported: who wants the metrics asks the reader. */
export interface Scraped {
  readonly reader: (producer: MetricProducer) => MetricReader;
}

/** What is told of a spool (spool.ts). */
export interface ObservedSpool {
  readonly diskBytes: number;
  readonly damage: { readonly bytes: number };
}

export class MetricsSink implements Sink {
  readonly name: string;
  readonly #scope: MetricsOptions['scope'];
  readonly #stage: Stage<`sink:${string}`>;
  readonly #lookups: LookupSeries;
  readonly #processes: ProcessSeries;
  readonly #provider: MeterProvider;
  readonly #reporter: FailureReporter;
  #closed: Promise<void> | undefined;

  constructor(options: MetricsOptions) {
    this.name = options.name ?? 'metrics';
    this.#scope = options.scope;
    this.#stage = options.ledger.stage(stageName(this.name));
    this.#reporter = new FailureReporter(this.name, options.notices);
    const start = wallClock();
    this.#lookups = new LookupSeries(start, options.questionName ?? false, options.seriesLimits);
    this.#processes = new ProcessSeries(options.source, start, options.processLimits);
    const series = {
      lookups: this.#lookups,
      processes: this.#processes,
      scope: options.scope,
      now: wallClock,
    };
    const reader =
      'reader' in options.exporter
        ? options.exporter.reader(
            new SeriesProducer({
              ...series,
              counterTemporality: 'cumulative',
              histogramTemporality: 'cumulative',
            }),
          )
        : pushing(reporting(options.exporter, this.#reporter), series, options);
    this.#provider = new MeterProvider({
      resource: agentResource(options),
      readers: [reader],
      sdkMetricsEnabled: true,
    });
    if (!('reader' in options.exporter)) options.exporter.observe?.(this.#provider);
    const meter = this.#provider.getMeter(options.scope.name, options.scope.version);
    observeLedger(meter, options.ledger, options.source);
    observeSource(meter, options.source);
    if (options.pods !== undefined) observePods(meter, options.pods);
    if (options.metadata !== undefined) observeMetadata(meter, options.metadata);
    if (options.inspector !== undefined) observeInspector(meter, options.inspector);
    observeSelf(meter, options.ledger, options.queues ?? []);
    if (options.dnsCache !== undefined) observeDnsCache(meter, options.dnsCache);
  }

  /** For the SDK's metrics of the other exporters. */
  get meterProvider(): MeterProvider {
    return this.#provider;
  }

  /** The spool in front of an exporter, from now on. */
  observeSpool(spool: ObservedSpool): void {
    const meter = this.#provider.getMeter(this.#scope.name, this.#scope.version);
    instrument(meter, 'whodns.spool.size').addCallback((result) => result.observe(spool.diskBytes));
    instrument(meter, 'whodns.spool.damaged').addCallback((result) => result.observe(spool.damage.bytes));
  }

  /** Counts the event in its series, which cannot fail or wait: it is delivered. Cumulative sums survive a failed export. */
  accept(event: LogEvent): void {
    this.#stage.in++;
    if (this.#closed !== undefined) {
      this.#stage.drop('closed');
      return;
    }
    this.#lookups.add(event);
    this.#processes.remember(event.process);
    this.#stage.out++;
  }

  /** Learns what a process is called that is counted in the kernel alone. */
  introduce(process: ProcessIdentity): void {
    this.#processes.remember(process);
  }

  /** Collects and exports now. */
  async flush(): Promise<void> {
    if (this.#closed === undefined) await this.#provider.forceFlush().catch(() => undefined);
  }

  /** Events only count up. */
  async room(): Promise<void> {}

  /** Exports a last time. */
  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<void> {
    const late = Promise.withResolvers<'late'>();
    const handle = setTimeout(() => late.resolve('late'), deadlineMs);
    const shutdown = this.#provider.shutdown().then(
      () => 'done' as const,
      () => 'done' as const,
    );
    if ((await Promise.race([shutdown, late.promise])) === 'late')
      this.#reporter.failed(0, 'the last export did not end in time');
    clearTimeout(handle);
    this.#reporter.finish(0);
  }
}

function pushing(
  exporter: PushMetricExporter,
  series: Omit<ProducerParts, 'counterTemporality' | 'histogramTemporality'>,
  { intervalMs, timeoutMs }: MetricsOptions,
): MetricReader {
  const producer = new SeriesProducer({
    ...series,
    counterTemporality: temporalityOf(exporter, InstrumentType.COUNTER),
    histogramTemporality: temporalityOf(exporter, InstrumentType.HISTOGRAM),
  });
  return new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(timeoutMs, intervalMs),
    metricProducers: [producer],
  });
}

/** Says when an export fails; the reader itself only tells the SDK's diagnostics. */
function reporting(exporter: MetricExporter, reporter: FailureReporter): PushMetricExporter {
  const select = exporter.selectAggregationTemporality?.bind(exporter);
  const aggregation = exporter.selectAggregation?.bind(exporter);
  return {
    export: (metrics: ResourceMetrics, done: (result: ExportResult) => void) =>
      exporter.export(metrics, (result) => {
        if (result.code === ExportResultCode.SUCCESS) reporter.succeeded();
        else reporter.failed(0, `export failed: ${result.error?.message ?? 'unknown error'}`);
        done(result);
      }),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
    ...(select === undefined ? {} : { selectAggregationTemporality: select }),
    ...(aggregation === undefined ? {} : { selectAggregation: aggregation }),
  };
}

function temporalityOf(exporter: PushMetricExporter, instrument: InstrumentType): Temporality {
  const chosen = exporter.selectAggregationTemporality?.(instrument) ?? AggregationTemporality.CUMULATIVE;
  return chosen === AggregationTemporality.DELTA ? 'delta' : 'cumulative';
}

/** Who the agent is. */
function agentResource({ scope, hostAttributes, ownAttributes }: MetricsOptions): Resource {
  const own = resourceFromAttributes({
    ...(hostAttributes as Record<string, string>),
    'service.name': scope.name,
    'service.version': scope.version,
    'service.instance.id': randomUUID(),
    ...ownAttributes,
  });
  return defaultResource().merge(own);
}

export function observeLedger(meter: Meter, ledger: Ledger, source: { stats(): SourceStats }): void {
  const dropped = instrument(meter, 'whodns.dropped');
  const filtered = instrument(meter, 'whodns.filtered');
  const held = instrument(meter, 'whodns.held');
  meter.addBatchObservableCallback(
    (result) => {
      for (const stage of ledger.snapshot()) {
        const at = { 'whodns.stage': stage.name };
        const known = stageReasons(stage.name);
        observeReasons(result, dropped, at, { ...zeros(Object.keys(known.dropped)), ...stage.dropped });
        observeReasons(result, filtered, at, { ...zeros(Object.keys(known.filtered)), ...stage.filtered });
        result.observe(held, stage.held, at);
      }
      observeReasons(result, dropped, { 'whodns.stage': 'kernel' }, source.stats().drops);
    },
    [dropped, filtered, held],
  );
}

function zeros(reasons: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(reasons.map((reason) => [reason, 0]));
}

function observeReasons(
  result: BatchObservableResult,
  into: Observable,
  stage: Readonly<Record<string, string>>,
  reasons: Readonly<Record<string, number>>,
): void {
  for (const [reason, count] of Object.entries(reasons))
    result.observe(into, count, { ...stage, 'whodns.reason': reason });
}

export function observeSource(meter: Meter, source: { stats(): SourceStats }): void {
  const events = instrument(meter, 'whodns.kernel.events');
  const missed = instrument(meter, 'whodns.kernel.missed_runs');
  const batches = instrument(meter, 'whodns.batches');
  const bytes = instrument(meter, 'whodns.batch.bytes');
  const used = instrument(meter, 'whodns.ring.used');
  const size = instrument(meter, 'whodns.ring.size');
  meter.addBatchObservableCallback(
    (result) => {
      const stats = source.stats();
      for (const [name, count] of Object.entries(stats.counters))
        result.observe(events, count, { 'whodns.kernel.event': name });
      result.observe(missed, stats.missedRuns);
      result.observe(batches, stats.batches);
      result.observe(bytes, stats.batchBytes);
      if (stats.ring === undefined) return; // a capture file has no ring
      result.observe(used, stats.ring.used);
      result.observe(size, stats.ring.size);
    },
    [events, missed, batches, bytes, used, size],
  );
}
