/** Metrics to an OTLP endpoint, for MetricsSink: the same transport as records, with retries inside the export's time. */
import type { MeterProvider } from '@opentelemetry/api';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { MetricsExporterMetricsHelper, ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import {
  AggregationTemporality,
  InstrumentType,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { Config } from '../../config/config.ts';
import { OtlpExport } from './export.ts';
import type { OtlpTarget } from './target.ts';

export interface MetricExporter extends PushMetricExporter {
  /** From now on the SDK's metrics of the exporter itself go there. */
  observe?(provider: MeterProvider): void;
}

export interface OtlpMetricOptions {
  readonly target: OtlpTarget;
  readonly scope: { readonly name: string; readonly version: string };
  readonly temporality: Config['metricsTemporality'];
  /** ms that one export may take with all its attempts. */
  readonly timeoutMs: number;
  readonly warn: (message: string) => void;
}

export async function createOtlpMetricExporter(options: OtlpMetricOptions): Promise<MetricExporter> {
  const { target, scope, temporality, timeoutMs, warn } = options;
  const metrics = await OtlpExport.create<ResourceMetrics>({
    signal: 'metrics',
    target,
    scope,
    serialize: (each) => ProtobufMetricsSerializer.serializeRequest(each),
    count: (each) => MetricsExporterMetricsHelper.countItems(each),
    // Cumulative sums come again with the next export: what failed is not worth a word before that.
    retry: { longestMs: timeoutMs, onRetry: () => {} },
    attemptMs: target.timeoutMs,
    warn,
  });
  return {
    export: (each: ResourceMetrics, done: (result: ExportResult) => void) => {
      void metrics.send(each).then((outcome) => {
        if (outcome.kind === 'failed')
          done({ code: ExportResultCode.FAILED, error: new Error(outcome.message) });
        else {
          const { rejected, message } = outcome.answer ?? { rejected: 0, message: 'strange answer' };
          if (rejected > 0 || message !== '') warn(`${rejected} points rejected: ${message}`);
          done({ code: ExportResultCode.SUCCESS });
        }
      });
    },
    forceFlush: async () => {},
    shutdown: () => metrics.shutdown(),
    observe: (provider) => metrics.observe(provider),
    selectAggregationTemporality: (instrument) => TEMPORALITY[temporality](instrument),
  };
}

const { CUMULATIVE, DELTA } = AggregationTemporality;
const UP_DOWN: ReadonlySet<InstrumentType> = new Set([
  InstrumentType.UP_DOWN_COUNTER,
  InstrumentType.OBSERVABLE_UP_DOWN_COUNTER,
]);
const SYNCHRONOUS: ReadonlySet<InstrumentType> = new Set([InstrumentType.COUNTER, InstrumentType.HISTOGRAM]);

/** Specification, metrics/sdk_exporters/otlp.md, "Temporality preference". */
const TEMPORALITY: Readonly<
  Record<Config['metricsTemporality'], (instrument: InstrumentType) => AggregationTemporality>
> = {
  cumulative: () => CUMULATIVE,
  delta: (instrument) => (UP_DOWN.has(instrument) ? CUMULATIVE : DELTA),
  lowmemory: (instrument) => (SYNCHRONOUS.has(instrument) ? DELTA : CUMULATIVE),
};
