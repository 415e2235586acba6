/**
 * Stand where Loki and Tempo would, for those who do not have them: take the same requests and refuse what they refuse, by their
 * documented limits (Loki: limits_config; Tempo: overrides, distributor). What a limit is set to comes from the shipped files.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { parse } from 'yaml';
import { OTEL_CONFIG } from './stack.ts';

const PROTOS = join(import.meta.dirname, '../e2e/proto');

export interface Peer {
  /** For the exporter: a URL (Loki), host:port (Tempo). */
  readonly endpoint: string;
  /** Why something was refused. */
  readonly refusals: string[];
  /** Records or spans accepted. */
  readonly accepted: () => number;
  readonly stop: () => Promise<void>;
}

interface LokiLimits {
  readonly max_structured_metadata_entries_count: number;
  readonly max_structured_metadata_size: string;
  readonly reject_old_samples_max_age: string;
}
interface LokiFile {
  readonly limits_config: LokiLimits;
  readonly distributor: {
    readonly otlp_config: { readonly default_resource_attributes_as_index_labels: readonly string[] };
  };
}

const MIB = 1024 * 1024;
/** server.grpc_server_max_recv_msg_size, both. */
const MAX_REQUEST_BYTES = 4 * MIB;
/** limits_config.max_label_names_per_series, max_label_value_length, max_line_size, creation_grace_period: Loki's defaults. */
const MAX_LABELS = 15;
const MAX_LABEL_CHARACTERS = 2048;
const MAX_LINE_BYTES = 256 * 1024;
const MAX_AHEAD_MS = 10 * 60_000;

interface Attribute {
  readonly key: string;
  readonly value?: Readonly<Record<string, unknown>>;
}
interface LogRecord {
  readonly timeUnixNano: string;
  readonly body?: { readonly stringValue?: string };
  readonly attributes?: readonly Attribute[];
}
interface LogsRequest {
  readonly resourceLogs?: readonly {
    readonly resource?: { readonly attributes?: readonly Attribute[] };
    readonly scopeLogs?: readonly { readonly logRecords?: readonly LogRecord[] }[];
  }[];
}

/** POST /otlp/v1/logs: 204, or 400 with all reasons as Loki answers (then nothing of the request is kept). */
export async function lokiPeer(): Promise<Peer> {
  const file = parse(readFileSync(join(OTEL_CONFIG, 'loki/loki.yaml'), 'utf8')) as LokiFile;
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => join(PROTOS, target);
  await root.load('opentelemetry/proto/collector/logs/v1/logs_service.proto');
  const type = root.lookupType('opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest');
  const refusals: string[] = [];
  let accepted = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const sent = Buffer.concat(chunks);
      const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
      const faults: string[] = [];
      if (request.url !== '/otlp/v1/logs') faults.push(`path ${request.url}`);
      if (request.headers['content-type'] !== 'application/x-protobuf') faults.push('content type');
      if (request.headers['x-scope-orgid'] === undefined) faults.push('no org id');
      if (bytes.length > MAX_REQUEST_BYTES) faults.push(`request of ${bytes.length} bytes`);
      const message = type.toObject(type.decode(bytes), { longs: String }) as LogsRequest;
      faults.push(...lokiFaults(message, file));
      refusals.push(...faults);
      if (faults.length === 0) accepted += recordsOf(message).length;
      response.writeHead(faults.length === 0 ? 204 : 400).end(faults.join('\n'));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/otlp`,
    refusals,
    accepted: () => accepted,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function recordsOf({ resourceLogs = [] }: LogsRequest) {
  return resourceLogs.flatMap(({ resource, scopeLogs = [] }) =>
    scopeLogs.flatMap(({ logRecords = [] }) =>
      logRecords.map((record) => ({ record, resource: resource?.attributes ?? [] })),
    ),
  );
}

function lokiFaults(message: LogsRequest, { limits_config: limits, distributor }: LokiFile): string[] {
  const indexed = new Set(distributor.otlp_config.default_resource_attributes_as_index_labels);
  return recordsOf(message).flatMap(({ record, resource }) => {
    const labels = resource.filter(({ key }) => indexed.has(key));
    const metadata = [...resource.filter(({ key }) => !indexed.has(key)), ...(record.attributes ?? [])];
    const bytes = metadata.reduce((sum, { key, value }) => sum + key.length + textOf(value).length, 0);
    const line = Buffer.byteLength(record.body?.stringValue ?? '');
    const age = Date.now() - Number(record.timeUnixNano) / 1e6;
    return [
      ...(labels.length === 0 ? ['at least one label pair is required'] : []),
      ...(labels.length > MAX_LABELS ? [`${labels.length} labels`] : []),
      ...labels
        .filter(({ value }) => textOf(value).length > MAX_LABEL_CHARACTERS)
        .map(({ key }) => `long ${key}`),
      ...(metadata.length > limits.max_structured_metadata_entries_count
        ? [`${metadata.length} entries of structured metadata`]
        : []),
      ...(bytes > Number.parseInt(limits.max_structured_metadata_size, 10) * 1024
        ? [`${bytes} bytes of structured metadata`]
        : []),
      ...(line > MAX_LINE_BYTES ? [`line of ${line} bytes`] : []),
      ...(age > Number.parseInt(limits.reject_old_samples_max_age, 10) * 3_600_000 ? ['too old'] : []),
      ...(age < -MAX_AHEAD_MS ? ['too far in the future'] : []),
    ];
  });
}

/** As Loki stores a value: text, or JSON of a list. */
function textOf(value: Readonly<Record<string, unknown>> = {}): string {
  const [only] = Object.values(value);
  if (value.arrayValue === undefined) return String(only);
  const { values = [] } = value.arrayValue as { values?: Readonly<Record<string, unknown>>[] };
  return JSON.stringify(values.map((each) => Object.values(each)[0]));
}

const TRACES = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
/** Tempo: overrides.defaults.global.max_bytes_per_trace. */
const MAX_TRACE_BYTES = 5_000_000;

/** OTLP over gRPC: the distributor of Tempo. Refuses with RESOURCE_EXHAUSTED or INVALID_ARGUMENT. */
export async function tempoPeer(): Promise<Peer> {
  const refusals: string[] = [];
  const sizes = new Map<string, number>();
  let accepted = 0;
  const server = new grpc.Server({ 'grpc.max_receive_message_length': MAX_REQUEST_BYTES });
  const raw = (bytes: Buffer): Buffer => bytes;
  server.register(
    TRACES,
    ({ request }: { readonly request: Buffer }, callback: grpc.sendUnaryData<Buffer>) => {
      const spans = spansOf(request);
      const faults = spans.flatMap(({ traceId, spanId, bytes }) => {
        const size = (sizes.get(traceId) ?? 0) + bytes;
        sizes.set(traceId, size);
        return [
          ...(/^(?!0+$)[0-9a-f]{32}$/.test(traceId) ? [] : [`trace id ${traceId}`]),
          ...(/^(?!0+$)[0-9a-f]{16}$/.test(spanId) ? [] : [`span id ${spanId}`]),
          ...(size > MAX_TRACE_BYTES ? [`trace of ${size} bytes`] : []),
        ];
      });
      refusals.push(...faults);
      if (faults.length > 0) {
        callback({ code: grpc.status.INVALID_ARGUMENT, details: faults.join(', ') });
        return;
      }
      accepted += spans.length;
      callback(null, Buffer.alloc(0));
    },
    raw,
    raw,
    'unary',
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    endpoint: `127.0.0.1:${port}`,
    refusals,
    accepted: () => accepted,
    stop: async () => server.forceShutdown(),
  };
}

/** ExportTraceServiceRequest.resource_spans = 1, ResourceSpans.scope_spans = 2, ScopeSpans.spans = 2, Span.trace_id = 1, span_id = 2. */
function spansOf(request: Uint8Array) {
  const scopes = fields(request, 1).flatMap((resource) => fields(resource, 2));
  return scopes
    .flatMap((scope) => fields(scope, 2))
    .map((span) => ({
      traceId: Buffer.from(fields(span, 1)[0] ?? []).toString('hex'),
      spanId: Buffer.from(fields(span, 2)[0] ?? []).toString('hex'),
      bytes: span.length,
    }));
}

/** Every length-delimited field of that number. */
function fields(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = protobuf.Reader.create(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === ((wanted << 3) | 2)) found.push(reader.bytes());
    else reader.skipType(tag & 7);
  }
  return found;
}
