/** The OTLP log sink against real protocol peers: what arrives, and what the ledger says when things go wrong. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger, type StageSnapshot } from '../../src/ledger.ts';
import type { DeliverySink } from '../../src/sinks/delivery/delivery.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { identity, logEvent, record, TIME } from '../unit/sink-events.ts';
import { type Limits, logsSink, PROTOCOLS, type Protocol } from './otlp-sinks.ts';
import { attributes, Receiver } from './receiver.ts';

const UNAVAILABLE = 14;
const INVALID_ARGUMENT = 3;

interface Setup {
  readonly sink: DeliverySink;
  readonly lines: string[];
  stage(): StageSnapshot;
}

async function setUp(t: TestContext, protocol: Protocol, url: string, limits: Limits = {}): Promise<Setup> {
  const ledger = new Ledger();
  const lines: string[] = [];
  const notices = {
    warn: (m: string) => lines.push(`warn ${m}`),
    info: (m: string) => lines.push(`info ${m}`),
  };
  const sink = await logsSink({ protocol, url, ledger, notices, limits });
  t.after(() => sink.close(0));
  const stage = (): StageSnapshot => {
    const [snapshot] = ledger.snapshot();
    assert.ok(snapshot);
    assert.equal(snapshot.missing, 0);
    return snapshot;
  };
  return { sink, lines, stage };
}

/** A loopback port on which nobody listens. */
async function closedPort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(address !== null && typeof address === 'object');
  return `http://127.0.0.1:${address.port}`;
}

for (const protocol of PROTOCOLS) {
  const start = (): Promise<Receiver> => (protocol === 'grpc' ? Receiver.grpc() : Receiver.http());

  test(`${protocol}: every field of a record arrives`, async (t) => {
    const receiver = await start();
    t.after(() => receiver.stop());
    const { sink, lines, stage } = await setUp(t, protocol, receiver.url);
    const other = identity({
      pid: 5,
      resource: { 'process.pid': 5, 'process.executable.name': '\ufffd\x1bé日' },
    });
    const answers = [
      record('www.example.com', RR_TYPES.CNAME, 'cdn.example.net', 60),
      record('cdn.example.net', RR_TYPES.A, '192.0.2.1', 5),
    ];
    const first = logEvent({ answers, duration: 1_500_000n });
    sink.accept(first);
    sink.accept(logEvent({ process: other, outcome: 'timeout', retries: 2 }));
    sink.accept(logEvent({ name: 'second.example.com', rcode: 3, answers: [] }));
    await sink.flush();
    assert.deepEqual(lines, []);
    const { in: taken, out, held } = stage();
    assert.deepEqual({ taken, out, held }, { taken: 3, out: 3, held: 0 });

    assert.equal(receiver.requests.length, 1);
    // Two processes: two ResourceLogs, the records of one process under one resource.
    assert.deepEqual(
      receiver.resourceLogs.map(({ scopeLogs }) => scopeLogs.map(({ logRecords }) => logRecords.length)),
      [[2], [1]],
    );
    assert.match(String(receiver.requests[0]?.headers['user-agent']), /^whodns\/0\.1\.0 OTel-OTLP-Exporter/);
    const [arrived, nxdomain, timeout] = receiver.records;
    assert.ok(arrived && nxdomain && timeout);
    assert.equal(arrived.scope.name, 'whodns');
    assert.equal(arrived.scope.version, '0.1.0');
    assert.deepEqual(arrived.resource, {
      'process.pid': 'int:4711',
      'process.creation.time': '2026-11-21T07:00:00.000Z',
      'process.executable.name': 'curl',
      'process.interactive': true,
      'container.image.tags': ['1.2', 'latest'],
      'service.name': 'unknown_service:curl',
      'host.name': 'worker-1',
    });
    const { attributes: list, body, droppedAttributesCount = 0, ...fields } = arrived.record;
    assert.equal(droppedAttributesCount, 0);
    assert.deepEqual(fields, {
      timeUnixNano: String(TIME),
      observedTimeUnixNano: String(TIME + 20_000_000n),
      severityNumber: 'SEVERITY_NUMBER_INFO',
      eventName: 'whodns.query',
    });
    assert.deepEqual(body, {
      stringValue: 'A www.example.com: 192.0.2.1 +1 in 1.50ms (curl)',
    });
    const uid = first.attributes['log.record.uid'];
    assert.match(String(uid), /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(attributes(list), {
      'dns.question.name': 'www.example.com',
      'dns.question.type': 'A',
      'dns.id': 'int:4242',
      'dns.response_code': 'NOERROR',
      'dns.answers': ['192.0.2.1'],
      'dns.lookup.duration': 0.0015,
      'server.address': '192.0.2.53',
      'server.port': 'int:53',
      'network.local.address': '198.51.100.7',
      'network.local.port': 'int:41215',
      'network.transport': 'udp',
      'network.type': 'ipv4',
      'network.protocol.name': 'dns',
      'whodns.answers': ['www.example.com 60 CNAME cdn.example.net', 'cdn.example.net 5 A 192.0.2.1'],
      'whodns.flags': ['rd', 'ra'],
      'whodns.edns.version': 'int:0',
      'whodns.edns.udp_size': 'int:1232',
      'whodns.edns.do': true,
      'whodns.edns.client_subnet': '198.51.100.0/24',
      'whodns.thread.id': 'int:4712',
      'whodns.thread.name': 'curl-worker',
      'whodns.hook': 'fentry',
      'whodns.attribution': 'kernel',
      'whodns.netns': 'int:4026531840',
      'log.record.uid': uid,
    });
    assert.equal(nxdomain.record.severityNumber, 'SEVERITY_NUMBER_WARN');
    assert.equal(attributes(nxdomain.record.attributes)['error.type'], 'NXDOMAIN');
    assert.equal(timeout.resource['process.executable.name'], '\ufffd\x1bé日');
    const late = attributes(timeout.record.attributes);
    assert.equal(late['error.type'], 'timeout');
    assert.equal(late['whodns.retries'], 'int:2');
    assert.ok(!('dns.response_code' in late) && !('dns.lookup.duration' in late));
  });

  test(`${protocol}: an endpoint that is away costs one warning line and no record, until the agent ends`, async (t) => {
    const { sink, lines, stage } = await setUp(t, protocol, await closedPort(), { batchSize: 10 });
    for (let i = 0; i < 25; i++) sink.accept(logEvent());
    await sleep(1500);
    assert.deepEqual([stage().held, stage().dropped], [25, {}]);
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(
      lines[0] ?? '',
      /^warn otlp: http:\/\/127\.0\.0\.1:\d+\S*: .*ECONNREFUSED.*; it is tried again$/,
    );
    await sink.close(1000);
    assert.deepEqual([stage().held, stage().dropped], [0, { shutdown: 25 }]);
    assert.equal(lines[1], 'warn otlp: 25 records lost until the end');
  });

  test(`${protocol}: with a longest time for retries they end, and what they were for is counted`, async (t) => {
    const limits = { batchSize: 10, retryForMs: 300 };
    const { sink, lines, stage } = await setUp(t, protocol, await closedPort(), limits);
    for (let i = 0; i < 25; i++) sink.accept(logEvent());
    await sink.flush();
    const { out, dropped, held } = stage();
    assert.deepEqual({ out, dropped, held }, { out: 0, dropped: { failed: 25 }, held: 0 });
    assert.match(lines[0] ?? '', /^warn otlp: 10 records lost: .*ECONNREFUSED/);
  });

  test(`${protocol}: an endpoint that comes back gets everything, once`, async (t) => {
    const url = await closedPort();
    const port = Number(new URL(url).port);
    const { sink, lines, stage } = await setUp(t, protocol, url, { batchSize: 10 });
    for (let i = 0; i < 95; i++) sink.accept(logEvent());
    await sleep(700);
    const receiver = await (protocol === 'grpc' ? Receiver.grpc(port) : Receiver.http(port));
    t.after(() => receiver.stop());
    await sink.flush();
    assert.equal(stage().out, 95);
    const uids = receiver.records.map(({ record: r }) => attributes(r.attributes)['log.record.uid']);
    assert.deepEqual([uids.length, new Set(uids).size], [95, 95]);
    assert.equal(lines.at(-1), 'info otlp: works again');
  });

  test(`${protocol}: rejected records are counted, not repeated`, async (t) => {
    const receiver = await start();
    t.after(() => receiver.stop());
    receiver.reply = () => ({ rejected: 2, message: 'two too many' });
    const { sink, lines, stage } = await setUp(t, protocol, receiver.url);
    for (let i = 0; i < 5; i++) sink.accept(logEvent());
    await sink.flush();
    assert.deepEqual(stage().dropped, { rejected: 2 });
    assert.equal(stage().out, 3);
    assert.equal(receiver.requests.length, 1);
    assert.deepEqual(lines, ['warn otlp: 2 records lost: two too many']);
  });

  test(`${protocol}: a server that answers errors loses what it refused and nothing else`, async (t) => {
    const receiver = await start();
    t.after(() => receiver.stop());
    receiver.reply = (_, request) =>
      request < 2 ? { error: protocol === 'grpc' ? INVALID_ARGUMENT : 400, message: 'bad day' } : {};
    const { sink, lines, stage } = await setUp(t, protocol, receiver.url, { batchSize: 10, concurrency: 1 });
    for (let i = 0; i < 50; i++) sink.accept(logEvent());
    await sink.flush();
    assert.deepEqual(stage().dropped, { failed: 20 });
    assert.equal(stage().out, 30);
    assert.equal(receiver.records.length, 30);
    assert.match(lines[0] ?? '', /^warn otlp: 10 records lost: /);
    assert.equal(lines[1], 'info otlp: works again (10 records more lost meanwhile)');
    assert.equal(lines.length, 2);
  });

  test(`${protocol}: a slow server is sent to in parallel, within the bounds, nothing lost`, async (t) => {
    const receiver = await start();
    t.after(() => receiver.stop());
    receiver.reply = () => ({ delayMs: 100 });
    const { sink, stage } = await setUp(t, protocol, receiver.url, { batchSize: 10, concurrency: 3 });
    for (let i = 0; i < 120; i++) sink.accept(logEvent({ name: `n${i}.example.com` }));
    assert.equal(stage().held, 120);
    await sink.flush();
    assert.equal(stage().out, 120);
    assert.equal(receiver.mostConcurrent, 3);
    const names = receiver.records.map(({ record: r }) => attributes(r.attributes)['dns.question.name']);
    assert.equal(new Set(names).size, 120);
  });

  test(`${protocol}: close gives up at its deadline and counts what was left`, async (t) => {
    const receiver = await start();
    t.after(() => receiver.stop());
    receiver.reply = () => ({ delayMs: 4000 });
    const { sink, lines, stage } = await setUp(t, protocol, receiver.url, {
      batchSize: 10,
      concurrency: 2,
      attemptMs: 1500,
    });
    for (let i = 0; i < 100; i++) sink.accept(logEvent());
    await sleep(50);
    const begun = performance.now();
    await Promise.all([sink.close(300), sink.close(300)]);
    assert.ok(performance.now() - begun < 2500);
    sink.accept(logEvent());
    assert.deepEqual(stage().dropped, { shutdown: 100, closed: 1 });
    assert.equal(stage().held, 0);
    assert.deepEqual(lines, ['warn otlp: 100 records lost until the end']);
  });
}

test('100 000 records through the queue: every one is delivered, dropped or held', async (t) => {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  // What is not retryable is lost; what is comes again.
  receiver.reply = (_, request) => {
    if (request % 10 === 9) return { error: INVALID_ARGUMENT };
    return request % 10 === 4 ? { error: UNAVAILABLE } : { delayMs: 5 };
  };
  const { sink, stage } = await setUp(t, 'grpc', receiver.url, { queueRecords: 5000, batchSize: 500 });
  const processes = Array.from({ length: 50 }, (_, pid) =>
    identity({ pid, resource: { 'process.pid': pid } }),
  );
  const events = processes.map((process) => logEvent({ process }));
  for (let i = 0; i < 100_000; i++) {
    sink.accept(events[i % events.length] ?? logEvent());
    if (i % 1000 === 999) {
      stage();
      if (i % 20_000 < 10_000) await sleep(12); // now slower than the server, now more at once than the queue holds
    }
  }
  await sink.flush();
  const { in: taken, out, dropped, held } = stage();
  assert.equal(taken, 100_000);
  assert.equal(held, 0);
  assert.equal(receiver.records.length, out);
  assert.ok((dropped['queue_full'] ?? 0) > 0 && (dropped['failed'] ?? 0) > 0, JSON.stringify(dropped));
  assert.deepEqual(Object.keys(dropped).sort(), ['failed', 'queue_full']);
});

test('a request stays below 4 MiB however large the records are', async (t) => {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  const { sink, lines, stage } = await setUp(t, 'grpc', receiver.url);
  const answers = Array.from({ length: 100 }, () =>
    record('x.example.com', RR_TYPES.TXT, `"${'é'.repeat(600)}"`),
  );
  for (let i = 0; i < 100; i++) {
    const resource = { 'process.pid': i, 'process.command_args': Array(300).fill('日'.repeat(5000)) };
    sink.accept(logEvent({ answers, ...(i % 10 === 0 ? { process: identity({ resource }) } : {}) }));
  }
  await sink.flush();
  assert.deepEqual(lines, []);
  assert.equal(stage().out, 100);
  assert.ok(receiver.requests.length > 3);
});
