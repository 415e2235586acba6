/** Records as OTLP logs over gRPC or http/protobuf: encoder, queue and sender put together. */
import type { MeterProvider } from '@opentelemetry/api';
import type { Ledger } from '../../ledger.ts';
import type { LogEvent } from '../../model.ts';
import type { ProtobufWriter } from '../../otlp/encode.ts';
import {
  type DeliveryLimits,
  DeliverySink,
  type RequestSender,
  type SendResult,
} from '../delivery/delivery.ts';
import { FailureReporter } from '../delivery/failure-reporter.ts';
import type { RequestStore, SealedRequest } from '../delivery/request-store.ts';
import type { Notices } from '../sink.ts';
import { LogsRequestEncoder } from './encode-request.ts';
import { type ExportOutcome, OtlpExport } from './export.ts';
import type { OtlpTarget, Signal } from './target.ts';

/**
 * Bytes of one request, uncompressed: gRPC servers refuse more than 4 MiB unless configured (grpc-go and the Collector,
 * max_recv_msg_size).
 */
export const MAX_REQUEST_BYTES = 3_500_000;

export interface OtlpLogsOptions {
  /** Records unless it says otherwise. */
  readonly kind?: {
    readonly signal: Signal;
    readonly name: string;
    readonly write: (writer: ProtobufWriter, event: LogEvent) => void;
  };
  readonly target: OtlpTarget;
  readonly scope: { readonly name: string; readonly version: string };
  readonly ledger: Ledger;
  readonly notices: Notices;
  readonly store: RequestStore;
  readonly limits: DeliveryLimits;
  /** ms of one attempt; the target's own time-out may be shorter. */
  readonly attemptMs: number;
  /** ms after which a request is not tried again; Infinity = never. */
  readonly retryForMs: number;
  /** Called once, when the destination has taken its first records. */
  readonly onAccepted?: () => void;
  /** Takes the SDK's metrics of this exporter. */
  readonly meterProvider?: MeterProvider;
}

export async function createOtlpLogsSink(options: OtlpLogsOptions): Promise<DeliverySink> {
  const { kind, target, scope, ledger, notices, store, limits, meterProvider } = options;
  const name = kind?.name ?? 'otlp';
  const reporter = new FailureReporter(name, notices);
  const logs = await OtlpExport.create<SealedRequest>({
    signal: kind?.signal ?? 'logs',
    target,
    scope,
    serialize: ({ bytes }) => bytes,
    count: ({ records }) => records,
    retry: {
      longestMs: options.retryForMs,
      onRetry: (message) => reporter.failed(0, `${message}; it is tried again`),
    },
    attemptMs: Math.min(target.timeoutMs, options.attemptMs),
    warn: (message) => notices.warn(`${name}: ${message}`),
  });
  if (meterProvider !== undefined) logs.observe(meterProvider);
  const encoder = new LogsRequestEncoder({ scope, maxBytes: MAX_REQUEST_BYTES, write: kind?.write });
  const sender = new LogsSender(logs);
  return new DeliverySink({
    name,
    encoder,
    store,
    sender,
    ledger,
    reporter,
    limits,
    onAccepted: options.onAccepted,
  });
}

class LogsSender implements RequestSender {
  readonly #logs: OtlpExport<SealedRequest>;
  #hurried = false;

  constructor(logs: OtlpExport<SealedRequest>) {
    this.#logs = logs;
  }

  async send(request: SealedRequest): Promise<SendResult> {
    return this.#result(await this.#logs.send(request));
  }

  drain(): void {
    this.#hurried = true;
    this.#logs.drain();
  }

  shutdown(): Promise<void> {
    return this.#logs.shutdown();
  }

  #result(outcome: ExportOutcome): SendResult {
    if (outcome.kind === 'taken') {
      // The server took it; sending it again because of a strange answer would double it.
      if (outcome.answer === undefined)
        return { kind: 'delivered', rejected: 0, warning: 'the answer of the server is not understood' };
      const { rejected, message } = outcome.answer;
      return { kind: 'delivered', rejected, warning: message === '' ? undefined : message };
    }
    const { isFinal, isLate, message } = outcome;
    if (!isFinal && this.#hurried) return { kind: 'undelivered', message };
    return { kind: 'refused', reason: isLate ? 'timeout' : 'failed', message };
  }
}
