/**
 * OTLP/JSON lines in a file, one ExportLogsServiceRequest or ExportMetricsServiceRequest a line: what the Collector's
 * file exporter writes and its otlp_json_file receiver reads (OpenTelemetry specification, "OpenTelemetry Protocol File
 * Exporter").
 */
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { JsonMetricsSerializer } from '@opentelemetry/otlp-transformer';
import type { PushMetricExporter, ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { Ledger } from '../../ledger.ts';
import {
  type DeliveryLimits,
  DeliverySink,
  type RequestSender,
  type SendResult,
} from '../delivery/delivery.ts';
import { FailureReporter } from '../delivery/failure-reporter.ts';
import type { RequestStore, SealedRequest } from '../delivery/request-store.ts';
import type { Notices } from '../sink.ts';
import { canonicalMetricsRequest, JsonLinesEncoder } from './json.ts';
import type { LinesFile } from './lines-file.ts';

export interface OtlpFileOptions {
  /** `otlp-file` unless there are several. */
  readonly name?: string;
  readonly file: LinesFile;
  readonly scope: { readonly name: string; readonly version: string };
  readonly ledger: Ledger;
  readonly notices: Notices;
  readonly store: RequestStore;
  readonly limits: Omit<DeliveryLimits, 'concurrency'>;
}

/** Characters of one line: readers have a bound for them (the Collector's file receivers: 1 MiB unless configured). */
const MAX_LINE = 1_000_000;

/** A sink that writes records to the file. */
export function createOtlpFileSink(options: OtlpFileOptions): DeliverySink {
  const { file, scope, ledger, notices, store, limits } = options;
  const name = options.name ?? 'otlp-file';
  return new DeliverySink({
    name,
    encoder: new JsonLinesEncoder(scope, MAX_LINE),
    store,
    sender: new FileSender(file.use()),
    ledger,
    reporter: new FailureReporter(name, notices),
    limits: { ...limits, concurrency: 1 },
  });
}

/** Writes once: a file that cannot be written to now is not waited for. */
class FileSender implements RequestSender {
  readonly #file: LinesFile;

  constructor(file: LinesFile) {
    this.#file = file;
  }

  async send({ bytes }: SealedRequest): Promise<SendResult> {
    try {
      await this.#file.append(bytes);
      return { kind: 'delivered', rejected: 0, warning: undefined };
    } catch (error) {
      const { message } = error as Error;
      const { path } = this.#file;
      const said = message.includes(path) ? message : `${path}: ${message}`;
      return { kind: 'refused', reason: 'failed', message: said };
    }
  }

  drain(): void {}

  shutdown(): Promise<void> {
    return this.#file.release();
  }
}

/** Metrics to the same kind of file, for MetricsSink; cumulative. */
export function createOtlpFileMetricExporter(file: LinesFile): PushMetricExporter {
  file.use();
  let released: Promise<void> | undefined;
  return {
    export(metrics: ResourceMetrics, done: (result: ExportResult) => void): void {
      const bytes = JsonMetricsSerializer.serializeRequest(metrics);
      file.append(Buffer.from(`${canonicalMetricsRequest(new TextDecoder().decode(bytes))}\n`)).then(
        () => done({ code: ExportResultCode.SUCCESS }),
        (error: Error) => done({ code: ExportResultCode.FAILED, error }),
      );
    },
    forceFlush: async () => {},
    shutdown(): Promise<void> {
      released ??= file.release();
      return released;
    },
  };
}
