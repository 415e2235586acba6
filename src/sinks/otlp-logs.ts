/**
 * Records as OTLP logs over gRPC or http/protobuf. Endpoint, TLS, headers, compression and timeout come from the standard
 * OTEL_EXPORTER_OTLP_* variables, which the SDK's exporter packages read themselves.
 *
 * The SDK's OTLPLogExporter is a thin shell around an export delegate and hides the answer of the server; the delegate is
 * made here from the same parts, with a serializer that keeps the answer: records that the server rejected (partial
 * success) are lost and must be counted (OTLP specification, "Partial Success").
 */
import { ExportResultCode } from '@opentelemetry/core';
import type { IOtlpExportDelegate } from '@opentelemetry/otlp-exporter-base';
import {
  convertLegacyHttpOptions,
  createOtlpHttpExportDelegate,
} from '@opentelemetry/otlp-exporter-base/node-http';
import {
  convertLegacyOtlpGrpcOptions,
  createOtlpGrpcExportDelegate,
} from '@opentelemetry/otlp-grpc-exporter-base';
import {
  type IExportLogsServiceResponse,
  type ISerializer,
  LogsExporterMetricsHelper,
  ProtobufLogsSerializer,
} from '@opentelemetry/otlp-transformer';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Ledger } from '../health.ts';
import type { LogEvent } from '../model.ts';
import {
  BATCH_DEFAULTS,
  type BatchExporter,
  BatchingSink,
  type BatchOptions,
  type BatchResult,
} from './batching.ts';
import { OtlpRecords } from './otlp-records.ts';
import { fromEndpoint, type OtlpTarget, requireHttp, shownEndpoint } from './otlp-target.ts';
import type { Notices } from './sink.ts';

export interface OtlpLogsOptions extends OtlpTarget {
  readonly ledger: Ledger;
  readonly notices: Notices;
  readonly batch?: Partial<BatchOptions>;
}

/** @throws UserError when the endpoint cannot be used */
export function createOtlpLogsSink(options: OtlpLogsOptions): BatchingSink {
  const batch = { ...BATCH_DEFAULTS, ...options.batch };
  const exporter = new OtlpLogsExporter(options, batch);
  return new BatchingSink('otlp', exporter, options.ledger, options.notices, batch);
}

type Records = ReadableLogRecord[];

class OtlpLogsExporter implements BatchExporter {
  readonly #records: OtlpRecords;
  readonly #delegate: IOtlpExportDelegate<Records>;
  readonly #endpoint: string;
  /** The answer to the export that is just being settled: the delegate decodes it and calls back in one go. */
  #answer: IExportLogsServiceResponse | undefined;

  constructor(target: OtlpTarget, batch: BatchOptions) {
    this.#records = new OtlpRecords(target.scope);
    const serializer: ISerializer<Records, IExportLogsServiceResponse> = {
      serializeRequest: (records) => ProtobufLogsSerializer.serializeRequest(records),
      deserializeResponse: (bytes) => {
        this.#answer = ProtobufLogsSerializer.deserializeResponse(bytes);
        return {}; // the delegate would log a partial success; it is reported here
      },
    };
    const { delegate, url } = fromEndpoint(() => createDelegate(target, serializer, batch));
    this.#delegate = delegate;
    this.#endpoint = shownEndpoint(url);
  }

  size(event: LogEvent, resourceSeen: boolean): number {
    return this.#records.size(event, resourceSeen);
  }

  export(events: readonly LogEvent[]): Promise<BatchResult> {
    const records = events.map((event) => this.#records.record(event));
    return new Promise((resolve) => {
      this.#delegate.export(records, (result) => {
        const answer = this.#answer;
        this.#answer = undefined;
        resolve(
          result.code === ExportResultCode.SUCCESS
            ? accepted(answer)
            : { rejected: 0, failure: failure(result.error, this.#endpoint), warning: undefined },
        );
      });
    });
  }

  shutdown(): Promise<void> {
    return this.#delegate.shutdown();
  }
}

function accepted(answer: IExportLogsServiceResponse | undefined): BatchResult {
  const { rejectedLogRecords, errorMessage } = answer?.partialSuccess ?? {};
  const rejected = Number(rejectedLogRecords ?? 0);
  const warning = errorMessage === undefined || errorMessage === '' ? undefined : errorMessage;
  return { rejected, failure: undefined, warning };
}

const GRPC_DEADLINE_EXCEEDED = 4;

function failure(
  error: (Error & { code?: unknown }) | undefined,
  endpoint: string,
): NonNullable<BatchResult['failure']> {
  // grpc-js appends what its resolver had to say, mostly nothing.
  const message = (error?.message ?? 'unknown error').replace(/\s*Resolution note:\s*$/, '');
  const late = error?.code === GRPC_DEADLINE_EXCEEDED || /timed? ?out/i.test(message);
  return { reason: late ? 'timeout' : 'failed', message: `${endpoint}: ${message}` };
}

interface Delegate {
  readonly delegate: IOtlpExportDelegate<Records>;
  readonly url: string;
}

function createDelegate(
  { protocol, url, scope }: OtlpTarget,
  serializer: ISerializer<Records, IExportLogsServiceResponse>,
  { maxInFlight, timeoutMs }: BatchOptions,
): Delegate {
  const userAgent = `${scope.name}/${scope.version}`;
  const legacy = { concurrencyLimit: maxInFlight, userAgent, ...(url === undefined ? {} : { url }) };
  // A request that is given up must not stay under way: it could still be delivered after it was counted as lost.
  const within = <T extends { timeoutMillis: number }>(config: T): T => ({
    ...config,
    timeoutMillis: Math.min(config.timeoutMillis, timeoutMs),
  });
  if (protocol === 'grpc') {
    const config = within(convertLegacyOtlpGrpcOptions(legacy, 'LOGS'));
    const delegate = createOtlpGrpcExportDelegate(
      config,
      serializer,
      'otlp_grpc_log_exporter',
      LogsExporterMetricsHelper,
      undefined,
      'LogsExportService',
      '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
    );
    return { delegate, url: config.url };
  }
  const headers = { 'Content-Type': 'application/x-protobuf' };
  const config = within(convertLegacyHttpOptions(legacy, 'LOGS', 'v1/logs', headers));
  requireHttp(config.url);
  const name = 'otlp_http_log_exporter';
  const delegate = createOtlpHttpExportDelegate(
    config,
    serializer,
    name,
    LogsExporterMetricsHelper,
    undefined,
  );
  return { delegate, url: config.url };
}
