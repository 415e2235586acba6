/** OTLP/gRPC (OTLP specification, "OTLP/gRPC"): one unary call a request, the sealed bytes as they are. */
import {
  type ChannelCredentials,
  Client,
  type ClientOptions,
  type ClientUnaryCall,
  compressionAlgorithms,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { ExportResponse, IExporterTransport } from '@opentelemetry/otlp-exporter-base';
import { decodeRetryDelay } from './otlp-decode.ts';
import type { OtlpTarget, Signal } from './otlp-target.ts';
import { AttemptError, MAX_RESPONSE_BYTES, type TransportParts } from './otlp-transport.ts';
import { type TlsMaterial, WatchedCertificates } from './otlp-transport-tls.ts';

const METHODS: Readonly<Record<Signal, string>> = {
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
};

/** OTLP specification, "OTLP/gRPC Response", "Failures". RESOURCE_EXHAUSTED only together with RetryInfo. */
const RETRYABLE: ReadonlySet<number> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

/**
 * A connection whose other end is gone without a word answers nothing. Pings find that out while a call is under way;
 * gRPC servers refuse more frequent ones from clients without calls (gRPC keepalive, "too_many_pings"). The channel is
 * built anew after some calls in a row without answer as well.
 */
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
const UNANSWERED_CALLS = 4;
/** grpc-js waits up to two minutes between two attempts to connect unless told otherwise. */
const RECONNECT_MS = { first: 500, longest: 5000 };

/** One channel and the calls on it. */
interface Connection {
  readonly client: Client;
  readonly material: TlsMaterial | undefined;
  calls: number;
  retired: boolean;
}

export class GrpcTransport implements IExporterTransport {
  readonly #target: OtlpTarget;
  readonly #method: string;
  readonly #certificates: WatchedCertificates | undefined;
  readonly #metadata = new Metadata();
  readonly #options: ClientOptions;
  readonly #calls = new Set<ClientUnaryCall>();
  #connection: Connection | undefined;
  #unanswered = 0;

  constructor({ target, signal, userAgent, warn }: TransportParts) {
    this.#target = target;
    this.#method = METHODS[signal];
    this.#certificates = target.tls === undefined ? undefined : new WatchedCertificates(target.tls, warn);
    for (const [name, value] of Object.entries(target.headers)) this.#metadata.set(name, value);
    this.#options = {
      'grpc.primary_user_agent': userAgent,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_MS.first,
      'grpc.max_reconnect_backoff_ms': RECONNECT_MS.longest,
      'grpc.max_receive_message_length': MAX_RESPONSE_BYTES,
      'grpc.enable_retries': 0,
      // Another transport of this program to the same server must not see this one's certificates.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.default_compression_algorithm':
        target.compression === 'gzip' ? compressionAlgorithms.gzip : compressionAlgorithms.identity,
    };
  }

  async send(data: Uint8Array, timeoutMillis: number): Promise<ExportResponse> {
    let connection: Connection;
    try {
      connection = this.#connect();
    } catch (error) {
      return { status: 'retryable', error: new AttemptError('certificate', (error as Error).message) };
    }
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const { promise, resolve } = Promise.withResolvers<ExportResponse>();
    connection.calls++;
    const call = connection.client.makeUnaryRequest(
      this.#method,
      (message: Buffer) => message,
      (message: Buffer) => message,
      bytes,
      this.#metadata,
      { deadline: Date.now() + timeoutMillis },
      (error, answer) => {
        this.#calls.delete(call);
        this.#ended(connection, error);
        resolve(
          error === null ? { status: 'success', ...(answer && { data: answer }) } : this.#failed(error),
        );
      },
    );
    this.#calls.add(call);
    return promise;
  }

  shutdown(): void {
    for (const call of this.#calls) call.cancel();
    if (this.#connection !== undefined) this.#retire(this.#connection);
    this.#connection = undefined;
  }

  /** The present channel; a new one when the certificates have changed. */
  #connect(): Connection {
    const material = this.#certificates?.current();
    if (this.#connection !== undefined && this.#connection.material === material) return this.#connection;
    const client = new Client(address(this.#target), channelCredentials(material), this.#options);
    if (this.#connection !== undefined) this.#retire(this.#connection);
    this.#connection = { client, material, calls: 0, retired: false };
    return this.#connection;
  }

  #ended(connection: Connection, error: ServiceError | null): void {
    connection.calls--;
    if (connection.retired && connection.calls === 0) connection.client.close();
    this.#unanswered = error?.code === status.DEADLINE_EXCEEDED ? this.#unanswered + 1 : 0;
    if (this.#unanswered < UNANSWERED_CALLS || connection !== this.#connection) return;
    this.#unanswered = 0;
    this.#retire(connection);
    this.#connection = undefined;
  }

  /** Calls under way end on their channel. */
  #retire(connection: Connection): void {
    connection.retired = true;
    if (connection.calls === 0) connection.client.close();
  }

  #failed(error: ServiceError): ExportResponse {
    const delay = retryDelay(error);
    const failure = new AttemptError(
      status[error.code] ?? '_OTHER',
      `${this.#target.shown}: ${statusText(error)}`,
    );
    const isTold = error.code === status.RESOURCE_EXHAUSTED && delay !== undefined;
    if (!RETRYABLE.has(error.code) && !isTold && !isReset(error))
      return { status: 'failure', error: failure };
    return { status: 'retryable', error: failure, ...(delay === undefined ? {} : { retryInMillis: delay }) };
  }
}

/** As grpc-js names its servers (gRPC name resolution). */
function address({ host, port, socket }: OtlpTarget): string {
  if (socket !== undefined) return `unix:${socket}`;
  return `dns:${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function channelCredentials(material: TlsMaterial | undefined): ChannelCredentials {
  if (material === undefined) return credentials.createInsecure();
  const { ca, key, cert } = material;
  return credentials.createSsl(ca ?? null, key ?? null, cert ?? null);
}

/**
 * The transport ended the call, no answer of the collector did: RST_STREAM, or GOAWAY with the request under way, as a proxy or a
 * server under load sends them. grpc-js makes a status of the error code (ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED, others: INTERNAL), with
 * these texts and without the metadata of trailers (subchannel-call.js, on 'close').
 */
function isReset({ details, metadata }: ServiceError): boolean {
  const isText =
    details === 'Bandwidth exhausted or memory limit exceeded' || details.startsWith('Received RST_STREAM');
  return isText && Object.keys(metadata?.getMap() ?? {}).length === 0;
}

function retryDelay(error: ServiceError): number | undefined {
  const [details] = error.metadata?.get('grpc-status-details-bin') ?? [];
  return details instanceof Buffer ? decodeRetryDelay(details) : undefined;
}

/** grpc-js appends what its resolver had to say, mostly nothing. */
function statusText(error: ServiceError): string {
  const details = error.details.replace(/\s*Resolution note:\s*$/, '');
  return `${status[error.code] ?? error.code}: ${details === '' ? 'no reason given' : details}`;
}
