/** What is kept is what was given, and is found by all that it can be asked by. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SearchQuery, StoredLookup } from '../../src/history/types.ts';
import { UserError } from '../../src/lib/errors.ts';
import { RCODES } from '../../src/tables/rcodes.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { openTestHistory, type TestHistory } from './history-store.ts';
import { connectionLog, identity, record, TIME } from './sink-events.ts';

const US = Number(TIME / 1000n);
const WGET = identity({
  pid: 99,
  startTime: 5n,
  executableName: 'wget',
  containerId: 'ab'.repeat(32),
  workload: 'shop/web',
  resource: {
    'process.pid': 99,
    'process.creation.time': '2026-11-21T08:00:00.000Z',
    'process.executable.name': 'wget',
    'process.executable.path': '/usr/bin/wget',
    'process.parent_pid': 4711,
    'whodns.process.parent.executable.name': 'curl',
    'process.command_args': ['wget', '-q', 'https://shop.example'],
    'process.user.id': 1000,
    'process.user.name': 'alice',
    'container.id': 'ab'.repeat(32),
    'container.name': 'web',
    'k8s.pod.name': 'web-7',
    'k8s.namespace.name': 'shop',
    'host.name': 'worker-1',
  },
});

async function names(history: TestHistory, query: SearchQuery): Promise<string[]> {
  const { rows } = await history.sink.queries.search(query);
  return rows.map((row) => (row as StoredLookup).name);
}

describe('history: what is kept', () => {
  it('gives a lookup back with its process, server, answers and times', async (test) => {
    const history = await openTestHistory(test);
    await history.add({
      name: 'WWW.Shop.Example',
      process: WGET,
      retries: 2,
      answers: [
        record('www.shop.example', RR_TYPES.CNAME, 'cdn.example.net', 60),
        record('cdn.example.net', RR_TYPES.A, '192.0.2.9', 30),
        record('cdn.example.net', RR_TYPES.A, '192.0.2.8', 30),
      ],
    });
    const { rows, last, more } = await history.sink.queries.search({});
    assert.equal(rows.length, 1);
    assert.equal(more, false);
    const [row] = rows as StoredLookup[];
    assert.ok(row);
    assert.equal(row.id, last);
    assert.deepEqual(
      { ...row, id: 0, process: row.process.executable },
      {
        kind: 'lookup',
        id: 0,
        time: US,
        process: 'wget',
        name: 'www.shop.example',
        domain: 'shop.example',
        type: 'A',
        outcome: 'answered',
        reason: undefined,
        rcode: 'NOERROR',
        failed: false,
        conflicting: false,
        server: { address: '192.0.2.53', port: 53, transport: 'udp' },
        duration: 12_300,
        retries: 2,
        answers: [
          { type: 'CNAME', data: 'cdn.example.net' },
          { type: 'A', data: '192.0.2.8' },
          { type: 'A', data: '192.0.2.9' },
        ],
        answerCount: 3,
        ttl: 30,
      },
    );
    const { resource, ...process } = row.process;
    assert.deepEqual(process, {
      key: '99-5',
      pid: 99,
      started: Date.parse('2026-11-21T08:00:00.000Z') * 1000,
      executable: 'wget',
      path: '/usr/bin/wget',
      command: 'wget -q https://shop.example',
      parentPid: 4711,
      parent: 'curl',
      userId: 1000,
      user: 'alice',
      containerId: 'ab'.repeat(32),
      container: 'web',
      pod: 'web-7',
      namespace: 'shop',
      workload: 'shop/web',
      service: '',
      attribution: 'kernel',
    });
    assert.deepEqual(resource, WGET.resource);
  });

  it('is exact: what went in is kept or counted', async (test) => {
    const history = await openTestHistory(test);
    await history.add(...Array.from({ length: 5000 }, (_, i) => ({ name: `n${i}.example` })));
    const stage = history.ledger.snapshot().find(({ name }) => name === 'sink:history');
    assert.equal(stage?.in, 5000);
    assert.equal(stage.out, 5000);
    assert.equal(stage.missing, 0);
    assert.equal((await history.sink.queries.status()).lookups, 5000);
  });

  it('keeps time-outs, unreachable servers and conflicting answers for what they are', async (test) => {
    const history = await openTestHistory(test);
    await history.add(
      { name: 'a.example', outcome: 'timeout' },
      { name: 'b.example', outcome: 'connection_refused' },
      { name: 'c.example', outcome: 'unknown', reason: 'ring_full' },
      { name: 'd.example', conflictsWith: 'x' },
    );
    const { rows } = await history.sink.queries.search({});
    const told = (rows as StoredLookup[])
      .map(({ name, outcome, failed, reason, conflicting }) => [name, outcome, failed, reason, conflicting])
      .sort();
    assert.deepEqual(told, [
      ['a.example', 'timeout', true, undefined, false],
      ['b.example', 'connection_refused', true, undefined, false],
      ['c.example', 'unknown', false, 'ring_full', false],
      ['d.example', 'answered', false, undefined, true],
    ]);
  });

  it('keeps the newest of an interactive run', async (test) => {
    const history = await openTestHistory(test, { maxRows: 1000 });
    for (let i = 0; i < 40; i++)
      await history.add(...Array.from({ length: 100 }, (_, j) => ({ name: `n${i * 100 + j}.example` })));
    const { lookups } = await history.sink.queries.status();
    assert.ok(lookups >= 1000 && lookups <= 1300, String(lookups));
    assert.deepEqual(await names(history, { name: 'n3999.example' }), ['n3999.example']);
    assert.deepEqual(await names(history, { name: 'n0.example' }), []);
    assert.equal((await history.sink.queries.search({ limit: 5000 })).rows.length, lookups);
  });
});

describe('history: search', () => {
  const specs = [
    { name: 'www.shop.example', answers: [record('www.shop.example', RR_TYPES.A, '192.0.2.80')] },
    { name: 'shop.example', type: RR_TYPES.MX, answers: [], process: WGET },
    { name: 'workshop.example', duration: 80_000_000n },
    { name: 'tpyo.internal', rcode: RCODES.NXDOMAIN, answers: [], process: WGET },
    { name: 'a.b.c.shop.example', outcome: 'timeout' as const },
    {
      name: 'v6.example',
      type: RR_TYPES.AAAA,
      answers: [record('v6.example', RR_TYPES.AAAA, '2001:db8::80')],
      raw: { remote: { address: '198.51.100.53', port: 5353 } },
    },
  ];
  const cases: [string, SearchQuery, string[]][] = [
    ['name', { name: 'SHOP.example.' }, ['shop.example']],
    ['suffix', { suffix: 'shop.example' }, ['a.b.c.shop.example', 'shop.example', 'www.shop.example']],
    ['below a suffix', { suffix: '*.shop.example' }, ['a.b.c.shop.example', 'www.shop.example']],
    ['pattern', { pattern: '^(www|work)' }, ['workshop.example', 'www.shop.example']],
    ['address', { address: '192.0.2.80' }, ['www.shop.example']],
    ['address of IPv6 in another spelling', { address: '2001:DB8:0:0::80' }, ['v6.example']],
    ['address of a server', { address: '198.51.100.53' }, ['v6.example']],
    ['server', { server: '198.51.100.53' }, ['v6.example']],
    ['process', { process: 'wget' }, ['shop.example', 'tpyo.internal']],
    ['process with a star', { process: 'w*t' }, ['shop.example', 'tpyo.internal']],
    ['pid', { pid: 99, name: 'shop.example' }, ['shop.example']],
    ['user', { user: 'alice', rcode: 'NXDOMAIN' }, ['tpyo.internal']],
    ['user id', { user: '1000', rcode: '3' }, ['tpyo.internal']],
    ['container', { container: 'web', type: 'MX' }, ['shop.example']],
    ['container id', { container: 'ababab', type: 'MX' }, ['shop.example']],
    ['pod', { pod: 'shop/web-*', type: 'MX' }, ['shop.example']],
    ['pod of another namespace', { pod: 'other/web-*' }, []],
    ['rcode', { rcode: 'nxdomain' }, ['tpyo.internal']],
    ['outcome', { rcode: 'timeout' }, ['a.b.c.shop.example']],
    ['type', { type: 'aaaa' }, ['v6.example']],
    ['latency', { minLatency: 50_000 }, ['workshop.example']],
    ['failed', { failed: true }, ['a.b.c.shop.example', 'tpyo.internal']],
    ['since', { since: US + 1 }, []],
    ['until', { until: US }, []],
    ['window', { since: US, until: US + 1, type: 'MX' }, ['shop.example']],
    ['filter', { filter: 'rcode=NXDOMAIN and process=wget' }, ['tpyo.internal']],
    ['filter by name', { filter: 'name=*.shop.example' }, ['a.b.c.shop.example', 'www.shop.example']],
    ['filter by domain', { filter: 'domain=shop.example and type=MX' }, ['shop.example']],
    ['filter by not', { filter: 'not process=curl and failed' }, ['tpyo.internal']],
    [
      'filter by or',
      { filter: 'outcome=timeout or latency>50ms' },
      ['a.b.c.shop.example', 'workshop.example'],
    ],
    ['filter by block', { filter: 'answer=192.0.2.0/24' }, ['workshop.example', 'www.shop.example']],
    ['filter by server', { filter: 'server=198.51.100.0/24 or port=1' }, ['v6.example']],
    ['filter by regex', { filter: 'name~/^w.*shop/' }, ['workshop.example', 'www.shop.example']],
    [
      'filter by user',
      { filter: 'user=alice and uid>=1000 and namespace=shop' },
      ['shop.example', 'tpyo.internal'],
    ],
    ['filter by transport', { filter: 'transport=tcp' }, []],
    ['filter that is unknown', { filter: 'pod!=x and failed' }, ['a.b.c.shop.example', 'tpyo.internal']],
    ['unknown name', { name: 'nothing.example' }, []],
    ['root', { suffix: '*..' }, specs.map(({ name }) => name).sort()],
  ];
  it('finds by everything', async (test) => {
    const history = await openTestHistory(test);
    await history.add(...specs);
    for (const [title, query, expected] of cases)
      assert.deepEqual((await names(history, query)).sort(), expected, title);
  });

  it('says what is no question', async (test) => {
    const history = await openTestHistory(test);
    await history.add(...specs);
    const bad: SearchQuery[] = [
      { address: '1.2.3' },
      { rcode: 'NOPE' },
      { type: 'NOPE' },
      { pattern: '(' },
      { server: 'x' },
      { filter: 'color=blue' },
      { filter: 'name=' },
    ];
    for (const query of bad)
      await assert.rejects(history.sink.queries.search(query), (error: unknown) => {
        assert.ok(error instanceof UserError, String(error));
        assert.equal(error.exitCode, 2);
        return true;
      });
  });

  it('takes no longer for a regular expression that would never end elsewhere', async (test) => {
    const history = await openTestHistory(test);
    await history.add({ name: `${'a'.repeat(60)}.example` });
    const began = performance.now();
    assert.deepEqual(await names(history, { pattern: '^(a+)+$' }), []);
    assert.ok(performance.now() - began < 5000);
    await assert.rejects(history.sink.queries.search({ pattern: '(?=a)' }), UserError);
  });

  it('pages back, and follows', async (test) => {
    const history = await openTestHistory(test);
    await history.add(...Array.from({ length: 3000 }, (_, i) => ({ name: `n${i}.example` })));
    const { queries } = history.sink;
    const first = await queries.search({ limit: 10 });
    assert.equal(first.more, true);
    assert.deepEqual(first.rows.map((row) => (row as StoredLookup).name).sort()[0], 'n2990.example');
    const oldest = Math.min(...first.rows.map(({ id }) => id));
    const second = await queries.search({ limit: 10, before: oldest });
    assert.deepEqual(second.rows.map((row) => (row as StoredLookup).name).sort()[0], 'n2980.example');
    const now = await queries.search({ after: first.last });
    assert.deepEqual(now.rows, []);
    await history.add({ name: 'x.example' }, { name: 'y.example' });
    const followed = await queries.search({ after: now.last });
    assert.deepEqual(
      followed.rows.map((row) => (row as StoredLookup).name),
      ['x.example', 'y.example'],
    );
    assert.deepEqual((await queries.search({ after: followed.last })).rows, []);
    assert.equal(await queries.count({}), 3002);
    assert.equal(await queries.count({ after: first.last }), 2);
    assert.equal(await queries.count({ before: oldest }), 2990);
    assert.equal(await queries.count({ before: oldest, filter: 'name=n7.example or name=x.example' }), 1);
    assert.equal(await queries.count({ after: oldest, before: oldest + 1 }), 0);
  });

  it('knows which process connected where, from which port and under which name', async (test) => {
    const history = await openTestHistory(test);
    await history.add({ name: 'www.shop.example', answers: [record('www.shop.example', 1, '203.0.113.66')] });
    const resolved = {
      names: ['www.shop.example', 'cdn.example.net'],
      scope: 'process' as const,
      answered: TIME - 4_000_000n,
      expires: TIME + 300_000_000_000n,
    };
    history.sink.accept(
      connectionLog(resolved, {
        time: TIME,
        local: { address: '198.51.100.7', port: 41215 },
        remote: { address: '203.0.113.66', port: 443 },
      }),
    );
    await history.sink.flush();
    const { queries } = history.sink;
    const kinds = ['connection'] as const;
    const { rows } = await queries.search({ kinds, address: '203.0.113.66', port: 443, localPort: 41215 });
    assert.equal(rows.length, 1);
    const [row] = rows;
    assert.ok(row?.kind === 'connection');
    assert.deepEqual(row.names, resolved.names);
    assert.equal(row.answered, US - 4000);
    assert.equal(row.process.executable, 'curl');
    assert.equal((await queries.search({ kinds, localPort: 41216 })).rows.length, 0);
    for (const query of [{ name: 'cdn.example.net' }, { suffix: '*.example.net' }, { pattern: 'cdn' }])
      assert.equal((await queries.search({ kinds, ...query })).rows.length, 1, JSON.stringify(query));
    assert.equal((await queries.search({ kinds, suffix: 'xample.net' })).rows.length, 0);
    const answer = await queries.search({ name: 'www.shop.example', connections: true });
    assert.deepEqual(
      Object.values(answer.connected)
        .flat()
        .map(({ remote }) => remote.port),
      [443],
    );
  });
});
