/** The metrics sink against real protocol peers: names, units, points, start times, bounds, temporality, final flush. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DnsCache } from '../../src/dnscache/index.ts';
import type { InspectorStats } from '../../src/inspector/inspector.ts';
import { Ledger } from '../../src/ledger.ts';
import type { KubernetesStats, ProcessCount, ProcessKey, SourceStats } from '../../src/model.ts';
import { copyOf } from '../../src/sinks/limits.ts';
import { type MetricsOptions, MetricsSink } from '../../src/sinks/metrics/sink.ts';
import { METRICS } from '../../src/tables/metrics.ts';
import { SDK_METRICS } from '../../src/tables/metrics-self.ts';
import { STAGES, type StageName, stageReasons } from '../../src/tables/stages.ts';
import { connectionLog, identity, logEvent, type Spec } from '../unit/sink-events.ts';
import { metricExporter, type Protocol, SCOPE } from './otlp-sinks.ts';
import { attributes, type HistogramPoint, type Metric, type NumberPoint, Receiver } from './receiver.ts';

const CUMULATIVE = 'AGGREGATION_TEMPORALITY_CUMULATIVE';
const DELTA = 'AGGREGATION_TEMPORALITY_DELTA';
const NAMES = [...Object.keys(STAGES), 'detector:mine'] as readonly StageName[];

/** A capture whose counters the test sets. */
class Counters {
  list: ProcessCount[] = [];
  forgotten: ProcessKey[] = [];
  values: SourceStats = {
    hook: 'fentry',
    counters: { requests: 10, responses: 9 },
    drops: { ring_full: 3 },
    missedRuns: 1,
    batches: 4,
    batchBytes: 4096,
    ring: { used: 512, size: 16_777_216 },
  };
  stats(): SourceStats {
    return this.values;
  }
  processes(): readonly ProcessCount[] {
    return this.list;
  }
  forget(keys: readonly ProcessKey[]): void {
    this.forgotten.push(...keys);
    this.list = this.list.filter(({ pid }) => !keys.some((key) => key.pid === pid));
  }
}

const PODS: KubernetesStats = {
  source: 'kubelet',
  connected: true,
  resting: false,
  pods: 11,
  namespaces: 0,
  lists: 2,
  watches: 1,
  events: 5,
  unread: 0,
  failures: { refused: 4 },
  changes: { added: 12, removed: 1 },
};

const INSPECTOR: InspectorStats = {
  ...{ requests: 9, answered: 5, gone: 1, timeout: 1, crashed: 0, paused: 2 },
  ...{ overflow: 0, stuck: 0, unavailable: 0, waiting: 0, hanging: 1 },
};

function count(pid: number, udp: number, tcp: number, lastSeen = unixNow()): ProcessCount {
  const requests = { udpRequests: udp, tcpRequests: tcp, requestBytes: udp * 40 };
  return {
    pid,
    startTime: 123_456_789_000n,
    ...requests,
    lastSeen,
    cgroupId: 1n,
    share: { cgroupId: 1n, user: 0 },
  };
}

function unixNow(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

interface Setup {
  readonly sink: MetricsSink;
  readonly source: Counters;
  readonly ledger: Ledger;
  readonly lines: string[];
}

async function setUp(
  t: TestContext,
  receiver: { url: string },
  protocol: Protocol,
  rest: Partial<MetricsOptions> = {},
): Promise<Setup> {
  const ledger = new Ledger();
  const source = new Counters();
  const lines: string[] = [];
  const sink = new MetricsSink({
    exporter: await metricExporter(protocol, receiver.url),
    ledger,
    notices: { warn: (m) => lines.push(`warn ${m}`), info: (m) => lines.push(`info ${m}`) },
    source,
    scope: SCOPE,
    hostAttributes: { 'host.name': 'worker-1' },
    queues: [
      { sink: 'otlp', items: 'log', capacity: 100 },
      { sink: 'otlp-spans', items: 'span', capacity: 200 },
    ],
    intervalMs: 60_000,
    timeoutMs: 5000,
    ...rest,
  });
  t.after(() => sink.close(100));
  return { sink, source, ledger, lines };
}

/** The last export's metrics by name. */
function latest(receiver: Receiver): Map<string, Metric> {
  const last = receiver.resourceMetrics.at(-1);
  assert.ok(last);
  return new Map(last.scopeMetrics.flatMap(({ metrics }) => metrics.map((metric) => [metric.name, metric])));
}

function numbers(
  metric: Metric | undefined,
): { at: Record<string, unknown>; value: number; point: NumberPoint }[] {
  const points = metric?.sum?.dataPoints ?? metric?.gauge?.dataPoints ?? [];
  return points.map((point) => {
    assert.ok(point.asInt !== undefined, 'an integer point');
    return { at: attributes(point.attributes), value: Number(point.asInt), point };
  });
}

/** Sum of the points whose attributes include these. */
function total(metric: Metric | undefined, where: Record<string, unknown>): number {
  return numbers(metric)
    .filter(({ at }) => Object.entries(where).every(([key, value]) => at[key] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

function histograms(metric: Metric | undefined): HistogramPoint[] {
  return metric?.histogram?.dataPoints ?? [];
}

for (const protocol of ['grpc', 'http/protobuf'] as const) {
  test(`${protocol}: every metric of the table arrives, with its unit and its points`, async (t) => {
    const receiver = await (protocol === 'grpc' ? Receiver.grpc() : Receiver.http());
    t.after(() => receiver.stop());
    const { sink, source, ledger, lines } = await setUp(t, receiver, protocol, {
      pods: [{ stats: () => PODS }],
      metadata: () => ({ containerd: { connected: 1, containers: 3, events: 8 } }),
      dnsCache: new DnsCache({}),
      inspector: () => INSPECTOR,
    });
    source.list = [count(4711, 5, 2), count(99, 1, 0)];
    ledger.stage('streams').filter('retransmission', 4);
    ledger.stage('correlate').held = () => 7;
    ledger.stage('wire').in = 1;
    for (const name of NAMES) ledger.stage(name);
    sink.observeSpool({ diskBytes: 5000, damage: { bytes: 12 } });
    const pod = identity({
      pid: 23,
      resource: { 'process.executable.name': 'nginx', 'k8s.pod.name': 'web-1', 'k8s.namespace.name': 'shop' },
    });
    const specs: Spec[] = [
      {},
      {},
      { duration: 100_000_000n },
      { rcode: 3, answers: [], search: { base: 'www.example.com', step: 2, wasted: 3 } },
      { outcome: 'timeout' },
    ];
    for (const spec of specs) sink.accept(logEvent(spec));
    sink.accept(logEvent({ process: pod, type: 28 }));
    sink.accept(logEvent({ type: 65_280 }));
    const rule = { 'security_rule.name': 'tunnel' };
    sink.accept({ ...copyOf(logEvent()), lookup: undefined, eventName: 'whodns.finding', attributes: rule });
    sink.accept(connectionLog());
    await sink.flush();
    assert.deepEqual(lines, []);
    const metrics = latest(receiver);

    for (const [name, { unit, description, kind }] of Object.entries(METRICS)) {
      const metric = metrics.get(name);
      assert.ok(metric, name);
      assert.deepEqual({ unit: metric.unit, description: metric.description }, { unit, description });
      assert.ok(metric[kind === 'updown' ? 'sum' : kind], `${name} is a ${kind}`);
      if (metric.sum)
        assert.deepEqual(
          [metric.sum.isMonotonic ?? false, metric.sum.aggregationTemporality],
          [kind === 'sum', CUMULATIVE],
        );
    }
    const others = [...metrics.keys()].filter((name) => !(name in METRICS));
    assert.deepEqual(
      others.filter((name) => !(name in SDK_METRICS)),
      [],
    );

    // The first loss is an increase: of every reason there is a point before.
    const drops = metrics.get('whodns.dropped')?.sum?.dataPoints ?? [];
    const zeros = drops.map(({ attributes: at }) => Object.values(attributes(at)).join(' '));
    for (const stage of NAMES)
      for (const reason of Object.keys(stageReasons(stage).dropped))
        assert.ok(zeros.includes(`${stage} ${reason}`), `${stage} ${reason}: ${zeros.join(', ')}`);
    assert.ok(zeros.includes('sink:metrics queue_full') && zeros.includes('kernel ring_full'));
    const left = metrics.get('whodns.filtered')?.sum?.dataPoints ?? [];
    const leftOut = left.map(({ attributes: at }) => Object.values(attributes(at)).join(' '));
    for (const stage of NAMES)
      for (const reason of Object.keys(stageReasons(stage).filtered))
        assert.ok(leftOut.includes(`${stage} ${reason}`), `${stage} ${reason}: ${leftOut.join(', ')}`);
    assert.ok(drops.every((point) => Number(point.asInt) >= 0));

    const queries = metrics.get('whodns.queries');
    const curl = {
      'process.executable.name': 'curl',
      'service.name': 'unknown_service:curl',
      'network.transport': 'udp',
    };
    assert.deepEqual(
      numbers(queries).map(({ at, value }) => ({ ...at, value })),
      [
        { ...curl, 'dns.question.type': 'A', 'dns.response_code': 'NOERROR', value: 3 },
        {
          ...curl,
          'dns.question.type': 'A',
          'dns.response_code': 'NXDOMAIN',
          'error.type': 'NXDOMAIN',
          value: 1,
        },
        { ...curl, 'dns.question.type': 'A', 'error.type': 'timeout', value: 1 },
        {
          'process.executable.name': 'nginx',
          'k8s.namespace.name': 'shop',
          'k8s.pod.name': 'web-1',
          'dns.question.type': 'AAAA',
          'dns.response_code': 'NOERROR',
          'network.transport': 'udp',
          value: 1,
        },
        { ...curl, 'dns.question.type': '_OTHER', 'dns.response_code': 'NOERROR', value: 1 },
      ],
    );
    const [point] = numbers(queries);
    assert.ok(point && BigInt(point.point.startTimeUnixNano) < BigInt(point.point.timeUnixNano));

    const noerror = histograms(metrics.get('dns.lookup.duration')).find((p) => p.count === '3');
    assert.ok(noerror);
    assert.deepEqual(attributes(noerror.attributes), {
      'service.name': 'unknown_service:curl',
      'dns.question.type': 'A',
      'dns.response_code': 'NOERROR',
      'network.transport': 'udp',
    });
    assert.deepEqual(
      noerror.explicitBounds,
      [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    );
    // 12.3 ms twice; 100 ms lies in the bucket whose upper bound it is.
    assert.deepEqual(noerror.bucketCounts.map(Number), [0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert.ok(Math.abs((noerror.sum ?? 0) - 0.1246) < 1e-9);
    assert.deepEqual([noerror.min, noerror.max], [0.0123, 0.1]);

    assert.equal(total(metrics.get('whodns.search.wasted'), { 'process.executable.name': 'curl' }), 3);
    assert.equal(total(metrics.get('whodns.findings'), { ...rule, 'process.executable.name': 'curl' }), 1);
    assert.equal(total(metrics.get('whodns.connections'), { 'whodns.unresolved': true }), 1);

    const byKubelet = { 'whodns.kubernetes.source': 'kubelet' };
    assert.equal(total(metrics.get('whodns.kubernetes.pods'), byKubelet), 11);
    assert.equal(
      total(metrics.get('whodns.kubernetes.requests'), { 'whodns.kubernetes.outcome': 'refused' }),
      4,
    );
    const events = metrics.get('whodns.metadata.events');
    assert.equal(total(events, { 'whodns.metadata.source': 'containerd' }), 8);

    const perProcess = metrics.get('whodns.process.queries');
    assert.equal(total(perProcess, { 'process.executable.name': 'curl', 'network.transport': 'udp' }), 5);
    assert.equal(total(perProcess, { 'process.executable.name': 'curl', 'network.transport': 'tcp' }), 2);
    const unknown = numbers(perProcess).find(({ at }) => at['process.pid'] === 'int:99');
    assert.deepEqual(unknown?.at, { 'process.pid': 'int:99', 'network.transport': 'udp' });

    const dropped = { 'whodns.stage': 'kernel', 'whodns.reason': 'ring_full' };
    assert.equal(total(metrics.get('whodns.dropped'), dropped), 3);
    assert.equal(total(metrics.get('whodns.filtered'), { 'whodns.stage': 'streams' }), 4);
    assert.equal(total(metrics.get('whodns.held'), { 'whodns.stage': 'correlate' }), 7);
    assert.equal(total(metrics.get('whodns.kernel.events'), { 'whodns.kernel.event': 'responses' }), 9);
    assert.equal(total(metrics.get('whodns.ring.used'), {}), 512);

    const resource = attributes(receiver.resourceMetrics[0]?.resource.attributes ?? []);
    assert.equal(resource['service.name'], 'whodns');
    assert.equal(resource['service.version'], '0.1.0');
    assert.equal(resource['host.name'], 'worker-1');
    assert.match(String(resource['service.instance.id']), /^[0-9a-f-]{36}$/);
    const [stage] = ledger.snapshot();
    assert.deepEqual([stage?.name, stage?.in, stage?.out, stage?.missing], ['sink:metrics', 9, 9, 0]);
  });
}

test('the series are bounded: what has no room is summed in one overflow series', async (t) => {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  const limits = { limit: 10, idleNs: 3_600_000_000_000n };
  const { sink, source } = await setUp(t, receiver, 'grpc', {
    seriesLimits: limits,
    processLimits: { limit: 5, idleNs: limits.idleNs },
  });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 50; i++) {
      const resource = { 'process.executable.name': `program-${round}-${i}` };
      sink.accept(logEvent({ process: identity({ pid: i, resource }) }));
    }
    source.list = Array.from({ length: 20 * (round + 1) }, (_, pid) => count(pid, round + 1, 0));
    await sink.flush();
    const metrics = latest(receiver);
    const queries = numbers(metrics.get('whodns.queries'));
    assert.equal(queries.length, 10);
    assert.equal(total(metrics.get('whodns.queries'), {}), 50 * (round + 1), 'the total stays right');
    assert.equal(
      total(metrics.get('whodns.queries'), { 'otel.metric.overflow': true }),
      50 * (round + 1) - 9,
    );
    const processes = numbers(metrics.get('whodns.process.queries'));
    assert.equal(processes.length, 6);
    assert.equal(total(metrics.get('whodns.process.queries'), {}), 20 * (round + 1) * (round + 1));
  }
});

test('a process that has not asked for long is reported a last time, then forgotten; it may come back', async (t) => {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  const idleNs = 60_000_000_000n;
  const { sink, source } = await setUp(t, receiver, 'grpc', { processLimits: { limit: 5, idleNs } });
  sink.accept(logEvent());
  source.list = [count(4711, 5, 0, unixNow() - 2n * idleNs), count(1, 1, 0)];
  await sink.flush();
  assert.equal(
    total(latest(receiver).get('whodns.process.queries'), { 'process.executable.name': 'curl' }),
    5,
  );
  assert.deepEqual(source.forgotten, [{ pid: 4711, startTime: 123_456_789_000n }]);
  await sink.flush();
  assert.equal(numbers(latest(receiver).get('whodns.process.queries')).length, 1);
  const before = unixNow();
  source.list.push(count(4711, 2, 0));
  sink.accept(logEvent());
  await sink.flush();
  const back = numbers(latest(receiver).get('whodns.process.queries')).find(
    ({ at }) => at['process.executable.name'] === 'curl',
  );
  assert.equal(back?.value, 2);
  assert.ok(BigInt(back.point.startTimeUnixNano) > before - 5_000_000_000n, 'a new series with a new start');
});

test('with delta temporality each export holds what came since the last', async (t) => {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  const { sink, source } = await setUp(t, receiver, 'grpc', {
    exporter: await metricExporter('grpc', receiver.url, {
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'Delta',
    }),
  });
  for (const [round, lookups] of [3, 2, 0].entries()) {
    for (let i = 0; i < lookups; i++) sink.accept(logEvent());
    source.list = [count(4711, 10 * (round + 1), 0)];
    await sink.flush();
    const metrics = latest(receiver);
    const queries = metrics.get('whodns.queries');
    assert.equal(total(queries, {}), lookups);
    if (lookups > 0) assert.equal(queries?.sum?.aggregationTemporality, DELTA);
    assert.equal(total(metrics.get('whodns.process.queries'), {}), 10);
    const durations = histograms(metrics.get('dns.lookup.duration'));
    assert.deepEqual(
      durations.map((p) => Number(p.count)),
      lookups === 0 ? [] : [lookups],
    );
  }
});

test('close exports a last time; a dead endpoint costs one line and no time beyond the deadline', async (t) => {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  const alive = await setUp(t, receiver, 'grpc');
  alive.sink.accept(logEvent());
  await alive.sink.close(2000);
  assert.equal(total(latest(receiver).get('whodns.queries'), {}), 1);
  assert.deepEqual(alive.lines, []);

  const hung = await Receiver.grpc();
  t.after(() => hung.stop());
  hung.reply = () => ({ delayMs: 4000 });
  const slow = await setUp(t, hung, 'grpc');
  slow.sink.accept(logEvent());
  const begun = performance.now();
  await slow.sink.close(200);
  assert.ok(performance.now() - begun < 3000);
  assert.deepEqual(slow.lines, ['warn metrics: the last export did not end in time']);

  const dead = await setUp(t, { url: 'http://127.0.0.1:1' }, 'grpc');
  await dead.sink.flush();
  await dead.sink.flush();
  assert.equal(dead.lines.length, 1);
  assert.match(dead.lines[0] ?? '', /^warn metrics: export failed: .*ECONNREFUSED/);
});

test('metrics go out by themselves at the interval', async (t) => {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  const { sink } = await setUp(t, receiver, 'grpc', { intervalMs: 100, timeoutMs: 5000 });
  sink.accept(logEvent());
  const deadline = performance.now() + 5000;
  while (receiver.resourceMetrics.length < 2 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(receiver.resourceMetrics.length >= 2);
});
