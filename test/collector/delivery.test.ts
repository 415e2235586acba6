/** The shipped files in running collectors: what goes in comes out, changed only as the file says. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { INVALID_SPAN_CONTEXT } from '@opentelemetry/api';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { type Collector, startCollector } from './collector.ts';
import { CHECKOUT, CURL, lookupRecord } from './example-lookups.ts';
import { type FlatRecord, logsRequest, post, readLines, readRecords } from './otlp-json.ts';
import { freePorts, waitUntil } from './running-program.ts';

const FILE_SINK = join(import.meta.dirname, 'file-sink.yaml');
const NOW = 1_769_851_600_000_000_000n;
const LOOKUP = {
  name: 'Secret.Internal',
  type: 'A',
  rcode: 'NOERROR',
  duration: 0.002,
  answers: ['192.0.2.1'],
};

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-collector-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** Waits until the sink has `count` records. */
async function records(collector: Pick<Collector, 'sink' | 'log'>, count: number): Promise<FlatRecord[]> {
  const arrived = await waitUntil(() => readRecords(collector.sink).length >= count, 30_000);
  assert.ok(
    arrived,
    `${readRecords(collector.sink).length} of ${count} records\n${collector.log().slice(-3000)}`,
  );
  return readRecords(collector.sink);
}

test('agent.yaml: a record arrives unchanged, and no host is put over the one it names', async () => {
  const collector = await startCollector(['agent', FILE_SINK], join(directory, 'agent'));
  try {
    await post(collector.httpEndpoint, 'logs', logsRequest(CHECKOUT, [lookupRecord(LOOKUP, NOW)]));
    const [record] = await records(collector, 1);
    assert.deepEqual(record?.resource, CHECKOUT);
    assert.equal(record?.eventName, 'whodns.query');
    assert.equal(record?.attributes['dns.question.name'], 'Secret.Internal');
    const bare = { 'service.name': 'bare' };
    await post(collector.httpEndpoint, 'logs', logsRequest(bare, [lookupRecord(LOOKUP, NOW)]));
    const [, second] = await records(collector, 2);
    assert.equal(typeof second?.resource['host.name'], 'string', 'what a record does not say is detected');
  } finally {
    await collector.stop();
  }
});

test('agent.yaml: OTLP/gRPC over a unix socket', async () => {
  const socket = join(directory, 'otlp.sock');
  const collector = await startCollector(['agent', FILE_SINK], join(directory, 'socket'), {
    OTLP_GRPC_TRANSPORT: 'unix',
    OTLP_GRPC_ENDPOINT: socket,
  });
  const exporter = new OTLPLogExporter({
    url: `unix://${socket}`,
    credentials: credentials.createInsecure(),
  });
  try {
    assert.ok(statSync(socket).isSocket());
    const record: ReadableLogRecord = {
      hrTime: [1_769_851_600, 5],
      hrTimeObserved: [1_769_851_600, 6],
      spanContext: INVALID_SPAN_CONTEXT,
      severityNumber: 9,
      body: 'secret.internal A NOERROR',
      eventName: 'whodns.query',
      resource: resourceFromAttributes({ 'service.name': 'checkout', 'host.name': 'node-7' }),
      instrumentationScope: { name: 'whodns' },
      attributes: { 'dns.question.name': 'secret.internal' },
      droppedAttributesCount: 0,
    };
    const result = await new Promise<{ code: number; error?: Error }>((resolve) =>
      exporter.export([record], resolve),
    );
    assert.equal(result.code, 0, String(result.error));
    const [arrived] = await records(collector, 1);
    assert.equal(arrived?.resource['host.name'], 'node-7');
    assert.equal(arrived?.attributes['dns.question.name'], 'secret.internal');
  } finally {
    await exporter.shutdown();
    await collector.stop();
  }
});

test('file.yaml: reads lines of a growing file once, across a restart, and opens no port', async () => {
  const work = join(directory, 'file');
  const names = ['agent', 'file', FILE_SINK];
  const line = (name: string) =>
    `${JSON.stringify(logsRequest(CURL, [lookupRecord({ ...LOOKUP, name }, NOW)]))}\n`;
  let collector = await startCollector(names, work);
  try {
    appendFileSync(join(work, 'otlp.jsonl'), line('one.example') + line('two.example'));
    await records(collector, 2);
    for (const endpoint of [collector.httpEndpoint, `http://${collector.grpcEndpoint}`]) {
      await assert.rejects(fetch(endpoint), 'the OTLP receiver is not started');
    }
    await collector.stop();
    appendFileSync(join(work, 'otlp.jsonl'), line('three.example'));
    collector = await startCollector(names, work);
    await records(collector, 3);
    // A record larger than the receiver's default limit of 1 MiB a line.
    appendFileSync(join(work, 'otlp.jsonl'), line(`${'x'.repeat(3 * 1024 * 1024)}.example`));
    const all = await records(collector, 4);
    const found = all.map((record) => String(record.attributes['dns.question.name']).slice(0, 13));
    assert.deepEqual(found, ['one.example', 'two.example', 'three.example', 'xxxxxxxxxxxxx']);
    assert.equal(all[0]?.attributes['log.file.name'], undefined);
  } finally {
    await collector.stop();
  }
});

test('file.yaml: logs and metrics mixed in one file', async () => {
  const work = join(directory, 'mixed');
  const collector = await startCollector(['agent', 'file', FILE_SINK], work);
  try {
    const metric = {
      resourceMetrics: [
        {
          resource: { attributes: [] },
          scopeMetrics: [
            {
              scope: { name: 'whodns' },
              metrics: [
                {
                  name: 'whodns.queries',
                  gauge: { dataPoints: [{ asInt: '7', timeUnixNano: String(NOW) }] },
                },
              ],
            },
          ],
        },
      ],
    };
    const logs = logsRequest(CURL, [lookupRecord(LOOKUP, NOW)]);
    appendFileSync(join(work, 'otlp.jsonl'), `${JSON.stringify(logs)}\n${JSON.stringify(metric)}\n`);
    await records(collector, 1);
    assert.ok(
      await waitUntil(
        () => readLines(collector.sink).some((text) => text.includes('whodns.queries')),
        20_000,
      ),
    );
    assert.equal(readRecords(collector.sink).length, 1);
  } finally {
    await collector.stop();
  }
});

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`otlp.yaml: an unreachable gateway and ${signal} to the collector lose nothing`, async () => {
    const work = join(directory, signal);
    const [port] = await freePorts(1);
    const endpoint = `127.0.0.1:${port}`;
    const env = { GATEWAY_ENDPOINT: endpoint, GATEWAY_INSECURE: 'true' };
    let agent = await startCollector(['agent', 'otlp'], join(work, 'agent'), env);
    let gateway: Collector | undefined;
    try {
      const batch = Array.from({ length: 500 }, (_, index) =>
        lookupRecord({ ...LOOKUP, name: `n${index}.example` }, NOW + BigInt(index)),
      );
      for (let start = 0; start < 500; start += 50) {
        await post(agent.httpEndpoint, 'logs', logsRequest(CURL, batch.slice(start, start + 50)));
      }
      await agent.stop(signal);
      agent = await startCollector(['agent', 'otlp'], join(work, 'agent'), env);
      gateway = await startCollector(['gateway', FILE_SINK], join(work, 'gateway'), {
        OTLP_GRPC_ENDPOINT: endpoint,
      });
      const all = await records(gateway, 500);
      const names = new Set(all.map((record) => record.attributes['dns.question.name']));
      assert.equal(names.size, 500, 'every acknowledged record arrived');
    } finally {
      await agent.stop();
      await gateway?.stop();
    }
  });
}
