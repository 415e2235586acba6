/** What a question leaves out unread is nothing that it means: every kind of question over many chunks and segments, against all rows. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SearchQuery, StoredLookup } from '../../src/history/types.ts';
import { RCODES } from '../../src/tables/rcodes.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { openTestHistory, type TestHistory } from './history-store.ts';
import { identity, record, type Spec, TIME } from './sink-events.ts';

/** Of ten segments in memory, four chunks of ids each. */
const ROWS = 24_000;
const MS = 1_000_000n;
const US = 1000;

const PROCESSES = Array.from({ length: 50 }, (_, i) => {
  const { resource } = identity();
  const container =
    i % 5 === 0 ? { 'container.name': `web-${i}`, 'container.id': `${i}`.padStart(64, 'ab') } : {};
  const own = {
    'process.pid': 100 + i,
    'process.executable.name': `p${i % 20}`,
    'process.command': `run${i % 3}`,
  };
  return identity({
    pid: 100 + i,
    startTime: BigInt(i),
    executableName: `p${i % 20}`,
    resource: {
      ...resource,
      ...container,
      ...own,
      'process.user.id': i % 4,
      'process.user.name': `u${i % 4}`,
    },
  });
});

/** Rare things far apart, each among what is common: time-outs of a name that is asked for always, a slow answer, a type, a server. */
function specOf(i: number): Spec {
  const n = (i * 7919) % 400;
  const name = i % 9973 === 5 ? 'rare.example' : `host${n}.zone${n % 20}.example`;
  const raw = {
    time: TIME + BigInt(i) * MS,
    ...(i % 7001 === 3 ? { remote: { address: '198.51.100.9', port: 5353 } } : {}),
  };
  const process = PROCESSES[(i * 31) % PROCESSES.length] as (typeof PROCESSES)[number];
  if (i % 9001 === 17) return { name: 'host1.zone1.example', raw, process, outcome: 'timeout' };
  if (i % 8009 === 11) return { name, raw, process, type: RR_TYPES.MX, answers: [] };
  if (n % 20 === 7) return { name, raw, process, rcode: RCODES.NXDOMAIN, answers: [] };
  const duration = i % 6007 === 1 ? 900n * MS : BigInt(1 + (i % 90)) * MS;
  return { name, raw, process, duration, answers: [record(name, 1, `192.0.2.${n % 250}`)] };
}

const QUERIES: readonly SearchQuery[] = [
  { name: 'rare.example' },
  { name: 'host1.zone1.example', rcode: 'timeout' },
  { name: 'host1.zone1.example', failed: true, process: 'p3' },
  { suffix: '*.zone3.example', pid: 117 },
  { suffix: 'zone7.example', failed: false },
  { pattern: '^host(1|39)\\.' },
  { pattern: 'rare' },
  { address: '192.0.2.77' },
  { address: '198.51.100.9' },
  { process: 'p3', type: 'MX' },
  { process: 'p1*', rcode: 'timeout' },
  { container: 'web-15', type: 'MX' },
  { user: 'u2', server: '198.51.100.9' },
  { type: 'MX' },
  { rcode: 'timeout' },
  { rcode: 'REFUSED' },
  { server: '198.51.100.9' },
  { minLatency: 500_000 },
  { minLatency: 80_000, name: 'host1.zone1.example' },
  { since: Number(TIME / 1000n) + 12_000 * US, until: Number(TIME / 1000n) + 12_500 * US },
  { since: Number(TIME / 1000n) + 12_000 * US, type: 'MX' },
  { filter: 'outcome=timeout' },
  { filter: 'failed and process=p3 and not rcode=NXDOMAIN' },
  { filter: 'latency>500ms' },
  { filter: 'latency>=80ms and name=host1.zone1.example' },
  { filter: 'latency<2ms and name=host1.zone1.example' },
  { filter: 'not name=host*' },
  { filter: 'not (name=host* or type=MX)' },
  { filter: 'name=rare.example or type=MX' },
  { filter: 'name=rare.example or process=p3 and type=MX' },
  { filter: 'process=p3 and name=*.zone3.example' },
  { filter: 'process~/^p1[0-3]$/ and type=MX' },
  { filter: 'command=run2 and outcome=timeout' },
  { filter: 'pid in (103, 117) and server=198.51.100.0/24' },
  { filter: 'uid>2 and type=MX' },
  { filter: 'user!=u1 and type=MX' },
  { filter: 'container=web-* and outcome=timeout' },
  { filter: 'container=ababababab* and type=MX' },
  { filter: 'answer=192.0.2.77 and process=p4' },
  { filter: 'port=5353 and transport=udp' },
  { filter: 'domain=zone3.example and failed', process: 'p2' },
];

/** The same question, asked of each row. */
function isMeant(query: SearchQuery, { name, process, ...row }: StoredLookup): boolean {
  const { since, until, pattern, suffix, address, server, user, container, minLatency } = query;
  const answers = row.answers.map(({ data }) => data);
  const glob = (pattern: string, text: string): boolean =>
    new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(text);
  return (
    (query.name === undefined || name === query.name) &&
    (suffix === undefined || name.endsWith(`.${suffix.replace('*.', '')}`)) &&
    (pattern === undefined || new RegExp(pattern).test(name)) &&
    (address === undefined || answers.includes(address) || row.server.address === address) &&
    (server === undefined || row.server.address === server) &&
    (query.process === undefined || glob(query.process, process.executable)) &&
    (query.pid === undefined || process.pid === query.pid) &&
    (user === undefined || process.user === user) &&
    (container === undefined || process.container === container) &&
    (query.type === undefined || row.type === query.type) &&
    (query.rcode === undefined || (row.rcode || row.outcome) === query.rcode) &&
    (query.failed === undefined || row.failed === query.failed) &&
    (minLatency === undefined || (row.duration ?? -1) >= minLatency) &&
    (since === undefined || row.time >= since) &&
    (until === undefined || row.time < until)
  );
}

async function allRows(history: TestHistory, query: SearchQuery): Promise<StoredLookup[]> {
  const rows: StoredLookup[] = [];
  for (let before: number | undefined; ; ) {
    const page = { ...query, limit: 10_000, ...(before === undefined ? {} : { before }) };
    const answer = await history.sink.queries.search(page);
    rows.push(...(answer.rows as StoredLookup[]));
    if (!answer.more) return rows;
    before = Math.min(...answer.rows.map(({ id }) => id));
  }
}

describe('history: plan', () => {
  it('finds all that is meant, and nothing else', async (test) => {
    const history = await openTestHistory(test, { maxRows: ROWS });
    for (let i = 0; i < ROWS; i += 2000)
      await history.add(...Array.from({ length: 2000 }, (_, j) => specOf(i + j)));
    const all = await allRows(history, {});
    assert.equal(all.length, ROWS);
    const ids = (rows: readonly StoredLookup[]): number[] => rows.map(({ id }) => id).sort((a, b) => a - b);
    let found = 0;
    for (const query of QUERIES) {
      const rows = await allRows(history, query);
      const { filter, ...rest } = query;
      const meant = all.filter(
        (row) => isMeant(rest, row) && (filter === undefined || FILTERS[filter]?.(row)),
      );
      assert.deepEqual(ids(rows), ids(meant), JSON.stringify(query));
      assert.equal(await history.sink.queries.count(query), meant.length, JSON.stringify(query));
      found += meant.length;
    }
    assert.ok(found > 1000, String(found));
  });
});

const executable = (row: StoredLookup, ...names: string[]): boolean => names.includes(row.process.executable);
const isBelow = (row: StoredLookup, zone: string): boolean => row.name.endsWith(`.${zone}`);
const MX = (row: StoredLookup): boolean => row.type === 'MX';
const isTimeout = (row: StoredLookup): boolean => row.outcome === 'timeout';
const took = (row: StoredLookup): number => row.duration ?? Number.NaN;

const FILTERS: Readonly<Record<string, (row: StoredLookup) => boolean>> = {
  'outcome=timeout': isTimeout,
  'failed and process=p3 and not rcode=NXDOMAIN': (row) =>
    row.failed && executable(row, 'p3') && row.rcode !== 'NXDOMAIN',
  'latency>500ms': (row) => took(row) > 500_000,
  'latency>=80ms and name=host1.zone1.example': (row) =>
    took(row) >= 80_000 && row.name === 'host1.zone1.example',
  'latency<2ms and name=host1.zone1.example': (row) => took(row) < 2000 && row.name === 'host1.zone1.example',
  'not name=host*': (row) => !row.name.startsWith('host'),
  'not (name=host* or type=MX)': (row) => !row.name.startsWith('host') && !MX(row),
  'name=rare.example or type=MX': (row) => row.name === 'rare.example' || MX(row),
  'name=rare.example or process=p3 and type=MX': (row) =>
    row.name === 'rare.example' || (executable(row, 'p3') && MX(row)),
  'process=p3 and name=*.zone3.example': (row) => executable(row, 'p3') && isBelow(row, 'zone3.example'),
  'process~/^p1[0-3]$/ and type=MX': (row) => executable(row, 'p10', 'p11', 'p12', 'p13') && MX(row),
  'command=run2 and outcome=timeout': (row) => row.process.command === 'run2' && isTimeout(row),
  'pid in (103, 117) and server=198.51.100.0/24': (row) =>
    [103, 117].includes(row.process.pid) && row.server.address.startsWith('198.51.100.'),
  'uid>2 and type=MX': (row) => (row.process.userId ?? -1) > 2 && MX(row),
  'user!=u1 and type=MX': (row) => row.process.user !== 'u1' && MX(row),
  'container=web-* and outcome=timeout': (row) => row.process.container.startsWith('web-') && isTimeout(row),
  'container=ababababab* and type=MX': (row) => row.process.containerId.startsWith('ababababab') && MX(row),
  'answer=192.0.2.77 and process=p4': (row) =>
    row.answers.some(({ data }) => data === '192.0.2.77') && executable(row, 'p4'),
  'port=5353 and transport=udp': (row) => row.server.port === 5353,
  'domain=zone3.example and failed': (row) => isBelow(row, 'zone3.example') && row.failed,
};
