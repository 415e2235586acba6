/** The queries of otel-config/clickhouse/README.md, what they are asked with, and what they find in the scenario. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Row } from './clickhouse.ts';
import { CLIENT_SPAN_ID, LOOKUPS, OTHERS, SERIES, TRACE_ID } from './scenario.ts';

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
const CHECKOUT = { host: HOST, service: 'checkout', process: 'node' };
const CURL = { host: HOST, service: 'unknown_service:curl', process: 'curl' };
const placeOf = ({ process }: { readonly process: Readonly<Record<string, unknown>> }) =>
  process['service.name'] === 'checkout' ? CHECKOUT : CURL;
const pidOf = ({ process }: { readonly process: Readonly<Record<string, unknown>> }) =>
  String(process['process.pid']);

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

/** As the names below it and the name itself: of `example.com` only what is asked for. */
function asked(isOf: (name: string) => boolean): Row[] {
  return LOOKUPS.filter(({ lookup }) => isOf(lookup.name)).flatMap((group) => {
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

const DURATIONS = LOOKUPS.flatMap(({ count, lookup }) =>
  lookup.duration === undefined ? [] : times(count, lookup.duration),
);
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
      rows: LOOKUPS.filter(({ lookup }) => lookup.rcode !== 'NOERROR').map((group) => ({
        ...placeOf(group),
        question: group.lookup.name,
        error: group.lookup.rcode ?? 'timeout',
        lookups: group.count,
      })),
    },
  ],
  'Slowest servers': [
    {
      rows: [
        {
          server: '10.96.0.10',
          lookups: LOOKUPS.reduce((sum, { count }) => sum + count, 0),
          median: quantile(0.5, DURATIONS),
          p99: quantile(0.99, DURATIONS),
          unanswered: 10,
        },
      ],
    },
  ],
  'Different names, by process': [
    {
      rows: [
        { ...CHECKOUT, pid: '4201', names: 8, lookups: 105 },
        { ...CURL, pid: '991', names: 1, lookups: 5 },
      ],
    },
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
    { parameters: { host: 'node-8', pid: '991' }, rows: [] },
  ],
  'Connections to an address that no lookup led to': [
    { rows: [{ ...CHECKOUT, address: '198.51.100.9', port: '8443', connections: 2 }] },
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
