/**
 * The agent's metrics as Prometheus reads them (text exposition format 0.0.4), made when somebody asks. Text, escaping and
 * `_total` are the OpenTelemetry exporter's; its own HTTP server is not used. Units are appended here, as the Collector and
 * Prometheus' OTLP receiver do (specification, compatibility/prometheus_and_openmetrics.md, "Metric Metadata"): one metric
 * has one name, whichever way it came.
 */
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import {
  type MetricData,
  type MetricProducer,
  MetricReader,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { Scraped } from './sink.ts';

const UNITS: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes' };

/** For a MetricsSink; `scrape` gives its metrics once it is made. */
export function createScraped(): { readonly exporter: Scraped; readonly scrape: () => Promise<string> } {
  let reader: ScrapeReader | undefined;
  return {
    exporter: {
      reader: (producer) => {
        reader = new ScrapeReader(producer);
        return reader;
      },
    },
    scrape: async () => (await reader?.scrape()) ?? '',
  };
}

/** On every series, not in `target_info` alone: which host said it (otel-config/collector/prometheus.yaml copies the same). */
const SERIES_LABELS = /^(?:host\.name|k8s\.(?:node|cluster)\.name)$/;

/** Collects when asked, at any time and never by itself. */
class ScrapeReader extends MetricReader {
  readonly #serializer = new PrometheusSerializer('', false, SERIES_LABELS);
  #underWay: Promise<string> | undefined;

  constructor(producer: MetricProducer) {
    super({ metricProducers: [producer] });
  }

  /** Callers at the same time get the same text. */
  scrape(): Promise<string> {
    this.#underWay ??= this.#collect().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #collect(): Promise<string> {
    const { resourceMetrics } = await this.collect();
    return this.#serializer.serialize(withUnits(resourceMetrics));
  }

  protected async onForceFlush(): Promise<void> {}

  protected async onShutdown(): Promise<void> {}
}

function withUnits(metrics: ResourceMetrics): ResourceMetrics {
  return {
    ...metrics,
    scopeMetrics: metrics.scopeMetrics.map((scope) => ({ ...scope, metrics: scope.metrics.map(named) })),
  };
}

function named(metric: MetricData): MetricData {
  const unit = UNITS[metric.descriptor.unit];
  const { descriptor } = metric;
  if (unit === undefined || descriptor.name.endsWith(unit)) return metric;
  return { ...metric, descriptor: { ...descriptor, name: `${descriptor.name}_${unit}` } };
}
