/**
 * An OTLP logs server, gRPC or http/protobuf, that behaves badly on command. Built from the published definitions, with the
 * answers as raw bytes, so that it can say what no server should.
 */
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer, type Socket, type Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { Arrivals } from './fault-arrivals.ts';
import { freePorts } from './running-program.ts';

export type Mode =
  | { readonly kind: 'fine' }
  /** Takes the call and never answers it. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'refuse'; readonly status: number; readonly retryAfterS?: number }
  /** Takes all but some records of each request. */
  | { readonly kind: 'partial'; readonly rejected: number }
  /** Takes the records and answers OK with bytes that are no answer. */
  | { readonly kind: 'garbled' }
  /** Takes the records at the end of the pause, whether or not the caller still waits. */
  | { readonly kind: 'slow'; readonly pauseMs: number };

const PROTO = join(import.meta.dirname, '../e2e/proto');
const FILE = 'opentelemetry/proto/collector/logs/v1/logs_service.proto';
const PATH = '/opentelemetry.proto.collector.logs.v1.LogsService/Export';
const REQUEST = 'opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest';
const RESPONSE = 'opentelemetry.proto.collector.logs.v1.ExportLogsServiceResponse';
const definition = loadSync(FILE, { includeDirs: [PROTO], longs: Number, bytes: String, arrays: true });
const request = definition[REQUEST] as MessageTypeDefinition<object, Logs>;
const response = definition[RESPONSE] as MessageTypeDefinition<object, object>;

interface KeyValue {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number };
}
interface Logs {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly attributes: readonly KeyValue[] }[];
    }[];
  }[];
}

interface Verdict {
  readonly error?: {
    readonly code: number;
    readonly details: string;
    readonly metadata?: grpc.Metadata;
    readonly retryAfterS?: number;
  };
  readonly answer?: Buffer;
}

export class FaultServer {
  readonly arrivals = new Arrivals();
  readonly port: number;
  mode: Mode = { kind: 'fine' };
  requests = 0;
  rejected = 0;
  #grpc: grpc.Server | undefined;
  #http: HttpServer | undefined;
  #tcp: TcpServer | undefined;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.port = port;
  }

  static async start(credentials = grpc.ServerCredentials.createInsecure()): Promise<FaultServer> {
    const [port] = await freePorts(1);
    const server = new FaultServer(port as number);
    await server.serve(credentials);
    return server;
  }

  static async startHttp(): Promise<FaultServer> {
    const [port] = await freePorts(1);
    const server = new FaultServer(port as number);
    await server.serveHttp();
    return server;
  }

  /** Serves OTLP over HTTP on the port. */
  async serveHttp(): Promise<void> {
    await this.stop();
    const server = createHttpServer((asked, answer) => {
      // A client may hang up in the middle: that is its affair.
      void this.#answer(asked, answer).catch(() => answer.destroy());
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.#http = server;
  }

  async #answer(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await buffer(asked);
    const bytes = asked.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
    const verdict = await this.#judge(bytes);
    if (verdict === undefined) return;
    const { error } = verdict;
    const headers = {
      'content-type': 'application/x-protobuf',
      ...(error?.retryAfterS === undefined ? {} : { 'retry-after': String(error.retryAfterS) }),
    };
    answer.writeHead(error === undefined ? 200 : httpStatus(error.code), headers);
    answer.end(verdict.answer);
  }

  /** Serves OTLP on the port, with these credentials from now on. */
  async serve(credentials = grpc.ServerCredentials.createInsecure()): Promise<void> {
    await this.stop();
    const server = new grpc.Server({ 'grpc.max_receive_message_length': 4 * 1024 * 1024 });
    const raw = (bytes: Buffer): Buffer => bytes;
    server.addService(
      {
        Export: {
          path: PATH,
          requestStream: false,
          responseStream: false,
          requestSerialize: raw,
          requestDeserialize: raw,
          responseSerialize: raw,
          responseDeserialize: raw,
        },
      },
      {
        Export: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
          void this.#judge(call.request).then((verdict) => {
            if (verdict?.error !== undefined) callback(verdict.error);
            else if (verdict !== undefined) callback(null, verdict.answer ?? Buffer.alloc(0));
          });
        },
      },
    );
    await new Promise<void>((resolve, reject) => {
      const bound = (error: Error | null) => (error === null ? resolve() : reject(error));
      server.bindAsync(`127.0.0.1:${this.port}`, credentials, bound);
    });
    this.#grpc = server;
  }

  /** On the same port no gRPC: connections are taken and get `greeting`, or not a word. */
  async serveBytes(greeting: Buffer | undefined): Promise<void> {
    await this.stop();
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
      socket.resume();
      if (greeting !== undefined) socket.write(greeting);
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.#tcp = server;
  }

  /** Nothing listens any more, all connections are cut. */
  async stop(): Promise<void> {
    this.#grpc?.forceShutdown();
    this.#grpc = undefined;
    const http = this.#http;
    this.#http = undefined;
    http?.closeAllConnections();
    if (http !== undefined) await new Promise((resolve) => http.close(resolve));
    const tcp = this.#tcp;
    this.#tcp = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (tcp !== undefined) await new Promise((resolve) => tcp.close(resolve));
  }

  async #judge(bytes: Buffer): Promise<Verdict | undefined> {
    const { mode } = this;
    this.requests++;
    switch (mode.kind) {
      case 'silent':
        return undefined;
      case 'refuse':
        return { error: refusal(mode) };
      case 'slow':
        await new Promise((resolve) => setTimeout(resolve, mode.pauseMs));
        this.#take(bytes, 0);
        return {};
      case 'partial': {
        const rejected = this.#take(bytes, mode.rejected);
        const partialSuccess = { rejectedLogRecords: rejected, errorMessage: 'not these' };
        return { answer: response.serialize({ partialSuccess }) };
      }
      case 'garbled':
        this.#take(bytes, 0);
        return { answer: Buffer.from('ffffffffffffffffff', 'hex') };
      case 'fine':
        this.#take(bytes, 0);
        return {};
    }
  }

  /** Notes all records but the first `without`; gives how many were left out. */
  #take(bytes: Buffer, without: number): number {
    let left = without;
    for (const { resource, scopeLogs } of request.deserialize(bytes).resourceLogs) {
      const pid = resource.attributes.find(({ key }) => key === 'process.pid')?.value.intValue ?? 0;
      for (const { attributes } of scopeLogs.flatMap(({ logRecords }) => logRecords)) {
        if (left-- > 0) continue;
        const text = (wanted: string) =>
          attributes.find(({ key }) => key === wanted)?.value.stringValue ?? '';
        this.arrivals.note(pid, text('dns.question.name'), text('log.record.uid'));
      }
    }
    const rejected = without - Math.max(left, 0);
    this.rejected += rejected;
    return rejected;
  }
}

/** OTLP/HTTP has its own numbers for the two that are used here (OTLP specification, "Failures"). */
function httpStatus(code: number): number {
  return code === grpc.status.UNAVAILABLE ? 503 : code === grpc.status.RESOURCE_EXHAUSTED ? 429 : 400;
}

/** With `retryAfterS` a google.rpc.Status that holds a google.rpc.RetryInfo (googleapis, google/rpc/*.proto). */
function refusal(mode: Extract<Mode, { kind: 'refuse' }>): NonNullable<Verdict['error']> {
  const details = 'refused by the test';
  if (mode.retryAfterS === undefined) return { code: mode.status, details };
  const duration = Buffer.from([0x08, mode.retryAfterS]);
  const retryInfo = field(1, duration);
  const any = Buffer.concat([
    field(1, Buffer.from('type.googleapis.com/google.rpc.RetryInfo')),
    field(2, retryInfo),
  ]);
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', Buffer.concat([Buffer.from([0x08, mode.status]), field(3, any)]));
  return { code: mode.status, details, metadata, retryAfterS: mode.retryAfterS };
}

/** A length-delimited field of protocol buffers, shorter than 128 bytes. */
function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}
