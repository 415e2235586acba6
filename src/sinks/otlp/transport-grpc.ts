/**
 * OTLP/gRPC (OTLP specification, "OTLP/gRPC"): one unary call a request, the sealed bytes as they are, over node:http2
 * (grpc/doc/PROTOCOL-HTTP2.md). A gRPC library would cost several times as much a record.
 */
import { type ClientHttp2Stream, constants, type OutgoingHttpHeaders } from 'node:http2';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { ExportResponse, IExporterTransport } from '@opentelemetry/otlp-exporter-base';
import { AttemptError, MAX_RESPONSE_BYTES, type TransportParts } from './attempt.ts';
import { compressed } from './compression.ts';
import { GrpcConnection } from './grpc-connection.ts';
import {
  type GrpcStatus,
  httpStatus,
  isRetryable,
  resetStatus,
  statusOf,
  transportStatus,
} from './grpc-status.ts';
import type { OtlpTarget, Signal } from './target.ts';
import { WatchedCertificates } from './transport-tls.ts';

const METHODS: Readonly<Record<Signal, string>> = {
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
};

/** Compressed flag and length, in front of each message ("Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;
/** The connection is made anew after so many calls in a row without answer. */
const UNANSWERED_CALLS = 4;
/** `grpc-timeout` has at most eight digits. */
const MAX_TIMEOUT_MS = 99_999_999;

const decompress = promisify(gunzip);

/** How a call ended, and the message of the answer. */
interface Answer {
  readonly status: GrpcStatus;
  readonly message: Buffer;
  readonly isCompressed: boolean;
}

const EMPTY = Buffer.alloc(0);
const TOO_LONG: GrpcStatus = {
  name: 'RESOURCE_EXHAUSTED',
  details: `an answer of more than ${MAX_RESPONSE_BYTES} bytes`,
  // Asking again would bring as much again.
  isTransport: false,
  retryMs: undefined,
};

export class GrpcTransport implements IExporterTransport {
  readonly #target: OtlpTarget;
  readonly #certificates: WatchedCertificates | undefined;
  readonly #headers: OutgoingHttpHeaders;
  #connection: GrpcConnection | undefined;
  #unanswered = 0;
  #closed = false;

  constructor({ target, signal, userAgent, warn }: TransportParts) {
    this.#target = target;
    this.#certificates = target.tls === undefined ? undefined : new WatchedCertificates(target.tls, warn);
    this.#headers = {
      ...target.headers,
      ':method': 'POST',
      ':path': METHODS[signal],
      'user-agent': userAgent,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-accept-encoding': 'identity,gzip',
      ...(target.compression === 'none' ? {} : { 'grpc-encoding': target.compression }),
    };
  }

  async send(data: Uint8Array, timeoutMillis: number): Promise<ExportResponse> {
    const body = await compressed(data, this.#target.compression);
    const isCompressed = this.#target.compression !== 'none';
    let connection: GrpcConnection;
    try {
      connection = this.#connect();
    } catch (error) {
      return { status: 'retryable', error: new AttemptError('certificate', (error as Error).message) };
    }
    const { status, ...answer } = await this.#call(connection, body, isCompressed, timeoutMillis);
    this.#settle(connection, status);
    if (status.name !== 'OK') return this.#failed(status);
    // The server has it: an answer that cannot be read says nothing more.
    const message = answer.isCompressed
      ? await decompress(answer.message, { maxOutputLength: MAX_RESPONSE_BYTES }).catch(() => EMPTY)
      : answer.message;
    return { status: 'success', data: message };
  }

  shutdown(): void {
    this.#closed = true;
    this.#connection?.destroy('the transport is closed');
    this.#connection = undefined;
  }

  /** The present connection; a new one when it has ended or the certificates have changed. */
  #connect(): GrpcConnection {
    if (this.#closed) throw new Error('the transport is closed');
    const material = this.#certificates?.current();
    const present = this.#connection;
    if (present !== undefined && !present.isEnding && present.material === material) return present;
    this.#connection = new GrpcConnection(this.#target, material);
    present?.retire();
    return this.#connection;
  }

  #call(
    connection: GrpcConnection,
    body: Uint8Array,
    isCompressed: boolean,
    timeoutMs: number,
  ): Promise<Answer> {
    const milliseconds = Math.min(Math.ceil(timeoutMs), MAX_TIMEOUT_MS);
    let stream: ClientHttp2Stream;
    try {
      stream = connection.request({ ...this.#headers, 'grpc-timeout': `${milliseconds}m` });
    } catch (error) {
      const details = (error as Error).message;
      const refused: GrpcStatus = { name: 'INTERNAL', details, isTransport: false, retryMs: undefined };
      const status = connection.lost(error as Error) ?? refused;
      return Promise.resolve({ status, message: EMPTY, isCompressed: false });
    }
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt8(isCompressed ? 1 : 0);
    prefix.writeUInt32BE(body.length, 1);
    stream.cork();
    stream.write(prefix);
    stream.end(body);
    stream.uncork();
    return answerOf(stream, milliseconds, (error) => connection.lost(error));
  }

  /** A connection on which nothing is answered is not used again. */
  #settle(connection: GrpcConnection, { name, isTransport }: GrpcStatus): void {
    const isUnanswered = name === 'DEADLINE_EXCEEDED' && isTransport;
    this.#unanswered = isUnanswered ? this.#unanswered + 1 : 0;
    if (!isUnanswered || connection !== this.#connection) return;
    if (!connection.isOpen) connection.destroy('no answer to the connection');
    else if (this.#unanswered >= UNANSWERED_CALLS) connection.retire();
    else return;
    this.#unanswered = 0;
    this.#connection = undefined;
  }

  #failed(status: GrpcStatus): ExportResponse {
    const { name, details, retryMs } = status;
    const error = new AttemptError(
      name,
      `${this.#target.shown}: ${name}: ${details === '' ? 'no reason given' : details}`,
    );
    if (!isRetryable(status)) return { status: 'failure', error };
    return { status: 'retryable', error, ...(retryMs === undefined ? {} : { retryInMillis: retryMs }) };
  }
}

/** Waits for the end of a call. `lost`: what became of the connection, if it is gone. */
function answerOf(
  stream: ClientHttp2Stream,
  timeoutMs: number,
  lost: (error: Error | undefined) => GrpcStatus | undefined,
): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  let said: GrpcStatus | undefined;
  let http: GrpcStatus | undefined;
  const cut = (status: GrpcStatus): void => {
    said ??= status;
    stream.close(constants.NGHTTP2_CANCEL);
  };
  const timer = setTimeout(
    () => cut(transportStatus('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  stream.on('response', (headers) => {
    said ??= statusOf(headers);
    if (headers[':status'] !== 200) http = httpStatus(headers[':status'] ?? 0);
  });
  stream.on('trailers', (headers) => {
    said ??= statusOf(headers);
  });
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_RESPONSE_BYTES + PREFIX_BYTES) cut(TOO_LONG);
    else chunks.push(chunk);
  });
  let failure: Error | undefined;
  stream.on('error', (error) => {
    failure = error; // 'close' follows, with the code
  });
  const { promise, resolve } = Promise.withResolvers<Answer>();
  stream.once('close', () => {
    clearTimeout(timer);
    const bytes = Buffer.concat(chunks);
    resolve({
      status: said ?? http ?? lost(failure) ?? endStatus(stream, bytes),
      message: bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + declaredLength(bytes)),
      isCompressed: bytes[0] === 1,
    });
  });
  return promise;
}

/** Of an answer without a status. An end in the middle of the message is a reset that was overtaken by the end of the stream. */
function endStatus({ rstCode }: ClientHttp2Stream, bytes: Buffer): GrpcStatus {
  if (rstCode !== constants.NGHTTP2_NO_ERROR) return resetStatus(rstCode ?? 0);
  const isCut = bytes.length > 0 && bytes.length < PREFIX_BYTES + declaredLength(bytes);
  return isCut ? transportStatus('INTERNAL', 'the answer ended in the middle') : httpStatus(200);
}

/** Of the first message. */
function declaredLength(bytes: Buffer): number {
  return bytes.length < PREFIX_BYTES ? 0 : bytes.readUInt32BE(1);
}
