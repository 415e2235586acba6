/** Real ClickHouse behind a real Collector with the shipped configuration: what is put in is stored whole, and the page's queries find it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Collector, startCollector } from '../collector/collector.ts';
import { lookupRecord } from '../collector/example-lookups.ts';
import { logsRequest, post } from '../collector/otlp-json.ts';
import { freePorts, type RunningProgram, waitUntil } from '../collector/running-program.ts';
import { RECIPES_MANIFEST } from './build.ts';
import { ask, type ClickHousePorts, type Row, startClickHouse } from './clickhouse.ts';
import { MORE, questions, STATEMENTS, sendMore } from './clickhouse-page.ts';
import { feed, HISTOGRAMS, LOOKUPS, OTHERS } from './scenario.ts';

const PUSHES = 3;
const RECORDS = [...LOOKUPS, ...MORE, ...OTHERS].reduce((sum, { count }) => sum + count, 0);

const CHECKOUT_RECORDS = [...LOOKUPS, ...OTHERS]
  .filter(({ process }) => process['service.name'] === 'checkout')
  .reduce((sum, { count }) => sum + count, 0);
const now = () => BigInt(Date.now()) * 1_000_000n;

let directory = '';
let ports: ClickHousePorts = { native: 0, http: 0 };
let clickHouse: RunningProgram;
let collector: Collector;

const query = (statement: string, parameters?: Readonly<Record<string, string>>): Promise<Row[]> =>
  ask(ports.http, statement, parameters);
const count = async (condition: string): Promise<number> =>
  Number((await query(`SELECT count() AS n FROM otel_logs WHERE ${condition}`))[0]?.n);

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-clickhouse-'));
  const [native = 0, http = 0] = await freePorts(2);
  ports = { native, http };
  clickHouse = await startClickHouse(join(directory, 'data'), ports);
  collector = await startCollector(
    ['gateway', 'clickhouse'],
    join(directory, 'collector'),
    { CLICKHOUSE_ENDPOINT: `tcp://127.0.0.1:${native}` },
    RECIPES_MANIFEST,
  );
  await sendMore(collector.httpEndpoint);
  await feed(collector.httpEndpoint, PUSHES, async () => {});
  const rows = async (table: string) => Number((await query(`SELECT count() AS n FROM ${table}`))[0]?.n);
  const arrived = await waitUntil(
    async () =>
      (await rows('otel_logs')) >= RECORDS &&
      (await rows('otel_metrics_histogram')) >= HISTOGRAMS.length * PUSHES &&
      (await rows(`otel_metrics_sum WHERE MetricName = 'whodns.dropped'`)) >= 2 * PUSHES &&
      (await rows('otel_traces')) >= 2,
    30_000,
  );
  assert.ok(arrived, `not all arrived\n${collector.log().slice(-2000)}`);
});

after(async () => {
  await collector?.stop();
  await clickHouse?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Without times, in an order of their own; numbers to a billionth. */
function comparable(rows: readonly Row[]): string[] {
  return rows
    .map(({ Timestamp: _, ...row }) =>
      JSON.stringify(row, (_key, value: unknown) =>
        typeof value === 'number' ? Number(value.toPrecision(9)) : value,
      ),
    )
    .sort();
}

describe('queries of the page', () => {
  const asked = questions(PUSHES - 1);

  test('each is asked', () => assert.deepEqual([...STATEMENTS.keys()].sort(), Object.keys(asked).sort()));

  for (const [heading, statement] of STATEMENTS)
    for (const { parameters, rows } of asked[heading] ?? [])
      test(`${heading} ${JSON.stringify(parameters ?? {})}`, async () => {
        const found = await query(statement, parameters);
        assert.deepEqual(comparable(found), comparable(rows));
        const order = found.map(({ Timestamp }) => String(Timestamp ?? ''));
        const isNewestFirst = /ORDER BY Timestamp DESC/.test(statement);
        assert.deepEqual(order, isNewestFirst ? order.toSorted().toReversed() : order.toSorted());
      });
});

describe('what is stored', () => {
  test('every record once, each kind of its own', async () => {
    const rows = await query('SELECT EventName AS event, count() AS n FROM otel_logs GROUP BY event');
    assert.deepEqual(Object.fromEntries(rows.map(({ event, n }) => [event, n])), {
      'whodns.query': 115,
      'whodns.connect': 9,
      'whodns.finding': 2,
      'whodns.visibility': 1,
    });
  });

  test('names of strangers: as they are, and asked for by a parameter', async () => {
    const names = [
      `it's.example`,
      `'; DROP TABLE otel_logs; --.example`,
      String.raw`\000\001\255"\\.example`,
      'ümläut.例え.example',
      '{name:String}.example',
      `${'x'.repeat(63)}.`.repeat(15),
      '%_*?[a-z].example',
    ];
    const process = { 'service.name': `'stranger"\\`, 'host.name': 'a\tb\nc', 'process.pid': 12 };
    const at = now();
    const records = names.map((name) => lookupRecord({ name, type: 'A', rcode: 'NOERROR' }, at));
    await post(collector.httpEndpoint, 'logs', logsRequest(process, records));
    const isHere = async () => (await count(`ServiceName = '\\'stranger"\\\\'`)) === names.length;
    assert.ok(await waitUntil(isHere, 20_000), collector.log().slice(-2000));
    const statement = String(STATEMENTS.get('Who asked for a name, and what it was told'));
    for (const name of names) {
      const rows = await query(statement, { name: name.replaceAll('\\', '\\\\') });
      const [row] = rows;
      assert.deepEqual(
        [rows.length, row?.question, row?.host, row?.service],
        [1, name, 'a\tb\nc', `'stranger"\\`],
        name,
      );
    }
  });

  test('the largest record that a server and a process can bring about', async () => {
    const texts = Array.from({ length: 100 }, () => '\\001'.repeat(256));
    const published = Object.fromEntries(
      Array.from({ length: 128 }, (_, i) => [`own.${i}`, 'x'.repeat(1024)]),
    );
    const record = { ...lookupRecord({ name: 'large.example', type: 'TXT', rcode: 'NOERROR' }, now()) };
    const attributes = { ...record.attributes, 'whodns.answers': texts };
    const process = { ...published, 'service.name': 'large' };
    await post(collector.httpEndpoint, 'logs', logsRequest(process, [{ ...record, attributes }]));
    const isHere = async () => (await count(`ServiceName = 'large'`)) === 1;
    assert.ok(await waitUntil(isHere, 20_000), collector.log().slice(-2000));
    const [row] = await query(
      `SELECT JSONExtract(LogAttributes['whodns.answers'], 'Array(String)') AS texts,
              mapFilter((key, value) -> startsWith(key, 'own.'), ResourceAttributes) AS own
       FROM otel_logs WHERE ServiceName = 'large'`,
    );
    assert.deepEqual(row, { texts, own: published });
  });
});

describe('ClickHouse away', () => {
  const uids = async (service: string) =>
    Number(
      (
        await query(
          `SELECT uniqExact(LogAttributes['log.record.uid']) AS n FROM otel_logs WHERE ServiceName = '${service}'`,
        )
      )[0]?.n,
    );

  test('killed while it is written to, and away for a while: everything is there afterwards', async () => {
    const posts = 60;
    const batch = 50;
    for (let index = 0; index < posts; index += 1) {
      const at = now();
      const records = Array.from({ length: batch }, (_, nth) => {
        const record = lookupRecord({ name: 'away.example', type: 'A', rcode: 'NOERROR' }, at);
        return { ...record, attributes: { ...record.attributes, 'log.record.uid': `${index}-${nth}` } };
      });
      await post(collector.httpEndpoint, 'logs', logsRequest({ 'service.name': 'away' }, records));
      if (index === 20) await clickHouse.stop('SIGKILL');
      await sleep(50);
    }
    await sleep(1000);
    clickHouse = await startClickHouse(join(directory, 'data'), ports);
    const isHere = await waitUntil(async () => (await uids('away')) === posts * batch, 60_000);
    assert.ok(isHere, `${await uids('away')}\n${collector.log().slice(-2000)}`);
    assert.equal(await count(`ServiceName = 'checkout'`), CHECKOUT_RECORDS, 'what was there before');
  });

  test('not there at the start: the collector ends and says why', async () => {
    const [native = 0] = await freePorts(1);
    const endpoint = { CLICKHOUSE_ENDPOINT: `tcp://127.0.0.1:${native}` };
    await assert.rejects(
      startCollector(['gateway', 'clickhouse'], join(directory, 'early'), endpoint, RECIPES_MANIFEST),
      /create database: .*connection refused/s,
    );
  });

  test('not there at the start and create_schema off: what is written later has no EventName', async () => {
    const [native = 0, http = 0] = await freePorts(2);
    const other = { native, http };
    const data = join(directory, 'late');
    const off = join(directory, 'off.yaml');
    writeFileSync(off, 'exporters: { clickhouse: { create_schema: false } }\n');
    let server = await startClickHouse(data, other);
    const endpoint = { CLICKHOUSE_ENDPOINT: `tcp://127.0.0.1:${native}` };
    const start = (...more: readonly string[]) =>
      startCollector(
        ['gateway', 'clickhouse', ...more],
        join(directory, 'late-collector'),
        endpoint,
        RECIPES_MANIFEST,
      );
    let late = await start();
    try {
      await late.stop();
      await server.stop();
      late = await start(off);
      server = await startClickHouse(data, other);
      const record = lookupRecord({ name: 'late.example', type: 'A', rcode: 'NOERROR' }, now());
      await post(late.httpEndpoint, 'logs', logsRequest({ 'service.name': 'late' }, [record]));
      const rows = () => ask(http, `SELECT EventName AS event FROM otel_logs WHERE ServiceName = 'late'`);
      assert.ok(await waitUntil(async () => (await rows()).length === 1, 30_000), late.log().slice(-2000));
      assert.deepEqual(await rows(), [{ event: '' }]);
    } finally {
      await late.stop();
      await server.stop();
    }
  });
});
