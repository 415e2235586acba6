/**
 * `--exporter sdk`: each record goes through OpenTelemetry's own logs SDK: a LoggerProvider with the resource of the process, the
 * BatchLogRecordProcessor and the stock OTLP/gRPC exporter. The standard way, for who relies on the SDK or holds ours against it. It
 * takes many times the processor, keeps objects in its queue and has no spool.
 */
import { type ChannelCredentials, credentials, Metadata } from '@grpc/grpc-js';
import { type Logger, type MeterProvider, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc';
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchLogRecordProcessor,
  LoggerProvider,
  type LogRecordExporter,
  type ReadableLogRecord,
} from '@opentelemetry/sdk-logs';
import type { Config } from '../../config/config.ts';
import type { Ledger, Stage } from '../../ledger.ts';
import { EXIT, UserError } from '../../lib/errors.ts';
import { hex } from '../../lib/random-bytes.ts';
import type { LogEvent, ProcessIdentity, TraceContext } from '../../model.ts';
import type { SinkDrop } from '../../tables/drops-sinks.ts';
import { FailureReporter } from '../delivery/failure-reporter.ts';
import type { AttributeLimits } from '../limits.ts';
import { type Notices, type Sink, stageName } from '../sink.ts';
import { type OtlpTarget, otlpTarget } from './target.ts';
import { WatchedCertificates } from './transport-tls.ts';

export interface SdkSinkOptions {
  readonly target: OtlpTarget;
  readonly scope: { readonly name: string; readonly version: string };
  readonly ledger: Ledger;
  readonly notices: Notices;
  readonly limits: AttributeLimits;
  /** Records in one request. */
  readonly batchSize: number;
  /** Records that may wait or be under way. */
  readonly queueSize: number;
  /** ms a record waits at most for its request to fill; ms of one export. */
  readonly delayMs: number;
  readonly timeoutMs: number;
  /** Called once, when the destination has taken its first records. */
  readonly onAccepted?: (target: OtlpTarget) => void;
  /** Takes the SDK's metrics of processor and exporter. */
  readonly meterProvider?: MeterProvider;
}

/** Records are objects of some KB until they are sent. */
const DEFAULT_QUEUE = 8192;

export interface SdkSinkParts extends Pick<SdkSinkOptions, 'scope' | 'ledger' | 'notices' | 'onAccepted'> {
  readonly config: Config;
  readonly meterProvider: MeterProvider | undefined;
}

/** @throws UserError for an endpoint that makes no sense */
export function createSdkSink({ config, meterProvider, ...parts }: SdkSinkParts): SdkSink {
  const queueSize = config.batchQueueSize ?? DEFAULT_QUEUE;
  return new SdkSink({
    ...parts,
    target: otlpTarget(config, 'logs'),
    limits: { count: config.attributeCountLimit, length: config.attributeLengthLimit },
    batchSize: Math.min(config.batchSize, queueSize),
    queueSize,
    delayMs: config.batchDelayMs,
    timeoutMs: config.batchTimeoutMs,
    ...(meterProvider === undefined ? {} : { meterProvider }),
  });
}

const SDK_SINK = 'sdk';
/** gRPC status (grpc/doc/statuscodes.md). */
const DEADLINE_EXCEEDED = 4;

export class SdkSink implements Sink {
  readonly name = SDK_SINK;
  readonly #options: SdkSinkOptions;
  readonly #stage: Stage<`sink:${string}`>;
  readonly #reporter: FailureReporter;
  readonly #processor: BatchLogRecordProcessor;
  readonly #loggers = new WeakMap<ProcessIdentity, Logger>();
  /** Given to the SDK and not settled. */
  #held = 0;
  #flushed: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  /** What is settled from here on was counted as lost. */
  #closed = false;

  /** @throws UserError for a target that the stock exporter does not know */
  constructor(options: SdkSinkOptions) {
    this.#options = options;
    const { ledger, notices, meterProvider } = options;
    this.#reporter = new FailureReporter(this.name, notices);
    this.#stage = ledger.stage(stageName(this.name));
    this.#stage.held = () => this.#held;
    this.#processor = new BatchLogRecordProcessor({
      exporter: counted(stockExporter(options), (count, result) => this.#settle(count, result)),
      maxExportBatchSize: options.batchSize,
      maxQueueSize: options.queueSize,
      scheduledDelayMillis: options.delayMs,
      exportTimeoutMillis: options.timeoutMs,
      ...(meterProvider === undefined ? {} : { selfObsMeterProvider: meterProvider }),
    });
  }

  accept(event: LogEvent): void {
    this.#stage.in++;
    if (this.#closing !== undefined) {
      this.#stage.drop('closed');
      return;
    }
    // The processor drops without a word what its queue has no room for.
    if (this.#held >= this.#options.queueSize) {
      this.#stage.drop('queue_full');
      this.#reporter.failed(1, 'the queue is full, the destination is too slow or away');
      return;
    }
    this.#held++;
    this.#loggerOf(event.process).emit({
      timestamp: hrTime(event.time),
      observedTimestamp: hrTime(event.observedTime),
      severityNumber: event.severity,
      body: event.body,
      eventName: event.eventName,
      attributes: { ...event.attributes },
      context: contextOf(event.trace),
    });
  }

  /** One after the other: the processor answers a flush during another one at once. */
  flush(): Promise<void> {
    this.#flushed = this.#flushed.then(() => this.#processor.forceFlush().catch(() => undefined));
    return this.#flushed;
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const handle = setTimeout(late.resolve, deadlineMs);
    const drained = this.flush().then(() => this.#processor.shutdown());
    await Promise.race([drained.catch(() => undefined), late.promise]);
    clearTimeout(handle);
    this.#closed = true;
    this.#stage.drop('shutdown', this.#held);
    this.#reporter.finish(this.#held);
    this.#held = 0;
  }

  #settle(count: number, { code, error }: ExportResult): void {
    if (this.#closed) return;
    this.#held -= count;
    if (code === ExportResultCode.SUCCESS) {
      if (this.#stage.out === 0) this.#options.onAccepted?.(this.#options.target);
      this.#stage.out += count;
      this.#reporter.succeeded();
      return;
    }
    this.#stage.drop(reasonOf(error), count);
    this.#reporter.failed(count, error?.message ?? 'unknown error');
  }

  /** The SDK has one resource for each provider; the queue behind them is one. */
  #loggerOf(process: ProcessIdentity): Logger {
    const known = this.#loggers.get(process);
    if (known !== undefined) return known;
    const { scope, limits } = this.#options;
    const provider = new LoggerProvider({
      resource: resourceFromAttributes({ ...process.resource }),
      processors: [this.#processor],
      logRecordLimits: {
        attributeCountLimit: limits.count,
        attributeValueLengthLimit: limits.length ?? Number.POSITIVE_INFINITY,
      },
    });
    const logger = provider.getLogger(scope.name, scope.version);
    this.#loggers.set(process, logger);
    return logger;
  }
}

function stockExporter({
  target,
  scope,
  timeoutMs,
  meterProvider,
  notices,
}: SdkSinkOptions): OTLPLogExporter {
  const { host, port, socket, tls, compression } = target;
  if (target.protocol !== 'grpc' || compression === 'zstd')
    throw new UserError(
      `--exporter sdk: ${target.shown}: the SDK's exporter has neither HTTP nor zstd here`,
      {
        hint: 'take OTEL_EXPORTER_OTLP_PROTOCOL grpc and compression gzip or none, or --exporter otlp',
        exitCode: EXIT.usage,
      },
    );
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(target.headers)) metadata.set(name, value);
  return new OTLPLogExporter({
    url: socket === undefined ? `${tls === undefined ? 'http' : 'https'}://${authority}` : `unix://${socket}`,
    credentials: tls === undefined ? credentials.createInsecure() : secured(tls, notices),
    metadata,
    compression: compression === 'gzip' ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE,
    timeoutMillis: Math.min(target.timeoutMs, timeoutMs),
    userAgent: `${scope.name}/${scope.version}`,
    ...(meterProvider === undefined ? {} : { selfObsMeterProvider: meterProvider }),
  });
}

/** Read once: the stock exporter takes no others later. */
function secured(files: NonNullable<OtlpTarget['tls']>, notices: Notices): ChannelCredentials {
  const { ca, key, cert } = new WatchedCertificates(files, (message) => notices.warn(message)).current();
  return credentials.createSsl(ca ?? null, key ?? null, cert ?? null);
}

/** The processor tells no one what became of a batch. */
function counted(
  exporter: LogRecordExporter,
  settle: (count: number, result: ExportResult) => void,
): LogRecordExporter {
  return {
    export(records: ReadableLogRecord[], done: (result: ExportResult) => void): void {
      exporter.export(records, (result) => {
        settle(records.length, result);
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

function reasonOf(error: (Error & { readonly code?: unknown }) | undefined): SinkDrop {
  return error?.code === DEADLINE_EXCEEDED ? 'timeout' : 'failed';
}

export function contextOf(span: TraceContext | undefined): typeof ROOT_CONTEXT {
  if (span === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, flags } = span;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: hex(traceId),
    spanId: hex(spanId),
    traceFlags: flags,
  });
}

/** @param time Unix ns; @returns [seconds, nanoseconds] */
export function hrTime(time: bigint): [number, number] {
  return [Number(time / 1_000_000_000n), Number(time % 1_000_000_000n)];
}
