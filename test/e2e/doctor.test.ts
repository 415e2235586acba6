/** What `whodns doctor` says of where records shall go, of real servers; and of rights that are not there. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { MAIN } from '../matrix/program.ts';
import { Receiver } from './receiver.ts';

const NO_ONE = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
const TOKEN = 'tok3n';

interface Doctor {
  readonly code: number | null;
  readonly text: string;
  /** The lines of OTLP, without their columns. */
  readonly otlp: readonly string[];
}

async function doctor(env: NodeJS.ProcessEnv, prefix: readonly string[] = []): Promise<Doctor> {
  const [command = '', ...rest] = [...prefix, process.execPath, MAIN, 'doctor'];
  const child = spawn(command, rest, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  const timer = setTimeout(() => child.kill('SIGKILL'), 120_000);
  const code = await new Promise<number | null>((done) => child.on('close', done));
  clearTimeout(timer);
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith('OTLP'));
  const end = lines.indexOf('', at);
  return {
    code,
    text,
    otlp: at < 0 ? [] : lines.slice(at, end).map((line) => line.replace(/ +/g, ' ').trim()),
  };
}

/** A server that says `bytes` to whoever connects, or nothing. */
async function strange(t: TestContext, bytes: string | undefined): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    if (bytes !== undefined) socket.end(bytes);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

describe('doctor, where records shall go', () => {
  for (const [protocol, other] of [
    ['grpc', 'http/protobuf'],
    ['http/protobuf', 'grpc'],
  ] as const)
    it(`${protocol}: taken; ${other} there is named`, async (t) => {
      const server = await (protocol === 'grpc' ? Receiver.grpc({}) : Receiver.http({}));
      t.after(() => server.stop());
      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: server.url,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=${TOKEN}`,
      };
      const right = await doctor({ ...env, OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
      assert.equal(right.code, 0, right.text);
      assert.ok(
        right.otlp.length > 0 && right.otlp.every((line) => line.endsWith('takes requests')),
        right.text,
      );
      assert.equal(server.records.length, 0);
      const wrong = await doctor({ ...env, OTEL_EXPORTER_OTLP_PROTOCOL: other });
      assert.equal(wrong.code, 0, 'it would capture');
      const place = new URL(server.url).host;
      assert.ok(
        wrong.otlp.some((line) => line.endsWith(`no: ${place} speaks ${protocol}, not ${other}`)),
        wrong.text,
      );
      assert.ok(wrong.otlp.includes(`OTEL_EXPORTER_OTLP_PROTOCOL=${protocol}`), wrong.text);
      assert.doesNotMatch(right.text + wrong.text, new RegExp(TOKEN));
    });

  it('a name, a port, a socket that is not there', async () => {
    const said = async (endpoint: string) => (await doctor({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })).otlp;
    assert.match(
      (await said('http://nosuch.invalid:4317')).join('\n'),
      /finds no address for nosuch\.invalid/,
    );
    assert.match(
      (await said('http://127.0.0.1:1')).join('\n'),
      /ECONNREFUSED.*\nnothing listens at 127\.0\.0\.1:1:/,
    );
    const socket = join(tmpdir(), 'no-such-collector.sock');
    assert.ok((await said(`unix:${socket}`)).join('\n').includes(`nothing listens at ${socket}:`));
  });

  it('strange servers: one line each, in time, nothing raw', async (t) => {
    const coloured = 'HTTP/1.1 400 \u001b[31mBad\r\ncontent-type: text/plain\r\n\r\n\u001b]0;title\u0007boom';
    const answers = [undefined, '', '\u001b[2Jnonsense\n', coloured];
    const cases = answers.flatMap((bytes) =>
      ['grpc', 'http/protobuf'].map((protocol) => ({ bytes, protocol })),
    );
    const ask = async ({ bytes, protocol }: (typeof cases)[number]) => {
      const OTEL_EXPORTER_OTLP_ENDPOINT = await strange(t, bytes);
      const { code, otlp, text } = await doctor({
        OTEL_EXPORTER_OTLP_ENDPOINT,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      });
      assert.equal(code, 0, text);
      assert.ok(
        otlp.length > 0 && otlp.every((line) => line.startsWith('OTLP ') && line.includes('no: ')),
        text,
      );
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
      assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    };
    const began = performance.now();
    await Promise.all(cases.map(ask));
    assert.ok(performance.now() - began < 60_000);
  });

  it('without an endpoint nothing is asked', async () => {
    assert.deepEqual((await doctor({})).otlp, []);
  });
});

it('doctor tells whoever may not capture how to, and leaves with 1', async () => {
  const { code, text } = await doctor({}, NO_ONE);
  assert.equal(code, 1);
  assert.match(text, /^This user may not capture: /m);
  assert.doesNotMatch(text, /cannot capture on this host/);
  // What it says is what works: the same rights, given so.
  const rights = /--inh-caps=\S+ --ambient-caps=\S+/.exec(text)?.[0]?.split(' ') ?? [];
  assert.equal(rights.length, 2);
  const given = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...rights];
  const able = await doctor({}, given);
  assert.equal(able.code, 0, able.text);
  assert.match(able.text, /^whodns would use the \w+ hooks/m);
});
