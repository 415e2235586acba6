/** Destinations that misbehave, each a real server: what is delivered, what is counted, and that both add up. */
import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger, type StageSnapshot } from '../../src/ledger.ts';
import type { DeliverySink } from '../../src/sinks/delivery/delivery.ts';
import { logEvent } from '../unit/sink-events.ts';
import { type Limits, logsSink, PROTOCOLS, type Protocol } from './otlp-sinks.ts';
import { attributes, Receiver, type Reply } from './receiver.ts';

const RESOURCE_EXHAUSTED = 8;
/** gRPC statuses by what the OTLP specification says of them. */
const GRPC_RETRYABLE = [1, 4, 10, 11, 14, 15];
const GRPC_FINAL = [2, 3, 5, 6, 7, 8, 9, 12, 13, 16];
const HTTP_RETRYABLE = [429, 502, 503, 504];
const HTTP_FINAL = [400, 401, 403, 404, 413, 500, 501, 301];

interface Setup {
  readonly sink: DeliverySink;
  readonly lines: string[];
  stage(): StageSnapshot;
}

async function setUp(t: TestContext, protocol: Protocol, url: string, limits: Limits = {}): Promise<Setup> {
  const ledger = new Ledger();
  const lines: string[] = [];
  const notices = { warn: (m: string) => lines.push(m), info: (m: string) => lines.push(m) };
  const sink = await logsSink({ protocol, url, ledger, notices, limits: { batchSize: 10, ...limits } });
  t.after(() => sink.close(0));
  const stage = (): StageSnapshot => {
    const [snapshot] = ledger.snapshot();
    assert.ok(snapshot);
    assert.equal(snapshot.missing, 0);
    return snapshot;
  };
  return { sink, lines, stage };
}

function receiver(t: TestContext, protocol: Protocol, reply: (request: number) => Reply): Promise<Receiver> {
  return (protocol === 'grpc' ? Receiver.grpc() : Receiver.http()).then((started) => {
    t.after(() => started.stop());
    started.reply = (_, request) => reply(request);
    return started;
  });
}

/** Different records that arrived, and all of them. */
function arrived({ records }: Receiver): [number, number] {
  const uids = records.map(({ record }) => attributes(record.attributes)['log.record.uid']);
  return [new Set(uids).size, uids.length];
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

for (const protocol of PROTOCOLS) {
  const isGrpc = protocol === 'grpc';
  describe(`OTLP ${protocol}: a destination that`, () => {
    for (const error of isGrpc ? GRPC_RETRYABLE : HTTP_RETRYABLE) {
      it(`answers ${error} once gets the request again`, async (t) => {
        const server = await receiver(t, protocol, (request) => (request === 0 ? { error } : {}));
        const { sink, stage } = await setUp(t, protocol, server.url);
        for (let i = 0; i < 10; i++) sink.accept(logEvent());
        await sink.flush();
        assert.deepEqual([stage().out, stage().dropped, server.requests.length], [10, {}, 2]);
        assert.deepEqual(arrived(server), [10, 10]);
      });
    }

    for (const error of isGrpc ? GRPC_FINAL : HTTP_FINAL) {
      it(`answers ${error} does not get it again`, async (t) => {
        const server = await receiver(t, protocol, (request) => (request === 0 ? { error } : {}));
        const { sink, stage } = await setUp(t, protocol, server.url);
        for (let i = 0; i < 10; i++) sink.accept(logEvent());
        await sink.flush();
        assert.deepEqual([stage().out, stage().dropped, server.requests.length], [0, { failed: 10 }, 1]);
      });
    }

    it('asks for patience gets it from every request', async (t) => {
      let asked = 0;
      const times: number[] = [];
      const server = await receiver(t, protocol, (request) => {
        times.push(performance.now());
        if (request > 0) return {};
        asked = performance.now();
        return { error: isGrpc ? RESOURCE_EXHAUSTED : 503, retryMs: 2000 };
      });
      const { sink, stage } = await setUp(t, protocol, server.url, { concurrency: 2 });
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await sleep(200);
      for (let i = 0; i < 30; i++) sink.accept(logEvent());
      await sink.flush();
      assert.deepEqual([stage().out, arrived(server)], [40, [40, 40]]);
      for (const time of times.slice(1)) assert.ok(time - asked > 1950, `after ${time - asked} ms`);
    });

    it('takes the request and never answers gets it again; the records are held meanwhile', async (t) => {
      const server = await receiver(t, protocol, (request) => (request < 2 ? { delayMs: 60_000 } : {}));
      const { sink, lines, stage } = await setUp(t, protocol, server.url, { attemptMs: 300 });
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await sleep(400);
      assert.equal(stage().held, 10);
      await sink.flush();
      assert.deepEqual([stage().out, stage().dropped], [10, {}]);
      assert.match(lines[0] ?? '', /DEADLINE_EXCEEDED|no answer within 300 ms/i);
    });

    it('accepts connections and says nothing costs nothing but time', async (t) => {
      const url = await listen(t, createTcpServer());
      const { sink, stage } = await setUp(t, protocol, url, { attemptMs: 200 });
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await sleep(1000);
      assert.equal(stage().held, 10);
      const begun = performance.now();
      await sink.close(300);
      assert.ok(performance.now() - begun < 3000);
      assert.deepEqual(stage().dropped, { shutdown: 10 });
    });

    it('speaks another protocol is tried again', async (t) => {
      const noise = createTcpServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
      const url = await listen(t, noise);
      const { sink, stage } = await setUp(t, protocol, url);
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await sleep(1200);
      assert.equal(stage().held, 10);
    });

    it('answers success with garbage has it: sent once, and said', async (t) => {
      let requests = 0;
      const server = isGrpc
        ? grpcAnswers(() => {
            requests++;
            return Buffer.from([0x0a, 0xff, 0xff, 0x01]);
          })
        : createHttpServer((request, response) => {
            requests++;
            request.resume().on('end', () => response.end('<html>welcome</html>'));
          });
      const { sink, lines, stage } = await setUp(t, protocol, await listen(t, server));
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await sink.flush();
      assert.deepEqual([stage().out, stage().dropped, requests], [10, {}, 1]);
      assert.match(lines.join(), /answer of the server is not understood/);
    });

    it('answers more than 4 MiB is not read to the end, nor asked again', async (t) => {
      const large = Buffer.alloc(5 * 1024 * 1024);
      const server = isGrpc
        ? grpcAnswers(() => large)
        : createHttpServer((request, response) => {
            request.resume().on('end', () => response.end(large));
          });
      const { sink, stage } = await setUp(t, protocol, await listen(t, server));
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await sink.flush();
      assert.deepEqual([stage().out, stage().dropped], [0, { failed: 10 }]);
    });

    it('resets the connection in the middle of its answer gets the request again', async (t) => {
      let requests = 0;
      const server = isGrpc
        ? grpcServer((stream) => {
            if (++requests > 1) return answerGrpc(stream, Buffer.alloc(0));
            stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
            stream.write(Buffer.from([0, 0, 0, 0, 100, 1, 2, 3]));
            setTimeout(() => stream.session?.socket.destroy(), 50);
          })
        : createHttpServer((request, response) => {
            request.resume().on('end', () => {
              if (++requests > 1) return response.end();
              response.writeHead(200, { 'content-length': '1000' });
              response.write('abc');
              setTimeout(() => response.destroy(), 50);
            });
          });
      const { sink, stage } = await setUp(t, protocol, await listen(t, server));
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await sink.flush();
      assert.deepEqual([stage().out, stage().dropped, requests], [10, {}, 2]);
    });

    it('rejects more than it was given cannot make the books wrong', async (t) => {
      const server = await receiver(t, protocol, () => ({ rejected: 1_000_000 }));
      const { sink, stage } = await setUp(t, protocol, server.url);
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await sink.flush();
      assert.deepEqual([stage().out, stage().dropped], [0, { rejected: 10 }]);
    });

    it('is away for longer than the queue has room: the newest are dropped and counted, the oldest arrive', async (t) => {
      let away = true;
      const server = await receiver(t, protocol, () => (away ? { error: isGrpc ? 14 : 503 } : {}));
      const { sink, lines, stage } = await setUp(t, protocol, server.url, { queueBytes: 50_000 });
      for (let i = 0; i < 200; i++) sink.accept(logEvent({ name: `n${i}.example.com` }));
      const dropped = stage().dropped['queue_full'] ?? 0;
      assert.ok(dropped > 0 && dropped < 200);
      assert.equal(stage().held, 200 - dropped);
      away = false;
      await sink.flush();
      assert.equal(stage().out, 200 - dropped);
      const names = server.records.map(({ record }) => attributes(record.attributes)['dns.question.name']);
      assert.deepEqual(
        new Set(names),
        new Set(Array.from({ length: 200 - dropped }, (_, i) => `n${i}.example.com`)),
      );
      assert.match(lines.join('\n'), /the queue is full/);
    });
  });
}

describe('OTLP grpc: a server that', () => {
  it('says GOAWAY loses nothing', async (t) => {
    let requests = 0;
    const sessions = new Set<unknown>();
    const server = grpcServer((stream) => {
      requests++;
      sessions.add(stream.session);
      answerGrpc(stream, Buffer.alloc(0));
      // Without waiting for what is under way.
      if (requests % 2 === 0) stream.session?.goaway(0);
      if (requests % 5 === 0) stream.session?.close();
    });
    const { sink, stage } = await setUp(t, 'grpc', await listen(t, server));
    for (let i = 0; i < 200; i++) sink.accept(logEvent());
    await sink.flush();
    const { out, dropped } = stage();
    assert.deepEqual([out, dropped], [200, {}]);
    assert.ok(sessions.size > 1, `${sessions.size} connections`);
  });

  const NO_ERROR = 0;
  const [PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM] = [1, 2, 7, 8, 11];
  for (const code of [PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM]) {
    for (const [way, cut] of [
      ['resets the stream', (stream) => stream.close(code)],
      [
        'resets the stream in the middle of its answer',
        (stream) => {
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
          stream.write(Buffer.from([0, 0, 0, 0, 100, 1, 2, 3]), () => stream.close(code));
        },
      ],
      ['says GOAWAY with the request under way', (stream) => stream.session?.goaway(code, 0)],
      ['ends the connection', (stream) => stream.session?.destroy(new Error('load'), code)],
    ] as [string, (stream: ServerHttp2Stream) => void][]) {
      it(`${way} (${code}) gets the request again`, async (t) => {
        let requests = 0;
        const server = grpcServer((stream) => {
          if (++requests === 1) cut(stream);
          else answerGrpc(stream, Buffer.alloc(0));
        });
        const { sink, stage } = await setUp(t, 'grpc', await listen(t, server));
        for (let i = 0; i < 10; i++) sink.accept(logEvent());
        await sink.flush();
        assert.deepEqual([stage().out, stage().dropped, requests], [10, {}, 2]);
      });
    }
  }

  for (const where of ['headers', 'trailers'] as const) {
    it(`answers RESOURCE_EXHAUSTED itself, in the ${where}, does not get it again`, async (t) => {
      let requests = 0;
      const said = {
        'grpc-status': String(RESOURCE_EXHAUSTED),
        'grpc-message': 'the tenant is over its quota',
      };
      const server = grpcServer((stream) => {
        requests++;
        const headers = { ':status': 200, 'content-type': 'application/grpc' };
        if (where === 'headers') return stream.respond({ ...headers, ...said }, { endStream: true });
        stream.respond(headers, { waitForTrailers: true });
        stream.on('wantTrailers', () => {
          stream.sendTrailers(said);
          stream.session?.goaway(NO_ERROR);
        });
        stream.end();
      });
      const { sink, stage, lines } = await setUp(t, 'grpc', await listen(t, server));
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await sink.flush();
      assert.deepEqual([stage().out, stage().dropped, requests], [0, { failed: 10 }, 1]);
      assert.match(lines.join(), /the tenant is over its quota/);
    });
  }

  it('sends a partial success keeps what it took', async (t) => {
    const server = await receiver(t, 'grpc', () => ({ rejected: 3, message: 'no room' }));
    const { sink, stage } = await setUp(t, 'grpc', server.url);
    for (let i = 0; i < 20; i++) sink.accept(logEvent());
    await sink.flush();
    assert.deepEqual([stage().out, stage().dropped, server.requests.length], [14, { rejected: 6 }, 2]);
  });
});

function grpcAnswers(answer: () => Buffer): Server {
  return grpcServer((stream) => answerGrpc(stream, answer()));
}

/** Calls back when a request is complete. */
function grpcServer(answer: (stream: ServerHttp2Stream) => void): Server {
  const server = createHttp2Server();
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.resume().on('end', () => answer(stream));
  });
  return server as unknown as Server;
}

/** One message and the trailers of success (gRPC over HTTP/2, "Responses"). */
function answerGrpc(stream: ServerHttp2Stream, message: Buffer): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([header, message]));
}
