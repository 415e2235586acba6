/** What the standard variables may hold, each tried on a real server; and what is said when they hold nonsense. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { resolveConfig } from '../../src/config/config.ts';
import { Ledger } from '../../src/ledger.ts';
import { UserError } from '../../src/lib/errors.ts';
import { EXPORTER_VERSION } from '../../src/sinks/otlp/target.ts';
import { logEvent } from '../unit/sink-events.ts';
import { logsSink, metricExporter, PROTOCOLS, type Protocol, targetOf } from './otlp-sinks.ts';
import { type Listen, Receiver } from './receiver.ts';

const PREFIX = 'OTEL_EXPORTER_OTLP_';

async function receiver(t: TestContext, protocol: Protocol, where: Listen = {}): Promise<Receiver> {
  const started = await (protocol === 'grpc' ? Receiver.grpc(where) : Receiver.http(where));
  t.after(() => started.stop());
  return started;
}

/** Sends one record with these variables, their prefix left out. @returns what was said */
async function send(
  protocol: Protocol,
  url: string,
  short: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const lines: string[] = [];
  const notices = { warn: (m: string) => lines.push(m), info: (m: string) => lines.push(m) };
  const env = Object.fromEntries(Object.entries(short).map(([name, value]) => [PREFIX + name, value]));
  const limits = { retryForMs: 100 };
  const sink = await logsSink({ protocol, url, ledger: new Ledger(), notices, env, limits });
  sink.accept(logEvent());
  await sink.flush();
  await sink.close(500);
  return lines;
}

test('http/protobuf: zstd, for collectors that take it', async (t) => {
  const server = await receiver(t, 'http/protobuf');
  assert.deepEqual(await send('http/protobuf', server.url, { COMPRESSION: 'zstd' }), []);
  assert.equal(server.records.length, 1);
  assert.equal(server.requests[0]?.headers['content-encoding'], 'zstd');
});

for (const protocol of PROTOCOLS) {
  test(`${protocol}: endpoint, headers and compression come from the variables`, async (t) => {
    const server = await receiver(t, protocol);
    const lines = await send(protocol, server.url, {
      HEADERS: 'x-tenant=a%20b, X-Empty=,',
      LOGS_HEADERS: 'x-key=4=2,user-agnt=%41',
      COMPRESSION: 'GZIP',
    });
    assert.deepEqual(lines, []);
    assert.equal(server.records.length, 1);
    const { headers = {} } = server.requests[0] ?? {};
    assert.equal(headers['x-tenant'], 'a b');
    assert.equal(headers['x-key'], '4=2');
    assert.equal(headers['user-agnt'], 'A');
    assert.match(headers['user-agent'] ?? '', /^whodns\/0\.1\.0 OTel-OTLP-Exporter-JavaScript\/\d/);
    if (protocol === 'http/protobuf') assert.equal(headers['content-encoding'], 'gzip');
  });

  test(`${protocol}: the variable of the signal comes first`, async (t) => {
    const server = await receiver(t, protocol);
    const own = protocol === 'grpc' ? server.url : `${server.url}/v1/logs`;
    await send(protocol, 'http://127.0.0.1:1', { LOGS_ENDPOINT: own, LOGS_HEADERS: 'a=1', HEADERS: 'a=2' });
    assert.equal(server.records.length, 1);
    assert.equal(server.requests[0]?.headers['a'], '1');
  });

  test(`${protocol}: a unix socket`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-socket-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const socket = join(directory, 'otlp.sock');
    const server = await receiver(t, protocol, { socket });
    assert.equal(server.url, `unix:${socket}`);
    assert.deepEqual(await send(protocol, server.url), []);
    assert.deepEqual(await send(protocol, `unix://${socket}`), []);
    assert.equal(server.records.length, 2);
  });

  test(`${protocol}: metrics take the same way`, async (t) => {
    const server = await receiver(t, protocol);
    server.reply = (_, request) => (request === 0 ? { error: protocol === 'grpc' ? 14 : 503 } : {});
    const exporter = await metricExporter(protocol, server.url, { [`${PREFIX}METRICS_HEADERS`]: 'm=1' });
    const { resourceFromAttributes } = await import('@opentelemetry/resources');
    const metrics = { resource: resourceFromAttributes({ 'service.name': 'x' }), scopeMetrics: [] };
    const { code } = await new Promise<{ code: number }>((resolve) => exporter.export(metrics, resolve));
    assert.equal(code, 0);
    assert.deepEqual(
      server.requests.map(({ signal, headers }) => [signal, headers['m']]),
      [
        ['metrics', '1'],
        ['metrics', '1'],
      ],
    );
    await exporter.shutdown();
  });

  test(`${protocol}: a warning names the endpoint without its password`, async () => {
    const lines = await send(protocol, 'http://user:secret@127.0.0.1:1');
    const path = protocol === 'grpc' ? '' : '/v1/logs';
    assert.ok(lines[0]?.startsWith(`otlp: 1 record lost: http://127.0.0.1:1${path}: `), lines[0]);
    assert.ok(!lines.join('\n').includes('secret'), lines.join('\n'));
  });
}

test('http: a password in the endpoint is sent as basic authorization, unless a header says otherwise', () => {
  const env = {
    [`${PREFIX}PROTOCOL`]: 'http/protobuf',
    [`${PREFIX}ENDPOINT`]: 'https://me:p%40ss@collector.example/base/?tenant=1',
  };
  const target = targetOf('logs', env);
  assert.equal(target.headers['authorization'], `Basic ${Buffer.from('me:p@ss').toString('base64')}`);
  assert.equal(target.path, '/base/v1/logs?tenant=1');
  assert.deepEqual([target.host, target.port], ['collector.example', 443]);
  const other = targetOf('logs', { ...env, [`${PREFIX}HEADERS`]: 'Authorization=Bearer%20x' });
  assert.equal(other.headers['authorization'], 'Bearer x');
});

const GOOD: readonly (readonly [string, string, object])[] = [
  ['grpc', '', { host: 'localhost', port: 4317, tls: false }],
  ['http/protobuf', '', { host: 'localhost', port: 4318, tls: false, path: '/v1/logs' }],
  ['grpc', 'https://c.example:4317', { host: 'c.example', port: 4317, tls: true }],
  ['grpc', 'c.example:4317', { host: 'c.example', port: 4317, tls: true }],
  ['grpc', '[::1]:4317', { host: '::1', port: 4317, tls: true }],
  ['grpc', 'http://[::1]:4317/ignored', { host: '::1', port: 4317, tls: false }],
  ['http/protobuf', 'HTTP://c.example', { host: 'c.example', port: 80, tls: false, path: '/v1/logs' }],
  ['http/protobuf', 'unix:/run/o.sock', { host: '', port: 0, tls: false, path: '/v1/logs' }],
];
for (const [protocol, endpoint, expected] of GOOD) {
  test(`${protocol}: "${endpoint}" is understood`, () => {
    const env = { [`${PREFIX}PROTOCOL`]: protocol, [`${PREFIX}ENDPOINT`]: endpoint };
    const { host, port, tls, path } = targetOf('logs', env);
    assert.deepEqual({ path: '', ...expected }, { host, port, tls: tls !== undefined, path });
  });
}

test('OTEL_EXPORTER_OTLP_INSECURE counts only where there is no scheme', () => {
  const tls = (endpoint: string): boolean =>
    targetOf('logs', { [`${PREFIX}ENDPOINT`]: endpoint, [`${PREFIX}INSECURE`]: 'true' }).tls !== undefined;
  assert.deepEqual(['c:1', 'https://c:1', 'http://c:1'].map(tls), [false, true, false]);
});

const BAD: readonly (readonly [string, string])[] = [
  ['ENDPOINT', 'foo::bar'],
  ['ENDPOINT', 'ftp://127.0.0.1'],
  ['ENDPOINT', 'http://'],
  ['ENDPOINT', 'http://c:99999'],
  ['ENDPOINT', 'unix:relative.sock'],
  ['ENDPOINT', 'c.example/path'],
  ['LOGS_ENDPOINT', '/v1/logs'],
  ['INSECURE', '1'],
  ['COMPRESSION', 'brotli'],
  ['TIMEOUT', '10s'],
  ['TIMEOUT', '-1'],
  ['LOGS_TIMEOUT', '0'],
  ['METRICS_TEMPORALITY_PREFERENCE', 'sometimes'],
  ['METRICS_DEFAULT_HISTOGRAM_AGGREGATION', 'base2_exponential_bucket_histogram'],
  ['HEADERS', 'a'],
  ['HEADERS', '=b'],
  ['HEADERS', 'a b=c'],
  ['HEADERS', 'a=%zz'],
  ['HEADERS', 'a=x%0d%0ay'],
  ['HEADERS', 'content-length=0'],
  ['LOGS_HEADERS', 'x-bin=1'],
];
for (const [name, value] of BAD) {
  test(`a bad ${name} (${JSON.stringify(value)}) gives one warning and the default`, () => {
    const good = resolveConfig('run', {}, {});
    const { config, warnings } = resolveConfig('run', {}, { [PREFIX + name]: value });
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.ok(warnings[0]?.startsWith(`${PREFIX}${name}=`), warnings[0]);
    // An endpoint that is set, even badly, says that OTLP is wanted.
    const { logs: _, metrics: __, ...rest } = config;
    const { logs: ___, metrics: ____, ...defaults } = good.config;
    assert.deepEqual(rest, defaults);
  });
}

test('a header is never shown', () => {
  const { warnings } = resolveConfig(
    'run',
    {},
    { [`${PREFIX}HEADERS`]: 'authorization=Bearer s3cret\u0001' },
  );
  assert.equal(warnings.length, 1);
  assert.ok(!warnings.join().includes('s3cret'), warnings.join());
});

test('http needs a scheme', () => {
  const env = { [`${PREFIX}PROTOCOL`]: 'http/protobuf', [`${PREFIX}ENDPOINT`]: 'c.example:4318' };
  assert.throws(
    () => targetOf('logs', env),
    (error) => error instanceof UserError && error.exitCode === 2 && /http or https URL/.test(error.message),
  );
});

test('the version in the User-Agent is that of the exporter package', () => {
  const file = new URL('../../node_modules/@opentelemetry/otlp-exporter-base/package.json', import.meta.url);
  assert.equal((JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version, EXPORTER_VERSION);
});
