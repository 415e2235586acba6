/**
 * The export of one signal: the SDK's export delegate with the `otel.sdk.exporter.*` metrics (otlp-export-metrics.ts), over our
 * transport with retries. One call is one operation whatever the number of attempts, so the metrics count every item once.
 */
import type { Attributes, MeterProvider } from '@opentelemetry/api';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import {
  createOtlpNetworkExportDelegate,
  type IExporterTransport,
  type IOtlpExportDelegate,
} from '@opentelemetry/otlp-exporter-base';
import { decodeExportResponse, type PartialSuccess } from '../../otlp/decode.ts';
import { ExportMetrics } from './export-metrics.ts';
import { RetryingTransport, type RetryOptions, UndeliveredError } from './retrying-transport.ts';
import { type OtlpTarget, type Signal, userAgent } from './target.ts';
import { createTransport } from './transport.ts';

export interface ExportParts<Item> {
  readonly signal: Signal;
  readonly target: OtlpTarget;
  readonly scope: { readonly name: string; readonly version: string };
  /** The request as it goes out; undefined when there is nothing to send. */
  readonly serialize: (item: Item) => Uint8Array | undefined;
  /** Records, data points or spans. */
  readonly count: (item: Item) => number;
  readonly retry: RetryOptions;
  /** ms of one attempt. */
  readonly attemptMs: number;
  readonly warn: (message: string) => void;
}

export type ExportOutcome =
  /** `answer` is undefined when it could not be understood. */
  | { readonly kind: 'taken'; readonly answer: PartialSuccess | undefined }
  /** `isFinal`: the server said never to send it again. */
  | {
      readonly kind: 'failed';
      readonly isFinal: boolean;
      readonly isLate: boolean;
      readonly message: string;
    };

/** As the semantic conventions call them (otel/sdk-metrics, `otel.sdk.exporter.<name>.exported`). */
const ITEMS = {
  logs: { item: 'log', component: 'log_exporter' },
  metrics: { item: 'metric_data_point', component: 'metric_exporter' },
  traces: { item: 'span', component: 'span_exporter' },
} as const satisfies Record<Signal, object>;

const NOTHING: PartialSuccess = { rejected: 0, message: '' };
const LATE = new Set(['DEADLINE_EXCEEDED', 'timeout']);

export class OtlpExport<Item> {
  readonly #parts: ExportParts<Item>;
  readonly #transport: RetryingTransport;
  readonly #delegate: IOtlpExportDelegate<Item>;
  readonly #attributes: Attributes;
  #metrics: ExportMetrics<Item>;
  /** The answer to the export that is just being settled: the delegate decodes it and calls back in one go. */
  #answer: PartialSuccess | undefined = NOTHING;

  private constructor(parts: ExportParts<Item>, transport: IExporterTransport) {
    this.#parts = parts;
    this.#transport = new RetryingTransport(transport, parts.retry);
    this.#attributes = componentAttributes(parts);
    this.#metrics = this.#metricsFor(undefined);
    this.#delegate = createOtlpNetworkExportDelegate(
      // The caller bounds how many are under way.
      {
        timeoutMillis: parts.attemptMs,
        concurrencyLimit: Number.POSITIVE_INFINITY,
        compression: 'none' as never,
      },
      {
        serializeRequest: parts.serialize,
        deserializeResponse: (bytes: Uint8Array) => {
          this.#answer = decodeExportResponse(bytes);
          return {}; // the delegate would log a partial success; whoever exports reports it
        },
      },
      this.#metrics,
      this.#transport,
    );
  }

  /** Loads what the target's protocol needs. */
  static async create<Item>(parts: ExportParts<Item>): Promise<OtlpExport<Item>> {
    const { signal, target, scope, warn } = parts;
    const transport = await createTransport({ signal, target, userAgent: userAgent(scope), warn });
    return new OtlpExport(parts, transport);
  }

  /** Never rejects. */
  send(item: Item): Promise<ExportOutcome> {
    // `observe` may come while it is under way: it ends where it began.
    const metrics = this.#metrics;
    return new Promise((resolve) => {
      this.#delegate.export(item, (result) => {
        const answer = this.#answer;
        this.#answer = NOTHING;
        if (result.code === ExportResultCode.SUCCESS) metrics.settle(answer?.rejected ?? 0);
        resolve(result.code === ExportResultCode.SUCCESS ? { kind: 'taken', answer } : failed(result));
      });
    });
  }

  /** From now on the metrics of this exporter go there. */
  observe(provider: MeterProvider): void {
    this.#metrics = this.#metricsFor(provider);
    this.#delegate.setMetrics(this.#metrics);
  }

  drain(): void {
    this.#transport.drain();
  }

  /** Cuts what is under way. */
  async shutdown(): Promise<void> {
    this.#transport.shutdown();
    await this.#delegate.shutdown();
  }

  #metricsFor(provider: MeterProvider | undefined): ExportMetrics<Item> {
    const { signal, target, count } = this.#parts;
    return new ExportMetrics({
      item: ITEMS[signal].item,
      attributes: this.#attributes,
      count,
      statusAttributes: (error) => statusAttributes(target, error),
      provider,
    });
  }
}

/** Components of one type are numbered (conventions, `otel.component.name`). */
const components = new Map<string, number>();

function componentAttributes({ signal, target }: Pick<ExportParts<never>, 'signal' | 'target'>): Attributes {
  const type = `otlp_${target.protocol === 'grpc' ? 'grpc' : 'http'}_${ITEMS[signal].component}`;
  const number = components.get(type) ?? 0;
  components.set(type, number + 1);
  return {
    'otel.component.type': type,
    'otel.component.name': `${type}/${number}`,
    ...(target.socket === undefined ? { 'server.address': target.host, 'server.port': target.port } : {}),
  };
}

function failed({ error }: ExportResult): ExportOutcome {
  return {
    kind: 'failed',
    isFinal: !(error instanceof UndeliveredError),
    isLate: LATE.has(error?.name ?? ''),
    message: error?.message ?? 'unknown error',
  };
}

/** Semantic conventions, otel/sdk-metrics: `rpc.response.status_code`, `http.response.status_code`. */
function statusAttributes(
  { protocol }: OtlpTarget,
  error: Error | string | undefined,
): Record<string, string | number> {
  const name = error instanceof Error ? error.name : undefined;
  if (protocol === 'grpc') return { 'rpc.response.status_code': name ?? 'OK' };
  if (name === undefined) return { 'http.response.status_code': 200 };
  return /^\d{3}$/.test(name) ? { 'http.response.status_code': Number(name) } : {};
}
