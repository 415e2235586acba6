/**
 * What the tests put in: two processes on one host, one of them a pod with every kind of trouble. Counts are chosen so
 * that each alert's condition holds.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attributes } from '../../src/model.ts';
import { DURATION_BOUNDS, METRICS, type MetricName } from '../../src/tables/metrics.ts';
import { CHECKOUT, CURL, type ExampleLookup, lookupRecord } from '../collector/example-lookups.ts';
import { keyValues, logsRequest, post, type RecordInput } from '../collector/otlp-json.ts';

export const TRACE_ID = '5b8efff798038103d269b633813fc60c';
export const CLIENT_SPAN_ID = 'eee19b7ec3c1b174';
const ROOT_SPAN_ID = 'aaa19b7ec3c1b174';

export interface LookupGroup {
  readonly process: Attributes;
  readonly count: number;
  readonly lookup: ExampleLookup;
}

const thread = { 'whodns.process.parent.executable.name': 'containerd-shim' };
const checkout = { ...CHECKOUT, ...thread };
const curl = { ...CURL, 'whodns.process.parent.executable.name': 'bash' };

const missing = (name: string, search?: ExampleLookup['search']): LookupGroup => ({
  process: checkout,
  count: 15,
  lookup: {
    name,
    type: 'A',
    rcode: 'NXDOMAIN',
    duration: 0.001,
    ...(search === undefined ? {} : { search }),
  },
});

const PAYMENTS = 'payments.example.com';

export const LOOKUPS: readonly LookupGroup[] = [
  {
    process: checkout,
    count: 20,
    lookup: {
      name: PAYMENTS,
      type: 'A',
      rcode: 'NOERROR',
      duration: 0.002,
      answers: ['192.0.2.7'],
      search: { base: PAYMENTS, step: 3, wasted: 1 },
    },
  },
  missing(`${PAYMENTS}.shop.svc.cluster.local`, { base: PAYMENTS, step: 0 }),
  missing(`${PAYMENTS}.svc.cluster.local`, { base: PAYMENTS, step: 1, wasted: 1 }),
  missing(`${PAYMENTS}.cluster.local`, { base: PAYMENTS, step: 2, wasted: 1 }),
  missing('gone.example.net'),
  {
    process: checkout,
    count: 10,
    lookup: { name: 'broken.example.net', type: 'A', rcode: 'SERVFAIL', duration: 0.02 },
  },
  { process: checkout, count: 10, lookup: { name: 'silent.example.net', type: 'A' } },
  {
    process: checkout,
    count: 5,
    lookup: {
      name: 'Slow.example.com',
      type: 'A',
      rcode: 'NOERROR',
      duration: 0.9,
      answers: ['192.0.2.8'],
      traceId: TRACE_ID,
      spanId: CLIENT_SPAN_ID,
    },
  },
  {
    process: curl,
    count: 5,
    lookup: {
      name: 'www.example.org',
      type: 'AAAA',
      rcode: 'NOERROR',
      duration: 0.01,
      answers: ['2001:db8::1'],
    },
  },
];

/** Records that are no lookups. */
export interface OtherGroup {
  readonly process: Attributes;
  readonly count: number;
  readonly record: Required<Pick<RecordInput, 'eventName' | 'body' | 'attributes'>>;
}

const connect = (address: string, port: number, names: readonly string[]): OtherGroup['record'] => ({
  eventName: 'whodns.connect',
  body: `connect ${address}:${port} ${names[0] ?? 'unresolved'}`,
  attributes: {
    'network.peer.address': address,
    'network.peer.port': port,
    'network.transport': 'tcp',
    ...(names.length === 0
      ? { 'whodns.unresolved': true }
      : { 'whodns.connect.names': names, 'whodns.connect.scope': 'process' }),
  },
});

const finding = (rule: string, subject: string): OtherGroup['record'] => ({
  eventName: 'whodns.finding',
  body: `${rule}: ${subject}`,
  attributes: { 'security_rule.name': rule, 'whodns.finding.subject': subject },
});

export const OTHERS: readonly OtherGroup[] = [
  { process: checkout, count: 6, record: connect('192.0.2.7', 443, [PAYMENTS]) },
  { process: checkout, count: 2, record: connect('198.51.100.9', 8443, []) },
  { process: curl, count: 1, record: connect('2001:db8::1', 443, ['www.example.org', 'example.org']) },
  { process: checkout, count: 1, record: finding('tunnel', 'example.net') },
  { process: curl, count: 1, record: finding('rogue-resolver', '192.0.2.53') },
  {
    process: {
      'service.name': 'unknown_service',
      'host.name': 'node-7',
      'k8s.namespace.name': 'shop',
      'k8s.pod.name': 'quiet-0',
    },
    count: 1,
    record: {
      eventName: 'whodns.visibility',
      body: 'visibility of shop/quiet-0: on -> off (whodns/capture: off)',
      attributes: { 'whodns.visibility.level': 'off', 'whodns.visibility.previous': 'on' },
    },
  },
];

/** Increase of each series per push (one push a second); gauges: the value. */
interface SeriesInput {
  readonly metric: MetricName;
  readonly attributes: Attributes;
  readonly value: number;
}

const WORKLOAD: Attributes = {
  'process.executable.name': 'node',
  'service.name': 'checkout',
  'service.namespace': 'shop',
  'container.id': String(CHECKOUT['container.id']),
  'k8s.namespace.name': 'shop',
  'k8s.pod.name': String(CHECKOUT['k8s.pod.name']),
  'k8s.container.name': 'app',
};
const HOST_PROGRAM: Attributes = {
  'process.executable.name': 'curl',
  'service.name': 'unknown_service:curl',
};
const API = { 'whodns.kubernetes.source': 'api' };
const udp = { 'network.transport': 'udp' };

export const SERIES: readonly SeriesInput[] = [
  {
    metric: 'whodns.queries',
    value: 200,
    attributes: { ...WORKLOAD, 'dns.question.type': 'A', 'dns.response_code': 'NOERROR', ...udp },
  },
  {
    metric: 'whodns.queries',
    value: 600,
    attributes: {
      ...WORKLOAD,
      'dns.question.type': 'A',
      'dns.response_code': 'NXDOMAIN',
      'error.type': 'NXDOMAIN',
      ...udp,
    },
  },
  {
    metric: 'whodns.queries',
    value: 100,
    attributes: {
      ...WORKLOAD,
      'dns.question.type': 'A',
      'dns.response_code': 'SERVFAIL',
      'error.type': 'SERVFAIL',
      ...udp,
    },
  },
  {
    metric: 'whodns.queries',
    value: 100,
    attributes: { ...WORKLOAD, 'dns.question.type': 'A', 'error.type': 'timeout', ...udp },
  },
  {
    metric: 'whodns.queries',
    value: 50,
    attributes: { ...HOST_PROGRAM, 'dns.question.type': 'AAAA', 'dns.response_code': 'NOERROR', ...udp },
  },
  {
    metric: 'whodns.queries',
    value: 20,
    attributes: { ...HOST_PROGRAM, 'dns.question.type': 'A', 'whodns.outcome': 'unknown', ...udp },
  },
  {
    metric: 'whodns.process.queries',
    value: 1000,
    attributes: {
      ...WORKLOAD,
      'process.pid': 4201,
      'process.creation.time': '2026-01-31T09:25:34.853Z',
      ...udp,
    },
  },
  {
    metric: 'whodns.process.queries',
    value: 50,
    attributes: {
      ...HOST_PROGRAM,
      'process.pid': 991,
      'process.creation.time': '2026-01-31T10:00:00.120Z',
      ...udp,
    },
  },
  { metric: 'whodns.search.wasted', value: 350, attributes: WORKLOAD },
  { metric: 'whodns.connections', value: 60, attributes: { ...WORKLOAD, 'whodns.unresolved': false } },
  { metric: 'whodns.connections', value: 20, attributes: { ...WORKLOAD, 'whodns.unresolved': true } },
  { metric: 'whodns.connections', value: 10, attributes: { ...HOST_PROGRAM, 'whodns.unresolved': false } },
  { metric: 'whodns.findings', value: 1, attributes: { ...WORKLOAD, 'security_rule.name': 'tunnel' } },
  {
    metric: 'whodns.dropped',
    value: 3,
    attributes: { 'whodns.stage': 'kernel', 'whodns.reason': 'ring_full' },
  },
  {
    metric: 'whodns.dropped',
    value: 1,
    attributes: { 'whodns.stage': 'kernel', 'whodns.reason': 'request_suppressed' },
  },
  {
    metric: 'whodns.filtered',
    value: 2,
    attributes: { 'whodns.stage': 'dns', 'whodns.reason': 'answer_sent' },
  },
  { metric: 'whodns.held', value: 7, attributes: { 'whodns.stage': 'correlate' } },
  { metric: 'whodns.kernel.events', value: 1100, attributes: { 'whodns.kernel.event': 'message' } },
  { metric: 'whodns.kernel.missed_runs', value: 1, attributes: {} },
  { metric: 'whodns.ring.used', value: 12_582_912, attributes: {} },
  { metric: 'whodns.ring.size', value: 16_777_216, attributes: {} },
  { metric: 'whodns.batches', value: 10, attributes: {} },
  { metric: 'whodns.batch.bytes', value: 40_960, attributes: {} },
  { metric: 'whodns.spool.size', value: 8_388_608, attributes: {} },
  {
    metric: 'otel.sdk.processor.log.queue.size',
    value: 4096,
    attributes: {
      'otel.component.type': 'batching_log_processor',
      'otel.component.name': 'batching_log_processor/0',
    },
  },
  { metric: 'process.memory.usage', value: 180_000_000, attributes: {} },
  { metric: 'process.cpu.time', value: 2, attributes: { 'cpu.mode': 'user' } },
  { metric: 'whodns.kubernetes.connected', value: 0, attributes: API },
  { metric: 'whodns.kubernetes.pods', value: 12, attributes: API },
  {
    metric: 'whodns.kubernetes.requests',
    value: 5,
    attributes: { ...API, 'whodns.kubernetes.outcome': 'unreachable' },
  },
  { metric: 'whodns.metadata.connected', value: 1, attributes: { 'whodns.metadata.source': 'cri' } },
  {
    metric: 'whodns.metadata.events',
    value: 4,
    attributes: { 'whodns.metadata.source': 'containers', 'whodns.metadata.event': 'timeout' },
  },
  { metric: 'whodns.dnscache.trees', value: 30, attributes: {} },
  { metric: 'whodns.dnscache.nodes', value: 90, attributes: {} },
  { metric: 'whodns.dnscache.lookups', value: 9, attributes: { 'whodns.dnscache.result': 'miss' } },
  { metric: 'whodns.dnscache.removed', value: 3, attributes: { 'whodns.reason': 'evicted' } },
  { metric: 'whodns.dnscache.refused', value: 2, attributes: { 'whodns.reason': 'full' } },
];

/** Per push: 180 of 200 in 1 to 5 ms, 20 in 0.75 to 1 s; curl's 50 in 5 to 10 ms. */
export const HISTOGRAMS = [
  {
    attributes: { 'service.name': 'checkout', 'service.namespace': 'shop', 'k8s.namespace.name': 'shop' },
    buckets: { 0: 180, 9: 20 },
    sum: 18.4,
  },
  { attributes: { 'service.name': 'unknown_service:curl' }, buckets: { 1: 50 }, sum: 0.5 },
] as const;

const AGENT: Attributes = {
  'service.name': 'whodns',
  'service.instance.id': 'fdbf79e8af94cb7f9e8df36789187052',
  'host.name': 'node-7',
  'os.type': 'linux',
};

/** Unix ms. */
export interface Fed {
  /** Time of the records. */
  readonly records: number;
  /** Time of the first round of metrics, in which every counter is 0. */
  readonly rounds: number;
}

/**
 * Sends records, spans and `pushes` rounds of metrics a second apart.
 * @param seen waits until the first round has been scraped: what was not seen at 0 is no increase
 */
export async function feed(endpoint: string, pushes: number, seen: () => Promise<void>): Promise<Fed> {
  const records = Date.now();
  await sendRecords(endpoint, records);
  await sendTraces(endpoint, records);
  await post(endpoint, 'metrics', metrics(records, 0));
  await seen();
  const rounds = Date.now();
  for (let round = 1; round < pushes; round += 1) {
    await sleep(rounds + round * 1000 - Date.now());
    await post(endpoint, 'metrics', metrics(rounds, round));
  }
  return { records, rounds };
}

/** A trace of the service. @param at Unix ms */
export async function sendTraces(endpoint: string, at: number): Promise<void> {
  await post(endpoint, 'traces', traces(at));
}

async function sendRecords(endpoint: string, at: number): Promise<void> {
  let time = BigInt(at) * 1_000_000n;
  for (const { process, count, lookup } of LOOKUPS) {
    const records = Array.from({ length: count }, () => {
      time += 1000n;
      const record = lookupRecord(lookup, time);
      return { ...record, attributes: { ...record.attributes, 'whodns.thread.name': 'main' } };
    });
    await post(endpoint, 'logs', logsRequest(process, records));
  }
  for (const { process, count, record } of OTHERS) {
    const records = Array.from({ length: count }, () => {
      time += 1000n;
      return { ...record, time, severity: 9 };
    });
    await post(endpoint, 'logs', logsRequest(process, records));
  }
}

function metrics(started: number, round: number): object {
  const point = (attributes: Attributes) => ({
    attributes: keyValues(attributes),
    startTimeUnixNano: `${started}000000`,
    timeUnixNano: `${started + round * 1000}000000`,
  });
  const plain = SERIES.map(({ metric, attributes, value }) => {
    const { kind, unit } = METRICS[metric];
    if (kind === 'gauge') {
      return { name: metric, unit, gauge: { dataPoints: [{ ...point(attributes), asInt: String(value) }] } };
    }
    const isMonotonic = kind === 'sum';
    const dataPoints = [{ ...point(attributes), asInt: String(isMonotonic ? value * round : value) }];
    return { name: metric, unit, sum: { dataPoints, aggregationTemporality: 2, isMonotonic } };
  });
  const dataPoints = HISTOGRAMS.map(({ attributes, buckets, sum }) => {
    const counts = Array.from({ length: DURATION_BOUNDS.length + 1 }, () => 0);
    for (const [index, count] of Object.entries(buckets)) counts[Number(index)] = count * round;
    return {
      ...point({ ...attributes, 'dns.question.type': 'A', 'dns.response_code': 'NOERROR', ...udp }),
      count: String(counts.reduce((total, count) => total + count, 0)),
      sum: sum * round,
      bucketCounts: counts.map(String),
      explicitBounds: DURATION_BOUNDS,
    };
  });
  const histogram = {
    name: 'dns.lookup.duration',
    unit: 's',
    histogram: { dataPoints, aggregationTemporality: 2 },
  };
  return {
    resourceMetrics: [
      {
        resource: { attributes: keyValues(AGENT) },
        scopeMetrics: [{ scope: { name: 'whodns' }, metrics: [...plain, histogram] }],
      },
    ],
  };
}

/** A request that the checkout service serves, calling slow.example.com. */
function traces(at: number): object {
  const span = (spanId: string, name: string, kind: number, attributes: Attributes) => ({
    traceId: TRACE_ID,
    spanId,
    name,
    kind,
    startTimeUnixNano: `${at}000000`,
    endTimeUnixNano: `${at + 950}000000`,
    attributes: keyValues(attributes),
  });
  const spans = [
    span(ROOT_SPAN_ID, 'POST /pay', 2, { 'http.request.method': 'POST', 'url.path': '/pay' }),
    {
      ...span(CLIENT_SPAN_ID, 'GET', 3, { 'server.address': 'slow.example.com', 'server.port': 443 }),
      parentSpanId: ROOT_SPAN_ID,
    },
  ];
  const resource = {
    'service.name': 'checkout',
    'service.namespace': 'shop',
    'k8s.pod.name': String(CHECKOUT['k8s.pod.name']),
  };
  return {
    resourceSpans: [
      { resource: { attributes: keyValues(resource) }, scopeSpans: [{ scope: { name: 'http' }, spans }] },
    ],
  };
}
