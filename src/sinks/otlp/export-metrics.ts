/**
 * The `otel.sdk.exporter.*` metrics of one exporter, as the SDK's class has them, with what that leaves out: items that a
 * partial success rejects count as failed, `error.type` `rejected` (semantic conventions, otel/sdk-metrics: "MUST").
 */
import type { Attributes, Counter, Histogram, MeterProvider, UpDownCounter } from '@opentelemetry/api';
import { createNoopMeter } from '@opentelemetry/api';
import { ExporterMetrics } from '@opentelemetry/otlp-exporter-base';

/** The SDK's own scope for these, so that nothing changes for who reads them. */
const SCOPE = '@opentelemetry/otlp-exporter';

export interface ExportMetricsParts<Item> {
  /** As in the names of the metrics: log, span, metric_data_point. */
  readonly item: 'log' | 'span' | 'metric_data_point';
  /** Type and name of the component, address of the server. */
  readonly attributes: Attributes;
  readonly count: (item: Item) => number;
  readonly statusAttributes: (error: Error | string | undefined) => Attributes;
  readonly provider: MeterProvider | undefined;
}

export class ExportMetrics<Item> extends ExporterMetrics<Item> {
  readonly #parts: ExportMetricsParts<Item>;
  readonly #inflight: UpDownCounter;
  readonly #exported: Counter;
  readonly #duration: Histogram;
  /** The delegate says that an export has ended before it decodes the answer, and calls back after that, in one go. */
  #ended: ((rejected: number) => void) | undefined;

  constructor(parts: ExportMetricsParts<Item>) {
    super({
      componentType: '',
      metricsHelper: { name: parts.item, countItems: parts.count },
      url: undefined,
      meterProvider: undefined,
      responseAttributesFromError: () => ({}),
    });
    this.#parts = parts;
    const { item, provider } = parts;
    const meter = provider?.getMeter(SCOPE) ?? createNoopMeter();
    const unit = `{${item}}`;
    this.#inflight = meter.createUpDownCounter(`otel.sdk.exporter.${item}.inflight`, { unit });
    this.#exported = meter.createCounter(`otel.sdk.exporter.${item}.exported`, { unit });
    this.#duration = meter.createHistogram('otel.sdk.exporter.operation.duration', {
      unit: 's',
      advice: { explicitBucketBoundaries: [] },
    });
  }

  override startExport(item: Item): (error: Error | string | undefined) => void {
    const { attributes, count, statusAttributes } = this.#parts;
    const items = count(item);
    const start = performance.now();
    this.#inflight.add(items, attributes);
    const end = (error: Error | string | undefined, rejected: number): void => {
      const failed =
        error === undefined ? {} : { 'error.type': error instanceof Error ? error.name : 'export_failed' };
      this.#inflight.add(-items, attributes);
      if (items > rejected) this.#exported.add(items - rejected, { ...attributes, ...failed });
      if (rejected > 0) this.#exported.add(rejected, { ...attributes, 'error.type': 'rejected' });
      const seconds = (performance.now() - start) / 1000;
      this.#duration.record(seconds, { ...attributes, ...failed, ...statusAttributes(error) });
    };
    return (error) => {
      if (error !== undefined) end(error, 0);
      // A destination that claims to have rejected more than it was given cannot make the books wrong.
      else this.#ended = (rejected) => end(undefined, Math.min(Math.max(rejected, 0), items));
    };
  }

  /** The export that has just ended was taken, but for so many items. */
  settle(rejected: number): void {
    this.#ended?.(rejected);
    this.#ended = undefined;
  }
}
