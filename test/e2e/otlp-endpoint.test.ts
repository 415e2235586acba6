/** What the standard variables may hold: each program below runs with an environment of its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { Receiver } from './receiver.ts';

const PROGRAM = `
  import { Ledger } from './src/health.ts';
  import { UserError } from './src/lib/errors.ts';
  import { routeDiagnostics } from './src/sinks/otlp-diagnostics.ts';
  import { createOtlpLogsSink } from './src/sinks/otlp-logs.ts';
  import { createOtlpMetricExporter } from './src/sinks/otlp-metrics.ts';
  import { logEvent } from './test/unit/sink-events.ts';
  const lines = [];
  const notices = { warn: (m) => lines.push('warn ' + m), info: (m) => lines.push('info ' + m) };
  const target = { protocol: process.argv[1], scope: { name: 'whodns', version: '0.1.0' } };
  routeDiagnostics(notices);
  try {
    const ledger = new Ledger();
    const sink = createOtlpLogsSink({ ...target, ledger, notices, batch: { timeoutMs: 1000 } });
    createOtlpMetricExporter(target);
    sink.accept(logEvent());
    await sink.flush();
    await sink.close(500);
    lines.push(JSON.stringify(ledger.snapshot()[0]));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    lines.push('user error: ' + error.message);
  }
  process.stdout.write(JSON.stringify(lines));
  process.exit();
`;

function run(protocol: string, environment: Record<string, string>): Promise<string[]> {
  const args = ['--input-type=module-typescript', '-e', PROGRAM, protocol];
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      args,
      { env: { PATH: process.env['PATH'], ...environment } },
      (error, stdout) => (error ? reject(error) : resolve(JSON.parse(stdout) as string[])),
    );
  });
}

for (const protocol of ['grpc', 'http/protobuf']) {
  const receiver = async (t: TestContext): Promise<Receiver> => {
    const started = await (protocol === 'grpc' ? Receiver.grpc() : Receiver.http());
    t.after(() => started.stop());
    return started;
  };

  test(`${protocol}: endpoint, headers and compression come from the standard variables`, async (t) => {
    const server = await receiver(t);
    const lines = await run(protocol, {
      OTEL_EXPORTER_OTLP_ENDPOINT: server.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=a%20b',
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: 'x-key=42',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    });
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.equal(server.records.length, 1);
    const { headers } = server.requests[0] ?? {};
    assert.equal(headers?.['x-tenant'], 'a b');
    assert.equal(headers?.['x-key'], '42');
    if (protocol === 'http/protobuf') assert.equal(headers?.['content-encoding'], 'gzip');
  });

  test(`${protocol}: the variable of the signal comes first`, async (t) => {
    const server = await receiver(t);
    const own = protocol === 'grpc' ? server.url : `${server.url}/v1/logs`;
    await run(protocol, {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: own,
    });
    assert.equal(server.records.length, 1);
  });

  test(`${protocol}: what the SDK would pass over in silence is said once`, async (t) => {
    const server = await receiver(t);
    const lines = await run(protocol, {
      OTEL_EXPORTER_OTLP_ENDPOINT: server.url,
      OTEL_EXPORTER_OTLP_COMPRESSION: 'brotli',
    });
    assert.equal(lines.length, 2, lines.join('\n'));
    assert.match(lines[0] ?? '', /^warn OpenTelemetry: .*OTEL_EXPORTER_OTLP_COMPRESSION.*brotli/);
    assert.equal(server.records.length, 1);
  });

  test(`${protocol}: a warning names the endpoint without its password`, async () => {
    const path = protocol === 'grpc' ? '' : 'v1/logs';
    const lines = await run(protocol, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:secret@127.0.0.1:1' });
    assert.match(
      lines[0] ?? '',
      new RegExp(`^warn otlp: 1 record lost: (http://)?127\\.0\\.0\\.1:1/?${path}: `),
    );
    assert.ok(!lines.join('\n').includes('secret'), lines.join('\n'));
  });
}

test('an endpoint that makes no sense is an error of the user', async () => {
  assert.deepEqual(await run('grpc', { OTEL_EXPORTER_OTLP_ENDPOINT: 'foo::bar' }), [
    'user error: the OTLP endpoint cannot be used: Invalid URL',
  ]);
  const [line = ''] = await run('http/protobuf', { OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://127.0.0.1' });
  assert.equal(
    line,
    'user error: the OTLP endpoint cannot be used: ftp://127.0.0.1/v1/logs is not an http or https URL',
  );
});
