/**
 * OTLP receivers for tests: a gRPC server and an http/protobuf server, both built from the published definitions in
 * proto/ (github.com/open-telemetry/opentelemetry-proto, Apache-2.0), so that what arrives is judged by the protocol and
 * not by the code that sent it. Every field is decoded; 64-bit integers become strings, bytes hex text.
 */
import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';

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

  static async grpc(port = 0): Promise<Receiver> {
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
            else callback({ code: reply.error, details: reply.message ?? 'refused by the test' });
          });
        },
      });
    }
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, actual) =>
        error ? reject(error) : resolve(actual),
      );
    });
    receiver.url = `http://127.0.0.1:${bound}`;
    receiver.#stop = async () => server.forceShutdown();
    return receiver;
  }

  static async http(port = 0): Promise<Receiver> {
    const receiver = new Receiver();
    const server: HttpServer = createServer((request, response) => {
      void receiver.#serveHttp(request).then(({ status, body }) => {
        response.writeHead(status, { 'Content-Type': 'application/x-protobuf' });
        response.end(body);
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(port, '127.0.0.1', resolve);
    });
    receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    receiver.#stop = () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    return receiver;
  }

  async #serveHttp(request: IncomingMessage): Promise<{ status: number; body: Buffer }> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const signal = /^\/v1\/(logs|metrics)$/.exec(request.url ?? '')?.[1] as Signal | undefined;
    if (request.method !== 'POST' || signal === undefined) return { status: 404, body: Buffer.alloc(0) };
    if (request.headers['content-type'] !== 'application/x-protobuf')
      return { status: 415, body: Buffer.alloc(0) };
    const raw = Buffer.concat(chunks);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const type = definition[`${MESSAGE[signal]}Request`] as MessageTypeDefinition<object, object>;
    const headers = request.headers as Record<string, string>;
    const handled = await this.#handle(signal, type.deserialize(body), body.length, headers);
    const answer = definition[`${MESSAGE[signal]}Response`] as MessageTypeDefinition<object, object>;
    if (handled.reply.error !== undefined) return { status: handled.reply.error, body: Buffer.alloc(0) };
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
