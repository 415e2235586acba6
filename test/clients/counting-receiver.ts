/**
 * An OTLP/gRPC receiver that only counts: records by the process.pid of their resource. It walks the protocol buffers
 * (opentelemetry/proto/collector/logs/v1, field numbers below) and decodes nothing else, to leave the processor to what is
 * measured. Not a test of the protocol: that is test/e2e.
 *
 * Run as a program it listens on a free port of 127.0.0.1, prints `port N`, and answers each line on stdin with one line of
 * JSON: {"byPid":{"123":4},"records":N,"requests":N,"bytes":N}.
 */
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { gunzipSync } from 'node:zlib';

export interface Received {
  readonly byPid: Readonly<Record<string, number>>;
  readonly records: number;
  readonly requests: number;
  readonly bytes: number;
}

/** gRPC over HTTP/2: each message has one byte "compressed" and four bytes of length before it. */
const FRAME_HEADER = 5;
const PROCESS_PID = Buffer.from('process.pid');
const WINDOW = 16 * 1024 * 1024;

const counts = { byPid: new Map<number, number>(), records: 0, requests: 0, bytes: 0 };

type Field = (number: number, bytes: Buffer) => void;

/** Calls `each` for every length-delimited field; varints and fixed fields are stepped over, but `varint` sees the former. */
function walk(bytes: Buffer, each: Field, varint?: (number: number, value: number) => void): void {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const kind = tag & 7;
    if (kind === 0) {
      const value = readVarint();
      varint?.(tag >>> 3, value);
    } else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const length = readVarint();
      each(tag >>> 3, bytes.subarray(at, at + length));
      at += length;
    } else throw new Error(`protobuf wire type ${kind}`);
  }
}

/** Resource.attributes = 1; KeyValue.key = 1, value = 2; AnyValue.int_value = 3. */
function pidOf(resource: Buffer): number {
  let pid = 0;
  walk(resource, (number, attribute) => {
    if (number !== 1) return;
    let isPid = false;
    walk(attribute, (part, bytes) => {
      if (part === 1) isPid = bytes.equals(PROCESS_PID);
      else if (part === 2 && isPid)
        walk(
          bytes,
          () => {},
          (_, value) => {
            pid = value;
          },
        );
    });
  });
  return pid;
}

/** ExportLogsServiceRequest.resource_logs = 1; ResourceLogs.resource = 1, scope_logs = 2; ScopeLogs.log_records = 2. */
function countLogs(request: Buffer): void {
  walk(request, (number, resourceLogs) => {
    if (number !== 1) return;
    let pid = 0;
    let records = 0;
    walk(resourceLogs, (part, bytes) => {
      if (part === 1) pid = pidOf(bytes);
      else if (part === 2)
        walk(bytes, (field) => {
          if (field === 2) records++;
        });
    });
    counts.byPid.set(pid, (counts.byPid.get(pid) ?? 0) + records);
    counts.records += records;
  });
}

function serve(stream: ServerHttp2Stream, path: string): void {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const body = Buffer.concat(chunks);
    counts.requests++;
    counts.bytes += body.length;
    const message = body.subarray(FRAME_HEADER);
    if (path.endsWith('LogsService/Export')) countLogs(body[0] === 1 ? gunzipSync(message) : message);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.alloc(FRAME_HEADER)); // an empty response message: everything accepted
  });
  stream.on('error', () => {}); // the agent was ended in the middle of a request
}

const server = createServer({ settings: { initialWindowSize: WINDOW, maxFrameSize: 1024 * 1024 } });
server.on('session', (session) => session.setLocalWindowSize(WINDOW));
server.on('stream', (stream, headers) => serve(stream, String(headers[':path'])));
server.listen(0, '127.0.0.1', () => console.log(`port ${(server.address() as AddressInfo).port}`));
createInterface({ input: process.stdin })
  .on('line', () => console.log(JSON.stringify({ ...counts, byPid: Object.fromEntries(counts.byPid) })))
  .on('close', () => process.exit(0));
