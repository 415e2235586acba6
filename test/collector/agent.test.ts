/** The real agent, replaying a capture, into the real collector: over gRPC, over HTTP and through a file. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MAIN } from '../matrix/program.ts';
import { type Collector, startCollector } from './collector.ts';
import { type FlatRecord, readLines, readRecords } from './otlp-json.ts';
import { run } from './program-cache.ts';
import { waitUntil } from './running-program.ts';

const CAPTURE = join(import.meta.dirname, '../golden/pcaps/edns-opts.pcap');
const FILE_SINK = join(import.meta.dirname, 'file-sink.yaml');

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-agent-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

async function replay(exporter: string, env: NodeJS.ProcessEnv = {}): Promise<void> {
  await run([process.execPath, MAIN, 'replay', CAPTURE, '--exporter', exporter], { env });
}

/** What the agent says there is, without a collector: sorted, so that order does not matter. */
async function reference(): Promise<FlatRecord[]> {
  const path = join(directory, 'reference.jsonl');
  rmSync(path, { force: true });
  await replay(`otlp-file:${path}`);
  const all = readRecords(path);
  assert.ok(all.length > 0, 'the capture has lookups');
  return all;
}

function sorted(records: readonly FlatRecord[]): FlatRecord[] {
  const text = (record: FlatRecord) => JSON.stringify(record.attributes);
  return [...records].sort((a, b) => text(a).localeCompare(text(b)));
}

/**
 * Without what differs for a reason: what the collector detects of the host where the agent said nothing, and the record's
 * id, which each replay makes anew (and which must be there, for it is what tells duplicates).
 */
function comparable(records: readonly FlatRecord[]): object[] {
  return sorted(
    records.map((record) => {
      const { 'log.record.uid': uid, ...attributes } = record.attributes;
      assert.match(String(uid), /^[0-9a-f-]{36}$/);
      const resource = Object.entries(record.resource).filter(([key]) => !/^(host|os)\./.test(key));
      return { ...record, attributes, resource: Object.fromEntries(resource) };
    }),
  );
}

async function assertSame(collector: Collector, expected: readonly FlatRecord[]): Promise<void> {
  await waitUntil(() => readRecords(collector.sink).length >= expected.length, 30_000);
  assert.deepEqual(
    comparable(readRecords(collector.sink)),
    comparable(expected),
    collector.log().slice(-2000),
  );
  const metrics = await waitUntil(
    () => readLines(collector.sink).some((line) => line.includes('whodns.queries')),
    10_000,
  );
  assert.ok(metrics, 'and the metrics');
}

for (const protocol of ['grpc', 'http/protobuf'] as const) {
  test(`agent -> ${protocol} -> agent.yaml: every record, unchanged`, async () => {
    const expected = await reference();
    const collector = await startCollector(['agent', FILE_SINK], join(directory, protocol.replace('/', '-')));
    try {
      const endpoint = protocol === 'grpc' ? `http://${collector.grpcEndpoint}` : collector.httpEndpoint;
      await replay('otlp', { OTEL_EXPORTER_OTLP_PROTOCOL: protocol, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
      await assertSame(collector, expected);
    } finally {
      await collector.stop();
    }
  });
}

test('agent -> unix socket -> the three lines of docs/deployment.md: every record, unchanged', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/deployment.md'), 'utf8');
  const [, lines = ''] = /```yaml\n(receivers:\n.*?)```/s.exec(page) ?? [];
  assert.equal(lines.trimEnd().split('\n').length, 3);
  const work = join(directory, 'lines');
  mkdirSync(work);
  const socket = join(work, 'otlp.sock');
  const file = join(work, 'lines.yaml');
  writeFileSync(file, lines.replace('/run/otelcol/whodns.sock', socket));
  const pipelines =
    'service: { pipelines: { logs: { receivers: [otlp/whodns] }, metrics: { receivers: [otlp/whodns] } } }';
  writeFileSync(join(work, 'pipelines.yaml'), pipelines);
  const expected = await reference();
  const collector = await startCollector(['agent', FILE_SINK, file, join(work, 'pipelines.yaml')], work);
  try {
    await replay('otlp', { OTEL_EXPORTER_OTLP_ENDPOINT: `unix:${socket}` });
    await assertSame(collector, expected);
  } finally {
    await collector.stop();
  }
});

test('agent -> file -> file.yaml: every record, unchanged', async () => {
  const expected = await reference();
  const work = join(directory, 'file');
  mkdirSync(work);
  const collector = await startCollector(['agent', 'file', FILE_SINK], work);
  try {
    await replay(`otlp-file:${join(work, 'otlp.jsonl')}`);
    await assertSame(collector, expected);
  } finally {
    await collector.stop();
  }
});
