/**
 * OTLP receivers for tests: a gRPC server and an http/protobuf server, both built from the published definitions in
 * proto/ (github.com/open-telemetry/opentelemetry-proto, Apache-2.0), so that what arrives is judged by the protocol and
 * not by the code that sent it. Every field is decoded; 64-bit integers become strings, bytes hex text.
 */
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import protobuf from 'protobufjs';

type Signal = 'logs' | 'metrics';

interface AnyValue {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: string;
  doubleValue?: number;
  arrayValue?: { values: AnyValue[] };
  bytesValue?: string;
}
interface KeyValue {
  key: string;
  value: AnyValue;
}
export interface LogRecord {
  timeUnixNano: string;
  observedTimeUnixNano: string;
  severityNumber: string;
  severityText: string;
  body?: AnyValue;
  attributes: KeyValue[];
  droppedAttributesCount: number;
  flags: number;
  traceId: string;
  spanId: string;
  eventName: string;
}
interface Scope {
  name: string;
  version: string;
  attributes: KeyValue[];
  droppedAttributesCount: number;
}
interface Resource {
  attributes: KeyValue[];
  droppedAttributesCount: number;
}
export interface ResourceLogs {
  resource: Resource;
  schemaUrl: string;
  scopeLogs: { scope: Scope; schemaUrl: string; logRecords: LogRecord[] }[];
}
export interface NumberPoint {
  attributes: KeyValue[];
  startTimeUnixNano: string;
  timeUnixNano: string;
  asInt?: string;
  asDouble?: number;
}
export interface HistogramPoint {
  attributes: KeyValue[];
  startTimeUnixNano: string;
  timeUnixNano: string;
  count: string;
  sum?: number;
  min?: number;
  max?: number;
  bucketCounts: string[];
  explicitBounds: number[];
}
export interface Metric {
  name: string;
  description: string;
  unit: string;
  gauge?: { dataPoints: NumberPoint[] };
  sum?: { dataPoints: NumberPoint[]; aggregationTemporality: string; isMonotonic: boolean };
  histogram?: { dataPoints: HistogramPoint[]; aggregationTemporality: string };
}
export interface ResourceMetrics {
  resource: Resource;
  scopeMetrics: { scope: Scope; metrics: Metric[] }[];
}

/** Attribute list as an object; an integer stays a string `int:42` to tell it from a double. */
export function attributes(list: readonly KeyValue[]): Record<string, unknown> {
  const keys = new Set(list.map(({ key }) => key));
  if (keys.size !== list.length) throw new Error('duplicate attribute keys');
  return Object.fromEntries(list.map(({ key, value }) => [key, plain(value)]));
}

function plain(value: AnyValue): unknown {
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.boolValue !== undefined) return value.boolValue;
  if (value.intValue !== undefined) return `int:${value.intValue}`;
  if (value.doubleValue !== undefined) return value.doubleValue;
  if (value.arrayValue !== undefined) return value.arrayValue.values.map(plain);
  throw new Error(`no value: ${JSON.stringify(value)}`);
}

const definition = loadSync(
  [
    'opentelemetry/proto/collector/logs/v1/logs_service.proto',
    'opentelemetry/proto/collector/metrics/v1/metrics_service.proto',
  ],
  {
    includeDirs: [new URL('proto', import.meta.url).pathname],
    longs: String,
    enums: String,
    bytes: String,
    defaults: false,
    arrays: true,
    keepCase: false,
  },
);

const SERVICE: Record<Signal, string> = {
  logs: 'opentelemetry.proto.collector.logs.v1.LogsService',
  metrics: 'opentelemetry.proto.collector.metrics.v1.MetricsService',
};
const MESSAGE: Record<Signal, string> = {
  logs: 'opentelemetry.proto.collector.logs.v1.ExportLogsService',
  metrics: 'opentelemetry.proto.collector.metrics.v1.ExportMetricsService',
};

/** How the server answers a request; each call of `reply` decides one. */
export interface Reply {
  readonly delayMs?: number;
  /** gRPC status code, or HTTP status for http/protobuf; absent = success. */
  readonly error?: number;
  readonly message?: string;
  /** partial_success of the answer. */
  readonly rejected?: number;
  /** With `error`: RetryInfo of the status, or the header Retry-After as it is. */
  readonly retryMs?: number;
  readonly retryAfter?: string;
}

/** Where the server listens, and how. */
export interface Listen {
  readonly port?: number;
  /** Path of a unix socket in place of a port. */
  readonly socket?: string;
  /** PEM texts; `clientCa`: clients must show a certificate of it. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly clientCa?: string };
}

export interface Arrived {
  readonly signal: Signal;
  readonly bytes: number;
  readonly headers: Readonly<Record<string, string>>;
}

export class Receiver {
  readonly resourceLogs: ResourceLogs[] = [];
  readonly resourceMetrics: ResourceMetrics[] = [];
  readonly requests: Arrived[] = [];
  concurrent = 0;
  mostConcurrent = 0;
  reply: (signal: Signal, request: number) => Reply = () => ({});
  url = '';
  #stop: () => Promise<void> = async () => {};

  /** All log records that arrived and were accepted, with their resource. */
  get records(): { resource: Record<string, unknown>; scope: Scope; record: LogRecord }[] {
    return this.resourceLogs.flatMap(({ resource, scopeLogs }) =>
      scopeLogs.flatMap(({ scope, logRecords }) =>
        logRecords.map((record) => ({ resource: attributes(resource.attributes), scope, record })),
      ),
    );
  }

  stop(): Promise<void> {
    return this.#stop();
  }

  static async grpc(where: Listen | number = {}): Promise<Receiver> {
    const { port = 0, socket, tls } = typeof where === 'number' ? { port: where } : where;
    const receiver = new Receiver();
    const server = new grpc.Server();
    for (const signal of ['logs', 'metrics'] as const) {
      const service = definition[SERVICE[signal]] as grpc.ServiceDefinition;
      server.addService(service, {
        Export: (call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) => {
          const headers = call.metadata.getMap() as Record<string, string>;
          const bytes = Buffer.byteLength(JSON.stringify(call.request));
          void receiver.#handle(signal, call.request, bytes, headers).then(({ reply, body }) => {
            if (reply.error === undefined) callback(null, body);
            else
              callback({
                code: reply.error,
                details: reply.message ?? 'refused by the test',
                metadata: retryInfo(reply.retryMs),
              });
          });
        },
      });
    }
    const bound = await new Promise<number>((resolve, reject) => {
      const address = socket === undefined ? `127.0.0.1:${port}` : `unix:${socket}`;
      server.bindAsync(address, serverCredentials(tls), (error, actual) =>
        error ? reject(error) : resolve(actual),
      );
    });
    receiver.url = urlOf(where, bound);
    receiver.#stop = async () => server.forceShutdown();
    return receiver;
  }

  static async http(where: Listen | number = {}): Promise<Receiver> {
    const { port = 0, socket, tls } = typeof where === 'number' ? { port: where } : where;
    const receiver = new Receiver();
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      void receiver.#serveHttp(request).then(({ status, body, retryAfter }) => {
        if (retryAfter !== undefined) response.setHeader('Retry-After', retryAfter);
        response.writeHead(status, { 'Content-Type': 'application/x-protobuf' });
        response.end(body);
      });
    };
    const server: HttpServer =
      tls === undefined ? createServer(serve) : createTlsServer(tlsOptions(tls), serve);
    await new Promise<void>((resolve) => {
      if (socket === undefined) server.listen(port, '127.0.0.1', resolve);
      else server.listen(socket, resolve);
    });
    receiver.url = urlOf(where, socket === undefined ? (server.address() as AddressInfo).port : 0);
    receiver.#stop = () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    return receiver;
  }

  async #serveHttp(
    request: IncomingMessage,
  ): Promise<{ status: number; body: Buffer; retryAfter?: string | undefined }> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const signal = /^\/v1\/(logs|metrics)$/.exec(request.url ?? '')?.[1] as Signal | undefined;
    if (request.method !== 'POST' || signal === undefined) return { status: 404, body: Buffer.alloc(0) };
    if (request.headers['content-type'] !== 'application/x-protobuf')
      return { status: 415, body: Buffer.alloc(0) };
    const raw = Buffer.concat(chunks);
    const body = unpacked(raw, request.headers['content-encoding']);
    const type = definition[`${MESSAGE[signal]}Request`] as MessageTypeDefinition<object, object>;
    const headers = request.headers as Record<string, string>;
    const handled = await this.#handle(signal, type.deserialize(body), body.length, headers);
    const answer = definition[`${MESSAGE[signal]}Response`] as MessageTypeDefinition<object, object>;
    const { error, retryAfter, retryMs } = handled.reply;
    if (error !== undefined) {
      const after = retryAfter ?? (retryMs === undefined ? undefined : String(Math.ceil(retryMs / 1000)));
      return { status: error, body: Buffer.alloc(0), retryAfter: after };
    }
    return { status: 200, body: answer.serialize(handled.body) };
  }

  async #handle(
    signal: Signal,
    request: object,
    bytes: number,
    headers: Record<string, string>,
  ): Promise<{ reply: Reply; body: object }> {
    this.concurrent++;
    this.mostConcurrent = Math.max(this.mostConcurrent, this.concurrent);
    const reply = this.reply(signal, this.requests.length);
    this.requests.push({ signal, bytes, headers });
    if (reply.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, reply.delayMs));
    this.concurrent--;
    if (reply.error !== undefined) return { reply, body: {} };
    if (signal === 'logs')
      this.resourceLogs.push(...(request as { resourceLogs: ResourceLogs[] }).resourceLogs);
    else this.resourceMetrics.push(...(request as { resourceMetrics: ResourceMetrics[] }).resourceMetrics);
    if (reply.rejected === undefined && reply.message === undefined) return { reply, body: {} };
    const rejected = reply.rejected ?? 0;
    const count = signal === 'logs' ? { rejectedLogRecords: rejected } : { rejectedDataPoints: rejected };
    return { reply, body: { partialSuccess: { ...count, errorMessage: reply.message ?? '' } } };
  }
}

function urlOf(where: Listen | number, port: number): string {
  const { socket, tls } = typeof where === 'number' ? {} : where;
  if (socket !== undefined) return `unix:${socket}`;
  return `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
}

type Tls = NonNullable<Listen['tls']>;

function tlsOptions({ key, cert, clientCa }: Tls): object {
  const client = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  return { key, cert, ...client };
}

function serverCredentials(tls: Tls | undefined): grpc.ServerCredentials {
  if (tls === undefined) return grpc.ServerCredentials.createInsecure();
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  const ca = tls.clientCa === undefined ? null : Buffer.from(tls.clientCa);
  return grpc.ServerCredentials.createSsl(ca, [pair], ca !== null);
}

/** google.rpc.Status { details: [Any { RetryInfo { retry_delay } }] } as trailing metadata. */
function retryInfo(milliseconds: number | undefined): grpc.Metadata {
  const metadata = new grpc.Metadata();
  if (milliseconds === undefined) return metadata;
  const duration = protobuf.Writer.create()
    .uint32(8)
    .int64(Math.trunc(milliseconds / 1000));
  duration.uint32(16).int32((milliseconds % 1000) * 1e6);
  const info = protobuf.Writer.create().uint32(10).bytes(duration.finish()).finish();
  const any = protobuf.Writer.create().uint32(10).string('type.googleapis.com/google.rpc.RetryInfo');
  const details = any.uint32(18).bytes(info).finish();
  const status = protobuf.Writer.create().uint32(8).int32(8).uint32(26).bytes(details).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(status));
  return metadata;
}

function unpacked(bytes: Buffer, encoding: string | undefined): Buffer {
  if (encoding === 'zstd') return zstdDecompressSync(bytes);
  return encoding === 'gzip' ? gunzipSync(bytes) : bytes;
}
