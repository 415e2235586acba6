/** The queries of otel-config/clickhouse/README.md, what they are asked with, and what they find in the scenario. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attributes } from '../../src/model.ts';
import { lookupRecord } from '../collector/example-lookups.ts';
import { logsRequest, post } from '../collector/otlp-json.ts';
import type { Row } from './clickhouse.ts';
import { CLIENT_SPAN_ID, LOOKUPS, type LookupGroup, OTHERS, SERIES, TRACE_ID } from './scenario.ts';

const PAGE = join(import.meta.dirname, '../../otel-config/clickhouse/README.md');

/** Each section's heading to the statement below it. */
export const STATEMENTS: ReadonlyMap<string, string> = new Map(
  readFileSync(PAGE, 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const lines = section.split('\n').filter((line) => line.startsWith('    '));
      return [
        section.slice(0, section.indexOf('\n')),
        lines.map((line) => line.slice(4)).join('\n'),
      ] as const;
    }),
);

export interface Question {
  readonly parameters?: Readonly<Record<string, string>>;
  /** Their order does not matter where the statement leaves it open. Times are left out. */
  readonly rows: readonly Row[];
}

const HOST = 'node-7';
interface Asker {
  readonly process: Attributes;
}
const placeOf = ({ process }: Asker) => ({
  host: process['host.name'],
  service: process['service.name'],
  process: process['process.executable.name'],
});
const pidOf = ({ process }: Asker) => String(process['process.pid']);

const CRAWLER: Attributes = {
  'service.name': 'crawler',
  'host.name': 'node-8',
  'process.pid': 991,
  'process.executable.name': 'crawl',
  'process.creation.time': '2026-02-01T00:00:00.000Z',
};
const OTHER_SERVER = '192.0.2.54';

/** What the scenario has not: a second host, where a pid of the first comes again, and a second server, which is slower. */
export const MORE: readonly LookupGroup[] = [
  { process: CRAWLER, count: 3, lookup: { name: 'a.crawled.example', type: 'A' } },
  {
    process: CRAWLER,
    count: 1,
    lookup: { name: 'A.crawled.example', type: 'A', rcode: 'REFUSED', duration: 2 },
  },
  {
    process: CRAWLER,
    count: 1,
    lookup: { name: 'b.crawled.example', type: 'A', rcode: 'NOERROR', duration: 1 },
  },
];

export async function sendMore(endpoint: string): Promise<void> {
  const time = BigInt(Date.now()) * 1_000_000n;
  for (const { process, count, lookup } of MORE) {
    const records = Array.from({ length: count }, () => {
      const record = lookupRecord(lookup, time);
      return { ...record, attributes: { ...record.attributes, 'server.address': OTHER_SERVER } };
    });
    await post(endpoint, 'logs', logsRequest(process, records));
  }
}

const ALL = [...LOOKUPS, ...MORE];

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

/** As the names below it and the name itself: of `example.com` only what is asked for. */
function asked(isOf: (name: string) => boolean): Row[] {
  return ALL.filter(({ lookup }) => isOf(lookup.name)).flatMap((group) => {
    const { name, type, rcode, answers } = group.lookup;
    return times(group.count, {
      ...placeOf(group),
      pid: pidOf(group),
      question: name,
      type,
      result: rcode ?? 'timeout',
      answers: answers ?? [],
    });
  });
}

/** By linear interpolation between the two nearest, as ClickHouse's `quantile`. */
function quantile(level: number, values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = level * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? 0;
  return below + (at - Math.floor(at)) * ((sorted[Math.ceil(at)] ?? 0) - below);
}

/** Of the lookups that a server was asked for. */
function serverRow(server: string, groups: readonly LookupGroup[]): Row {
  const durations = groups.flatMap(({ count, lookup }) =>
    lookup.duration === undefined ? [] : times(count, lookup.duration),
  );
  const lookups = groups.reduce((sum, { count }) => sum + count, 0);
  return {
    server,
    lookups,
    median: quantile(0.5, durations),
    p99: quantile(0.99, durations),
    unanswered: lookups - durations.length,
  };
}

function namesOf(groups: readonly LookupGroup[]): Row {
  const [first] = groups as [LookupGroup, ...LookupGroup[]];
  return {
    ...placeOf(first),
    pid: pidOf(first),
    names: new Set(groups.map(({ lookup }) => lookup.name.toLowerCase())).size,
    lookups: groups.reduce((sum, { count }) => sum + count, 0),
  };
}

const ofProcess = (service: string) => LOOKUPS.filter(({ process }) => process['service.name'] === service);
const connects = OTHERS.filter(({ record }) => record.eventName === 'whodns.connect');

/** Counters after `rounds` rounds of growth. */
function counted(metric: string, rounds: number): (readonly [Readonly<Record<string, unknown>>, number])[] {
  return SERIES.filter((series) => series.metric === metric).map(({ attributes, value }) => [
    attributes,
    value * rounds,
  ]);
}

/** By the page's headings. @param rounds how often every counter grew */
export const questions = (rounds: number): Readonly<Record<string, readonly Question[]>> => ({
  'Who asked for a name, and what it was told': [
    { parameters: { name: 'Payments.example.com' }, rows: asked((name) => name === 'payments.example.com') },
    { parameters: { name: 'slow.example.COM' }, rows: asked((name) => name === 'Slow.example.com') },
    { parameters: { name: 'example.net' }, rows: asked((name) => name.endsWith('.example.net')) },
    { parameters: { name: 'cluster.local' }, rows: asked((name) => name.endsWith('.cluster.local')) },
    { parameters: { name: 'ample.com' }, rows: [] },
  ],
  'What fails most, by process': [
    {
      rows: ALL.filter(({ lookup }) => lookup.rcode !== 'NOERROR').map((group) => ({
        ...placeOf(group),
        question: group.lookup.name,
        error: group.lookup.rcode ?? 'timeout',
        lookups: group.count,
      })),
    },
  ],
  'Slowest servers': [{ rows: [serverRow('10.96.0.10', LOOKUPS), serverRow(OTHER_SERVER, MORE)] }],
  'Different names, by process': [
    { rows: [ofProcess('checkout'), ofProcess('unknown_service:curl'), MORE].map(namesOf) },
  ],
  'All records of a process': [
    {
      parameters: { host: HOST, pid: '991' },
      rows: [
        ...LOOKUPS.filter((group) => pidOf(group) === '991').flatMap(({ count, process, lookup }) =>
          times(count, {
            event: 'whodns.query',
            started: process['process.creation.time'],
            Body: `${lookup.name} ${lookup.type} ${lookup.rcode}`,
          }),
        ),
        ...OTHERS.filter((group) => pidOf(group) === '991').flatMap(({ count, process, record }) =>
          times(count, {
            event: record.eventName,
            started: process['process.creation.time'],
            Body: record.body,
          }),
        ),
      ],
    },
    { parameters: { host: 'node-8', pid: '4201' }, rows: [] },
  ],
  'Connections to an address that no lookup led to': [
    {
      rows: [
        {
          host: HOST,
          service: 'checkout',
          process: 'node',
          address: '198.51.100.9',
          port: '8443',
          connections: 2,
        },
      ],
    },
  ],
  'Which name led to an address': connects.map((group) => ({
    parameters: { address: String(group.record.attributes['network.peer.address']) },
    rows: times(group.count, {
      host: HOST,
      service: placeOf(group).service,
      pid: pidOf(group),
      port: String(group.record.attributes['network.peer.port']),
      names: group.record.attributes['whodns.connect.names'] ?? [],
    }),
  })),
  Findings: [
    {
      rows: OTHERS.filter(({ record }) => record.eventName === 'whodns.finding').map((group) => ({
        rule: group.record.attributes['security_rule.name'],
        subject: group.record.attributes['whodns.finding.subject'],
        ...placeOf(group),
      })),
    },
  ],
  'What was asked inside a trace': [
    {
      parameters: { trace_id: TRACE_ID },
      rows: [
        { what: 'span checkout', text: 'POST /pay', seconds: 0.95 },
        { what: 'span checkout', text: 'GET', seconds: 0.95 },
        ...times(5, { what: 'lookup checkout', text: 'Slow.example.com A NOERROR', seconds: 0.9 }),
      ],
    },
    { parameters: { trace_id: CLIENT_SPAN_ID }, rows: [] },
  ],
  'Lookups by service and result, counted': [
    {
      rows: counted('whodns.queries', rounds).map(([attributes, lookups]) => ({
        service: attributes['service.name'],
        result: attributes['error.type'] ?? attributes['dns.response_code'] ?? attributes['whodns.outcome'],
        lookups,
      })),
    },
  ],
  'Was anything lost': [
    {
      rows: counted('whodns.dropped', rounds).map(([attributes, lost]) => ({
        host: HOST,
        stage: attributes['whodns.stage'],
        reason: attributes['whodns.reason'],
        lost,
      })),
    },
  ],
});
