/** Collectors that mean harm, each a real server: what they send must neither fill the memory, hold the end, reach the terminal raw, nor make the books wrong. */
import assert from 'node:assert/strict';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { constants, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Ledger } from '../../src/ledger.ts';
import { createLog } from '../../src/lib/log.ts';
import { logsSink, type Protocol } from '../e2e/otlp-sinks.ts';
import { logEvent } from '../unit/sink-events.ts';
import { reportAttack } from './report.ts';

const RECORDS = 50;
const ATTEMPT_MS = 400;
const MAX_GROWTH_BYTES = 200e6;
const MAX_LINES = 20;
/** 200 MiB of zeros in some 200 KB. */
const BOMB = gzipSync(Buffer.alloc(200 << 20));
const GARBAGE = Buffer.from('0affffffffff0f', 'hex');
const FORGED = 'whodns: error: forged';
const ESCAPES = '\x1b[31mred\x1b]0;title\x07';

type Answer<T> = (answer: T) => unknown;
/** The end of the records: delivered, dropped for a reason, or held until the agent stops. */
type Outcome = 'delivered' | 'failed' | 'rejected' | 'shutdown';

const HTTP: Readonly<Record<string, [Outcome, Answer<ServerResponse>]>> = {
  'redirects elsewhere': ['failed', (r) => r.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
  'drips one byte after the other': [
    'shutdown',
    (r) => {
      r.writeHead(200, { 'content-length': 1000 });
      const timer = setInterval(() => r.write('a'), 100);
      r.on('close', () => clearInterval(timer));
    },
  ],
  'never ends its answer': [
    'failed',
    (r) => {
      r.writeHead(200);
      const chunk = Buffer.alloc(65536);
      const go = (): void => {
        while (!r.destroyed && r.write(chunk));
        if (!r.destroyed) r.once('drain', go);
      };
      go();
    },
  ],
  'never begins its answer': ['shutdown', () => {}],
  'answers with a gzip bomb': [
    'delivered',
    (r) =>
      r.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/x-protobuf' }).end(BOMB),
  ],
  'answers with broken protocol buffers': ['delivered', (r) => r.writeHead(200).end(GARBAGE)],
  'rejects 2^63 - 1 records': [
    'rejected',
    (r) => r.writeHead(200).end(Buffer.from('0a0c08ffffffffffffffff7f1200', 'hex')),
  ],
  'asks for thirty years of patience': [
    'shutdown',
    (r) => r.writeHead(503, { 'retry-after': '999999999' }).end(),
  ],
  'asks for patience until Not-a-Date': [
    'shutdown',
    (r) => r.writeHead(429, { 'retry-after': '-1e999' }).end(),
  ],
  'sends headers without end': ['shutdown', (r) => r.writeHead(200, { x: 'a'.repeat(60_000) }).end()],
  'writes to the terminal': ['failed', (r) => r.writeHead(400).end(ESCAPES)],
  'forges a line of the log': ['failed', (r) => r.writeHead(400).end(`line\n${FORGED}\n`)],
  'cuts the connection': ['shutdown', (r) => r.destroy()],
};

const GRPC: Readonly<Record<string, [Outcome, Answer<ServerHttp2Stream>]>> = {
  'says GOAWAY after each answer': [
    'delivered',
    (stream) => {
      answer(stream, frame(0, Buffer.alloc(0)));
      stream.session?.goaway(constants.NGHTTP2_NO_ERROR);
    },
  ],
  'says GOAWAY to each request': ['shutdown', (stream) => stream.session?.goaway(11, 0)],
  'answers with 64 MiB': ['failed', (stream) => answer(stream, frame(0, Buffer.alloc(64 << 20)))],
  // Its status says that it took the records; a message that cannot be read takes nothing back.
  'says that 4 GiB come': ['delivered', (stream) => answer(stream, Buffer.from([0, 255, 255, 255, 255, 1]))],
  'answers with a gzip bomb': [
    'delivered',
    (stream) => answer(stream, frame(1, BOMB), { 'grpc-encoding': 'gzip' }),
  ],
  'answers with broken protocol buffers': ['delivered', (stream) => answer(stream, frame(0, GARBAGE))],
  'resets each stream': ['shutdown', (stream) => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)],
  'sends trailers of 30 KB': [
    'shutdown',
    (stream) => refuse(stream, { 'grpc-status': '14', 'grpc-message': `%1b[31m${'x'.repeat(30_000)}` }),
  ],
  'forges a line of the log': [
    'failed',
    (stream) => refuse(stream, { 'grpc-status': '3', 'grpc-message': `bad%0A${FORGED}%1b[31m` }),
  ],
  'sends an unknown status': ['failed', (stream) => refuse(stream, { 'grpc-status': '4711' })],
  'sends broken details': [
    'failed',
    (stream) => refuse(stream, { 'grpc-status': '8', 'grpc-status-details-bin': GARBAGE.toString('base64') }),
  ],
  'never answers': ['shutdown', () => {}],
};

function frame(compressed: 0 | 1, message: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header[0] = compressed;
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

function answer(stream: ServerHttp2Stream, body: Buffer, headers: Record<string, string> = {}): void {
  const all = { ':status': 200, 'content-type': 'application/grpc', ...headers };
  stream.respond(all, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(body);
}

function refuse(stream: ServerHttp2Stream, trailers: Record<string, string>): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...trailers }, { endStream: true });
}

function httpServer(act: Answer<ServerResponse>): Server {
  return createHttpServer((request: IncomingMessage, response) => {
    response.on('error', () => {});
    request.resume().on('end', () => act(response));
  });
}

function grpcServer(act: Answer<ServerHttp2Stream>): Server {
  const server = createHttp2Server();
  server.on('sessionError', () => {});
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.resume().on('end', () => act(stream));
  });
  return server as unknown as Server;
}

async function listen(t: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function survive(
  t: TestContext,
  name: string,
  protocol: Protocol,
  server: Server,
  outcome: Outcome,
): Promise<void> {
  const ledger = new Ledger();
  let said = '';
  const notices = createLog('info', (line) => {
    said += line;
  });
  // An end of its own must be reached on a busy machine too; what only time ends need not wait longer for it.
  const attemptMs = outcome === 'shutdown' ? ATTEMPT_MS : 8 * ATTEMPT_MS;
  const limits = { batchSize: 25, attemptMs };
  const url = await listen(t, server);
  const sink = await logsSink({ protocol, url, ledger, notices, limits });
  const before = process.memoryUsage().rss;
  let peak = before;
  let longest = 0;
  let last = performance.now();
  const watch = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 20);
    last = now;
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 20);
  for (let i = 0; i < RECORDS; i++) sink.accept(logEvent());
  const isSettled = (): boolean => ledger.snapshot()[0]?.held === 0;
  // Two attempts' time, where it will not be over before.
  for (let waited = 0; waited < 2 * attemptMs + 300 && !isSettled(); waited += 50) await sleep(50);
  const begun = performance.now();
  await sink.close(500);
  const stopMs = performance.now() - begun;
  clearInterval(watch);
  const [stage] = ledger.snapshot();
  assert.ok(stage);
  const { in: taken, out, dropped, held, missing } = stage;
  const expected = outcome === 'delivered' ? {} : { [outcome]: RECORDS };
  assert.deepEqual(
    { taken, out, dropped, held, missing },
    { taken: RECORDS, out: outcome === 'delivered' ? RECORDS : 0, dropped: expected, held: 0, missing: 0 },
    said,
  );
  assert.ok(stopMs < 3000, `it stops after ${stopMs} ms`);
  assert.ok(longest < 1000, `the event loop stood still for ${longest} ms`);
  assert.ok(peak - before < MAX_GROWTH_BYTES, `${(peak - before) / 1e6} MB more than before`);
  const lines = said.split('\n').slice(0, -1);
  assert.ok(lines.length <= MAX_LINES, said);
  for (const line of lines) {
    assert.ok(line.startsWith('whodns: ') && !line.startsWith(FORGED), JSON.stringify(line));
    assert.ok(line.length < 5000, `${line.length} characters in one line`);
    assert.ok(!hasControls(line), JSON.stringify(line));
  }
  reportAttack({
    attack: `a collector that ${name}`,
    stranger: 'collector',
    holds: 'the books are exact, it stops in time, memory and log stay bounded',
    figure: `${RECORDS} of ${RECORDS} records ${outcome}, stopped in ${Math.round(stopMs)} ms`,
  });
}

/** C0 without the line feed, DEL, C1. */
function hasControls(text: string): boolean {
  return [...text].some((character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
  });
}

describe('OTLP/HTTP: a collector that', () => {
  for (const [name, [outcome, act]] of Object.entries(HTTP))
    it(`${name}: ${outcome}`, (t) =>
      survive(t, `by HTTP ${name}`, 'http/protobuf', httpServer(act), outcome));
});

describe('OTLP/gRPC: a collector that', () => {
  for (const [name, [outcome, act]] of Object.entries(GRPC))
    it(`${name}: ${outcome}`, (t) => survive(t, `by gRPC ${name}`, 'grpc', grpcServer(act), outcome));
});
