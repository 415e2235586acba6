/** What is said of a collector that is there, or away, and the exit code when records were lost: the command, real receivers. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MAIN } from '../matrix/program.ts';
import { Receiver } from './receiver.ts';

const CAPTURE = resolve('test/golden/pcaps/dns-badcookie.pcap');

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

function whodns(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  const variables = { PATH: process.env['PATH'] ?? '', ...env };
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      [MAIN, ...argv],
      { env: variables, timeout: 120_000, killSignal: 'SIGKILL' },
      (_error, _stdout, stderr) => done({ code: child.exitCode, stderr }),
    );
  });
}

async function receiverOf(t: TestContext, kind: 'grpc' | 'http'): Promise<Receiver> {
  const receiver = await Receiver[kind]();
  t.after(() => receiver.stop());
  return receiver;
}

/** Nothing listens there. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

for (const kind of ['grpc', 'http'] as const)
  test(`${kind}: success is said, once, and by whom`, async (t) => {
    const receiver = await receiverOf(t, kind);
    const { code, stderr } = await whodns(['replay', CAPTURE], {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: kind === 'grpc' ? 'grpc' : 'http/protobuf',
      OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: '1',
      OTEL_METRICS_EXPORTER: 'none',
    });
    assert.equal(code, 0, stderr);
    assert.ok(receiver.records.length > 1);
    assert.equal(stderr.split(`first records accepted by ${receiver.url}`).length, 2, stderr);
    assert.doesNotMatch(stderr, /no collector|lost/);
  });

test('sdk: success is said too', async (t) => {
  const receiver = await receiverOf(t, 'grpc');
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_METRICS_EXPORTER: 'none' };
  const { code, stderr } = await whodns(['replay', CAPTURE, '--exporter', 'sdk'], env);
  assert.equal(code, 0, stderr);
  assert.equal(stderr.split('first records accepted by').length, 2, stderr);
});

test('away: said at once; what could not be delivered ends in exit code 3, with its number', async () => {
  const url = `http://127.0.0.1:${await closedPort()}`;
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_METRICS_EXPORTER: 'none', WHODNS_RETRY_FOR: '1s' };
  const { code, stderr } = await whodns(['replay', CAPTURE], env);
  assert.equal(code, 3, stderr);
  assert.match(stderr, new RegExp(`no collector at ${url}: connect ECONNREFUSED`));
  assert.match(stderr, /records were lost: \d+ sink:otlp\/\w+/);
  assert.doesNotMatch(stderr, /accepted/);
});

test('away, with a spool: nothing is lost', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-said-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const url = `http://127.0.0.1:${await closedPort()}`;
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_METRICS_EXPORTER: 'none' };
  const argv = ['run', '--duration', '2s', '--exporter', 'otlp', '--spool', directory];
  const { code, stderr } = await whodns(argv, env);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /no collector at/);
  assert.ok(stderr.indexOf('no collector at') < stderr.indexOf('capturing with'), stderr);
});

test('a collector that rejects records: exit code 3', async (t) => {
  const receiver = await receiverOf(t, 'grpc');
  receiver.reply = () => ({ rejected: 1, message: 'too old' });
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_METRICS_EXPORTER: 'none' };
  const { code, stderr } = await whodns(['replay', CAPTURE], env);
  assert.equal(code, 3, stderr);
  assert.match(stderr, /records were lost: \d+ sink:otlp\/rejected/);
});

test('a reader that has left takes nothing away: exit code 0', async () => {
  const command = `${process.execPath} ${MAIN} replay ${CAPTURE} --format json`;
  const code = await new Promise((done) => {
    const child = execFile('bash', ['-c', `set -o pipefail; ${command} | true`], () => done(child.exitCode));
  });
  assert.equal(code, 0);
});
