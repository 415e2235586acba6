/** The span that asked (OTEP 4947) by OTLP: on the record, and as the parent of the lookup's own span. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildClients, CLIENTS } from '../clients/build.ts';
import { Publisher } from '../clients/publisher.ts';
import { MAIN } from '../matrix/program.ts';
import { contextBytes } from '../unit/process-context-bytes.ts';
import { attributes, Receiver } from './receiver.ts';

const HOOK = process.env.WHODNS_TEST_HOOK ?? 'auto';
const PATIENCE_MS = 100_000;
/** Nobody listens there: the lookup ends by time-out. */
const SERVER = '127.0.0.77';

test('record and span belong to the span that asked', { timeout: 200_000 }, async (t) => {
  if (process.env.WHODNS_TEST_BUILT === undefined) buildClients();
  const logs = await Receiver.http();
  t.after(() => logs.stop());
  const requests: Buffer[] = [];
  const traces = createServer((request, response) => {
    void buffer(request).then((body) => {
      requests.push(body);
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve) => traces.listen(0, '127.0.0.1', resolve));
  t.after(() => traces.close());

  const options = ['--hook', HOOK, '--exporter', 'otlp', '--traces', '--trace-context', '--timeout', '1s'];
  const agent = spawn(process.execPath, [MAIN, 'run', ...options], {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: {
      ...process.env,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_ENDPOINT: logs.url,
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://127.0.0.1:${(traces.address() as AddressInfo).port}/v1/traces`,
      OTEL_BLRP_SCHEDULE_DELAY: '100',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
  });
  t.after(() => agent.kill('SIGKILL'));
  const payload = Buffer.from(contextBytes({}, { 'threadlocal.schema_version': 'tls_v1' })).toString('hex');
  const publisher = await Publisher.start([payload], [], {}, join(CLIENTS, 'thread-context/pie'));
  t.after(() => publisher.stop());

  const zone = `a${randomBytes(4).toString('hex')}.test`;
  const [traceId, spanId] = [randomBytes(16), randomBytes(8)];
  const ours = () =>
    logs.records
      .map(({ record }) => record)
      .filter((record) => attributes(record.attributes)['dns.question.name']?.toString().endsWith(zone));
  const traced = () => ours().find((record) => record.traceId === traceId.toString('base64'));
  const deadline = performance.now() + PATIENCE_MS;
  for (let i = 0; traced() === undefined; i++) {
    assert.ok(performance.now() < deadline, `of ${ours().length} records none has the trace`);
    const name = `q${i}.${zone}`;
    publisher.say(`1 ${SERVER} ${name} good ${Buffer.concat([traceId, spanId]).toString('hex')}`);
    assert.equal(await publisher.line(), name);
    await sleep(500);
  }
  const record = traced();
  // With --traces the record names the lookup's own span; its parent is the span that asked.
  assert.notEqual(record?.spanId, spanId.toString('base64'));
  assert.equal(record?.flags, 1);
  // Span (trace/v1/trace.proto): 1 trace_id, 2 span_id, 4 parent_span_id.
  const own = Buffer.concat([
    Buffer.from([0x0a, 16]),
    traceId,
    Buffer.from([0x12, 8]),
    Buffer.from(record?.spanId ?? '', 'base64'),
    Buffer.from([0x22, 8]),
    spanId,
  ]);
  while (!requests.some((body) => body.includes(own))) {
    assert.ok(performance.now() < deadline, `none of ${requests.length} requests has the span`);
    await sleep(100);
  }
});
