/** `--exporter sdk` against a real gRPC server: the same records as from our own exporter, and books that are right. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveConfig } from '../../src/config/config.ts';
import { Ledger, type StageSnapshot } from '../../src/ledger.ts';
import { UserError } from '../../src/lib/errors.ts';
import type { LogEvent } from '../../src/model.ts';
import { createSdkSink, type SdkSink } from '../../src/sinks/otlp/sdk-sink.ts';
import { replay } from '../golden/replay.ts';
import { viewOf } from '../unit/message-bytes.ts';
import { connectionLog, identity, logEvent, lookup, recordOf, type Spec } from '../unit/sink-events.ts';
import { logsSink } from './otlp-sinks.ts';
import { Receiver } from './receiver.ts';

const SCOPE = { name: 'whodns', version: '0.1.0' };
const CAPTURES = new URL('../golden/pcaps/', import.meta.url).pathname;
const UNAVAILABLE = 14;

interface Setup {
  readonly sink: SdkSink;
  readonly lines: string[];
  stage(): StageSnapshot;
}

function setUp(t: TestContext, env: Readonly<Record<string, string>>): Setup {
  const ledger = new Ledger();
  const lines: string[] = [];
  const notices = { warn: (line: string) => lines.push(line), info: (line: string) => lines.push(line) };
  const variables = { OTEL_BLRP_SCHEDULE_DELAY: '20', ...env };
  const { config } = resolveConfig('run', { exporters: ['sdk'] }, variables);
  const sink = createSdkSink({ config, scope: SCOPE, ledger, notices, meterProvider: undefined });
  t.after(() => sink.close(0));
  const stage = (): StageSnapshot => {
    const [snapshot] = ledger.snapshot();
    assert.ok(snapshot);
    assert.equal(snapshot.missing, 0);
    return snapshot;
  };
  return { sink, lines, stage };
}

async function start(t: TestContext): Promise<Receiver> {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  return receiver;
}

/** Of everything there is: all captures of the tests, every outcome, spans, oddities, connections. */
async function events(): Promise<LogEvent[]> {
  const processes = [
    identity(),
    identity({ pid: 5, attribution: 'none', executableName: 'é日', resource: { 'process.pid': 5 } }),
  ];
  const found: LogEvent[] = [];
  for (const file of readdirSync(CAPTURES).filter((name) => name.endsWith('.pcap')))
    for (const payload of (await replay(CAPTURES + file, [53, 8053])).payloads) {
      const process = processes[found.length % 2] as (typeof processes)[0];
      const view = viewOf(lookup({ process }));
      view.answer.message.parse(payload, 0, payload.length, payload.length);
      found.push(recordOf(view));
    }
  const trace = { traceId: new Uint8Array(16).fill(0xab), spanId: new Uint8Array(8).fill(0xcd), flags: 1 };
  const specs: Spec[] = [
    {},
    { outcome: 'timeout', retries: 3 },
    { outcome: 'sent' },
    { outcome: 'unknown', reason: 'stream_gap' },
    { conflictsWith: 'first', answers: [] },
    { rcode: 3, answers: [] },
    { search: { base: 'x', step: 3, wasted: 2 } },
    { raw: { trace, dialed: { address: '2001:db8::1', port: 5353 }, owner: undefined, localAny: true } },
    { response: { edns: { ...EDNS, extendedErrors: [{ code: 22, text: 'naïve \u202e' }] } } },
  ];
  return [...found, ...specs.map(logEvent), connectionLog()];
}

const EDNS = {
  version: 0,
  udpSize: 512,
  do: false,
  extendedRcode: 0,
  options: [],
  clientSubnet: undefined,
  clientSubnetScope: undefined,
  extendedErrors: [],
};

/** In an order of their own: two processes make two groups in one request, and the batches differ. */
function sorted({ records }: Receiver): unknown[] {
  const key = ({ record }: (typeof records)[number]) => {
    const uid = record.attributes.find((attribute) => attribute.key === 'log.record.uid');
    return uid?.value.stringValue ?? '';
  };
  return records
    .map(({ resource, scope, record }) => {
      const { severityText: _text, droppedAttributesCount = 0, flags = 0, ...fields } = record;
      const { name, version } = scope;
      return { resource, scope: { name, version }, record: { ...fields, droppedAttributesCount, flags } };
    })
    .sort((a, b) => (key(a as never) < key(b as never) ? -1 : 1));
}

test('the SDK and our own exporter give the same records', async (t) => {
  const [ours, theirs] = [await start(t), await start(t)];
  const own = await logsSink({
    protocol: 'grpc',
    url: ours.url,
    ledger: new Ledger(),
    notices: { warn: () => {}, info: () => {} },
  });
  t.after(() => own.close(0));
  const { sink, lines, stage } = setUp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: theirs.url });
  const all = await events();
  assert.ok(all.length > 50, `${all.length} records`);
  for (const event of all) {
    own.accept(event);
    sink.accept(event);
  }
  await Promise.all([own.flush(), sink.flush()]);
  assert.deepEqual(lines, []);
  assert.equal(stage().out, all.length);
  assert.equal(ours.records.length, all.length);
  assert.deepEqual(sorted(theirs), sorted(ours));
  assert.match(String(theirs.requests[0]?.headers['user-agent']), /^whodns\/0\.1\.0 OTel-OTLP-Exporter/);
});

test('headers, gzip and the limits of attributes are those of the settings', async (t) => {
  const receiver = await start(t);
  const { sink } = setUp(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=a%20b',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_ATTRIBUTE_COUNT_LIMIT: '3',
  });
  sink.accept(logEvent());
  await sink.flush();
  const [only] = receiver.records;
  assert.equal(only?.record.attributes.length, 3);
  assert.ok((only?.record.droppedAttributesCount ?? 0) > 10);
  assert.equal(receiver.requests[0]?.headers['x-tenant'], 'a b');
});

test('a lone record leaves by itself', async (t) => {
  const receiver = await start(t);
  const { sink, stage } = setUp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  sink.accept(logEvent());
  for (let i = 0; i < 100 && stage().out === 0; i++) await sleep(50);
  assert.equal(receiver.records.length, 1);
});

test('what the server refuses, what the queue has no room for and what the end leaves are counted', async (t) => {
  const receiver = await start(t);
  const { sink, lines, stage } = setUp(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BLRP_MAX_QUEUE_SIZE: '10',
    OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: '4',
  });
  receiver.reply = () => ({ error: 3 });
  for (let i = 0; i < 25; i++) sink.accept(logEvent());
  assert.equal(stage().dropped['queue_full'], 15);
  await sink.flush();
  assert.deepEqual({ ...stage().dropped }, { queue_full: 15, failed: 10 });
  assert.equal(stage().out, 0);
  assert.match(lines.join('\n'), /queue is full/);
  receiver.reply = () => ({});
  for (let i = 0; i < 10; i++) sink.accept(logEvent());
  await sink.flush();
  assert.equal(stage().out, 10);
  assert.equal(receiver.records.length, 10);
  receiver.reply = () => ({ delayMs: 3000 });
  for (let i = 0; i < 7; i++) sink.accept(logEvent());
  const before = performance.now();
  await sink.close(300);
  assert.ok(performance.now() - before < 2000);
  sink.accept(logEvent());
  assert.deepEqual({ ...stage().dropped }, { queue_full: 15, failed: 10, shutdown: 7, closed: 1 });
  assert.equal(stage().held, 0);
});

test('a server that is away loses the records after the time of an export, and says so', async (t) => {
  const receiver = await Receiver.grpc();
  await receiver.stop();
  const { sink, lines, stage } = setUp(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_TIMEOUT: '500',
  });
  receiver.reply = () => ({ error: UNAVAILABLE });
  sink.accept(logEvent());
  await sink.flush();
  for (let i = 0; i < 100 && stage().held > 0; i++) await sleep(50);
  const { dropped, held } = stage();
  assert.equal((dropped['failed'] ?? 0) + (dropped['timeout'] ?? 0), 1);
  assert.equal(held, 0);
  assert.equal(lines.length, 1);
});

test('what the stock exporter does not know is refused', (t) => {
  for (const env of [
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' },
    { OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd' },
  ])
    assert.throws(() => setUp(t, env), UserError);
});
