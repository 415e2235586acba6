/** The gRPC that the OTLP transport speaks over HTTP/2 itself: framing, statuses, and servers that do not keep to them. */
import assert from 'node:assert/strict';
import {
  constants,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import type { OtlpTarget } from '../../src/sinks/otlp/target.ts';
import { createTransport } from '../../src/sinks/otlp/transport.ts';

type Answer = (stream: ServerHttp2Stream, body: Buffer, headers: IncomingHttpHeaders) => void;

/** Listens; ends its connections with the test. */
async function listen(t: TestContext, server: Server): Promise<number> {
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
  return (server.address() as AddressInfo).port;
}

/** A server that answers complete requests. */
function serve(t: TestContext, answer: Answer): Promise<number> {
  const server = createHttp2Server();
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => answer(stream, Buffer.concat(chunks), headers));
  });
  return listen(t, server as unknown as Server);
}

async function transport(t: TestContext, port: number, change: Partial<OtlpTarget> = {}) {
  const target: OtlpTarget = {
    protocol: 'grpc',
    shown: `127.0.0.1:${port}`,
    host: '127.0.0.1',
    port,
    socket: undefined,
    path: '',
    tls: undefined,
    headers: { 'x-tenant': 'a' },
    compression: 'none',
    timeoutMs: 10_000,
    ...change,
  };
  const made = await createTransport({ signal: 'logs', target, userAgent: 'test/1', warn: () => {} });
  t.after(() => made.shutdown());
  return made;
}

function framed(message: Uint8Array, compressed = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function respond(
  stream: ServerHttp2Stream,
  bytes: Buffer,
  trailers: Readonly<Record<string, string>> = { 'grpc-status': '0' },
): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(bytes);
}

const REQUEST = Buffer.from('a request of some bytes');

/** The result of one request that is answered so. */
async function ask(t: TestContext, answer: Answer, timeoutMs = 2000) {
  const sender = await transport(t, await serve(t, answer));
  const result = await sender.send(REQUEST, timeoutMs);
  const error = 'error' in result ? result.error : undefined;
  return { result, status: result.status, name: error?.name, message: error?.message ?? '' };
}

describe('OTLP/gRPC: a request', () => {
  it('is one length-prefixed message with the headers that gRPC asks for', async (t) => {
    let seen: IncomingHttpHeaders = {};
    let got: Buffer = Buffer.alloc(0);
    const { result } = await ask(t, (stream, body, headers) => {
      seen = headers;
      got = body;
      respond(stream, framed(Buffer.from('answer')));
    });
    assert.deepEqual(result.status === 'success' && Buffer.from(result.data ?? []), Buffer.from('answer'));
    assert.deepEqual(got, framed(REQUEST));
    assert.equal(seen[':path'], '/opentelemetry.proto.collector.logs.v1.LogsService/Export');
    assert.equal(seen['content-type'], 'application/grpc');
    assert.equal(seen.te, 'trailers');
    assert.equal(seen['grpc-timeout'], '2000m');
    assert.equal(seen['x-tenant'], 'a');
    assert.equal(seen['grpc-encoding'], undefined);
  });

  for (const [compression, unpack] of [
    ['gzip', gunzipSync],
    ['zstd', zstdDecompressSync],
  ] as const)
    it(`is compressed with ${compression} as asked; a compressed answer is read`, async (t) => {
      let got: Buffer = Buffer.alloc(0);
      let encoding: unknown;
      const port = await serve(t, (stream, body, headers) => {
        got = body;
        encoding = headers['grpc-encoding'];
        respond(stream, framed(gzipSync('answer'), 1));
      });
      const sender = await transport(t, port, { compression });
      const result = await sender.send(REQUEST, 2000);
      assert.deepEqual(result.status === 'success' && Buffer.from(result.data ?? []), Buffer.from('answer'));
      assert.equal(encoding, compression);
      assert.equal(got[0], 1);
      assert.equal(got.readUInt32BE(1), got.length - 5);
      assert.deepEqual(unpack(got.subarray(5)), REQUEST);
    });

  it('shares its connection with those under way at the same time', async (t) => {
    const sessions = new Set<unknown>();
    const waiting: ServerHttp2Stream[] = [];
    const port = await serve(t, (stream) => {
      sessions.add(stream.session);
      waiting.push(stream);
      if (waiting.length === 8) for (const each of waiting) respond(each, framed(Buffer.alloc(0)));
    });
    const sender = await transport(t, port);
    const results = await Promise.all(Array.from({ length: 8 }, () => sender.send(REQUEST, 5000)));
    assert.deepEqual([...new Set(results.map(({ status }) => status))], ['success']);
    assert.equal(sessions.size, 1);
  });

  it('of a megabyte to a server that hardly opens its window arrives whole', async (t) => {
    const body = Buffer.alloc(1 << 20, 'x');
    const server = createHttp2Server({ settings: { initialWindowSize: 1024 } });
    let got = 0;
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      stream.on('data', (chunk: Buffer) => {
        got += chunk.length;
      });
      stream.on('end', () => respond(stream, framed(Buffer.alloc(0))));
    });
    const sender = await transport(t, await listen(t, server as unknown as Server));
    assert.equal((await sender.send(body, 10_000)).status, 'success');
    assert.equal(got, body.length + 5);
  });
});

describe('OTLP/gRPC: a server that', () => {
  it('gives its status in headers alone is understood', async (t) => {
    const { status, name, message } = await ask(t, (stream) => {
      const headers = { 'grpc-status': '3', 'grpc-message': 'no%20such%20field%3A%20%C3%A9' };
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...headers }, { endStream: true });
    });
    assert.deepEqual([status, name], ['failure', 'INVALID_ARGUMENT']);
    assert.match(message, /INVALID_ARGUMENT: no such field: é$/);
  });

  it('names no status, or one that does not exist, is not asked again', async (t) => {
    const none = await ask(t, (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.end(framed(Buffer.alloc(0)));
    });
    assert.deepEqual([none.status, none.name], ['failure', 'UNKNOWN']);
    for (const code of ['17', '-1', 'x', '']) {
      const strange = await ask(t, (stream) =>
        respond(stream, framed(Buffer.alloc(0)), { 'grpc-status': code }),
      );
      assert.deepEqual([strange.status, strange.name], ['failure', 'UNKNOWN'], code);
    }
  });

  it('has a percent sign in its message that means nothing is quoted as it is', async (t) => {
    const { message } = await ask(t, (stream) =>
      respond(stream, Buffer.alloc(0), { 'grpc-status': '3', 'grpc-message': '100%' }),
    );
    assert.match(message, /: 100%$/);
  });

  for (const [code, name, status] of [
    [429, 'UNAVAILABLE', 'retryable'],
    [503, 'UNAVAILABLE', 'retryable'],
    [401, 'UNAUTHENTICATED', 'failure'],
    [404, 'UNIMPLEMENTED', 'failure'],
    [418, 'UNKNOWN', 'failure'],
  ] as const)
    it(`is a proxy that says ${code}: ${status}`, async (t) => {
      const answer = await ask(t, (stream) => {
        stream.respond({ ':status': code, 'content-type': 'text/html' });
        stream.end('<html>');
      });
      assert.deepEqual([answer.status, answer.name], [status, name]);
    });

  for (const [code, name, status] of [
    [constants.NGHTTP2_REFUSED_STREAM, 'UNAVAILABLE', 'retryable'],
    [constants.NGHTTP2_CANCEL, 'CANCELLED', 'retryable'],
    [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'RESOURCE_EXHAUSTED', 'retryable'],
    [constants.NGHTTP2_PROTOCOL_ERROR, 'INTERNAL', 'retryable'],
    [constants.NGHTTP2_INADEQUATE_SECURITY, 'PERMISSION_DENIED', 'failure'],
  ] as const)
    it(`resets the stream with ${code}: ${status}`, async (t) => {
      const answer = await ask(t, (stream) => stream.close(code));
      assert.deepEqual([answer.status, answer.name], [status, name]);
    });

  for (const [code, name] of [
    [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'RESOURCE_EXHAUSTED'],
    [constants.NGHTTP2_INTERNAL_ERROR, 'UNAVAILABLE'],
    [constants.NGHTTP2_NO_ERROR, 'UNAVAILABLE'],
  ] as const)
    it(`says GOAWAY ${code} instead of answering gets the request again, on a new connection`, async (t) => {
      let requests = 0;
      const port = await serve(t, (stream) => {
        if (++requests > 1) return respond(stream, framed(Buffer.alloc(0)));
        stream.session?.goaway(code);
        setTimeout(() => stream.session?.destroy(), 50);
      });
      const sender = await transport(t, port);
      const first = await sender.send(REQUEST, 2000);
      assert.deepEqual([first.status, 'error' in first && first.error?.name], ['retryable', name]);
      assert.equal((await sender.send(REQUEST, 2000)).status, 'success');
    });

  it('asks for calm by a status of its own, without saying for how long, is not asked again', async (t) => {
    const { status, name } = await ask(t, (stream) =>
      respond(stream, Buffer.alloc(0), { 'grpc-status': '8' }),
    );
    assert.deepEqual([status, name], ['failure', 'RESOURCE_EXHAUSTED']);
  });

  it('claims more than it sends, or sends more than one message, has the request all the same', async (t) => {
    for (const bytes of [
      Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]),
      Buffer.from([0, 0]),
      Buffer.concat([framed(Buffer.from('ab')), framed(Buffer.from('cd'))]),
      framed(Buffer.from('no gzip'), 1),
      framed(gzipSync(Buffer.alloc(32 * 1024 * 1024)), 1), // a bomb
    ]) {
      const { result } = await ask(t, (stream) => respond(stream, bytes));
      assert.equal(result.status, 'success');
      assert.ok(result.status === 'success' && (result.data?.length ?? 0) < 5);
    }
  });

  it('answers without end is cut at 4 MiB', async (t) => {
    let sent = 0;
    const { status, name } = await ask(t, (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const piece = Buffer.alloc(65_536);
      const more = (): void => {
        if (stream.destroyed) return;
        sent += piece.length;
        stream.write(piece, more);
      };
      more();
    });
    assert.deepEqual([status, name], ['failure', 'RESOURCE_EXHAUSTED']);
    assert.ok(sent < 16 * 1024 * 1024, `${sent}`);
  });

  it('floods the connection with settings does not take it over', async (t) => {
    const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const flood = Buffer.concat(Array.from({ length: 1000 }, () => SETTINGS));
    let sent = 0;
    const port = await listen(
      t,
      createTcpServer((socket) => {
        const more = (): void => {
          if (socket.destroyed || sent > 64 * 1024 * 1024) return;
          sent += flood.length;
          socket.write(flood, more);
        };
        more();
      }),
    );
    const sender = await transport(t, port);
    let longest = 0;
    let last = performance.now();
    const ticker = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 10);
    const result = await sender.send(REQUEST, 1000);
    clearInterval(ticker);
    assert.equal(result.status, 'retryable');
    assert.ok(longest < 500, `a timer waited ${Math.round(longest)} ms`);
  });

  it('never says a word after accepting is left, and the next request tries a connection of its own', async (t) => {
    let connections = 0;
    const port = await listen(
      t,
      createTcpServer(() => {
        connections++;
      }),
    );
    const sender = await transport(t, port);
    for (let i = 0; i < 2; i++) {
      const result = await sender.send(REQUEST, 100);
      assert.deepEqual(
        [result.status, 'error' in result && result.error?.name],
        ['retryable', 'DEADLINE_EXCEEDED'],
      );
    }
    assert.equal(connections, 2);
  });
});
