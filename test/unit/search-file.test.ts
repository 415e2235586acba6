/** `whodns search --in`: captures, and records as `--exporter otlp-file` writes them, must give the same rows; and files of strangers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { StoredRow } from '../../src/history/types.ts';
import { Ledger } from '../../src/ledger.ts';
import { MemoryStore } from '../../src/sinks/delivery/request-store.ts';
import { createOtlpFileSink } from '../../src/sinks/otlp/file-sink.ts';
import { LinesFile } from '../../src/sinks/otlp/lines-file.ts';
import { MAIN } from '../matrix/program.ts';
import { eventOf, openTestHistory, temporaryDirectory } from './history-store.ts';
import { connectionLog, identity, lookup, record, TIME } from './sink-events.ts';

const PCAPS = resolve('test/golden/pcaps');
const LIMIT_MS = 60_000;

function whodns(args: readonly string[], input?: Buffer) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
    env: { PATH: process.env['PATH'], TZ: 'UTC' },
    ...(input === undefined ? {} : { input }),
  });
  return { code: status, stdout, stderr };
}

/** Without what belongs to one history alone. */
function rowsOf(stdout: string): readonly object[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ ...(JSON.parse(line) as object), id: 0 }));
}

describe('whodns search --in', () => {
  for (const capture of ['dns_tcp.pcap', 'edns-opts.pcap', 'dns-badcookie.pcap'])
    it(`finds the same in ${capture} and in the records made of it`, (test) => {
      const file = join(PCAPS, capture);
      const records = join(temporaryDirectory(test), 'records.jsonl');
      whodns(['replay', file, '--exporter', `otlp-file:${records}`]);
      const [ofCapture, ofRecords] = [file, records].map((each) =>
        whodns(['search', '--in', each, '--format', 'json', '--limit', '10000']),
      );
      assert.equal(ofRecords?.code, 0, ofRecords?.stderr);
      const rows = rowsOf(ofRecords.stdout);
      assert.ok(rows.length > 0);
      assert.deepEqual(rows, rowsOf(ofCapture?.stdout ?? ''));
    });

  it('reads what is packed, and standard input', (test) => {
    const records = join(temporaryDirectory(test), 'records.jsonl');
    const file = join(PCAPS, 'dns_udp.pcap');
    whodns(['replay', file, '--exporter', `otlp-file:${records}`]);
    const expected = whodns(['search', '--in', file, 'www.tcpdump.org']);
    assert.equal(expected.code, 0, expected.stderr);
    for (const input of [records, file].map((each) => readFileSync(each)))
      for (const bytes of [input, gzipSync(input)]) {
        const { code, stdout, stderr } = whodns(['search', '--in', '-', 'www.tcpdump.org'], bytes);
        assert.deepEqual({ code, stdout }, { code: 0, stdout: expected.stdout }, stderr);
      }
    assert.equal(whodns(['search', '--in', records, 'never.example']).code, 3);
  });

  it('knows processes, containers, connections and findings of records', async (test) => {
    const { events, file } = await recorded(test);
    const history = await openTestHistory(test);
    for (const event of events) history.sink.accept(event);
    await history.sink.flush();
    const kept = (await history.sink.queries.search({ kinds: ['lookup', 'connection'] })).rows;
    const { openFile } = await import('../../src/search/file.ts');
    const opened = await openFile(await fileOptions(test), file);
    test.after(() => opened.close());
    const read = (await opened.queries.search({ kinds: ['lookup', 'connection'] })).rows;
    assert.equal(read.length, events.length);
    assert.deepEqual(comparable(read), comparable(kept));
    const { rows } = await opened.queries.search({
      kinds: ['connection'],
      address: '203.0.113.66',
      port: 443,
      localPort: 41_215,
    });
    assert.equal(rows.length, 1);
    assert.equal((await opened.queries.search({ container: 'shop', failed: true })).rows.length, 1);
  });

  it('takes any line for what it is', (test) => {
    const directory = temporaryDirectory(test);
    const file = join(directory, 'hostile.jsonl');
    const value = (stringValue: unknown) => ({ stringValue });
    const hostile = {
      eventName: 'whodns.query',
      timeUnixNano: '1793000000123456789',
      attributes: [
        null,
        { key: 'dns.question.name', value: value('EVIL.example\u001b[2J') },
        { key: 'dns.question.type', value: { intValue: '1' } },
        { key: 'dns.lookup.duration', value: value('soon') },
        { key: 'dns.response_code', value: value('__proto__') },
        { key: 'server.port', value: { doubleValue: -1e300 } },
        { key: 'whodns.retries', value: { intValue: '99999999999999999999' } },
        {
          key: 'whodns.answers',
          value: { arrayValue: { values: [value('a 1 A 192.0.2.1\nA 192.0.2.2'), value('x'), 7] } },
        },
        { key: '__proto__', value: value('x') },
      ],
    };
    const line = (record: unknown, resource: unknown = {}) =>
      JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ logRecords: [record] }] }] });
    const lines = [
      line(hostile, { attributes: [{ key: 'process.pid', value: { intValue: 'x' } }] }),
      line({ ...hostile, timeUnixNano: 'never' }),
      line({ eventName: 'other', timeUnixNano: '1' }),
      line(null),
      '{"resourceMetrics":[{}]}',
      '{"resourceLogs":{"a":1}}',
      '{"resourceLogs":[7,null,{"scopeLogs":[null,{"logRecords":"x"}]}]}',
      '',
      '[1]',
      'not JSON \u0007',
      '{"resourceLogs":[',
    ];
    writeFileSync(file, lines.join('\n'));
    const json = whodns(['search', '--in', file, '--format', 'json']);
    assert.equal(json.code, 0, json.stderr);
    const [row, ...others] = rowsOf(json.stdout) as (StoredRow & { kind: 'lookup' })[];
    assert.equal(others.length, 0);
    assert.equal(row?.name, 'evil.example\u001b[2j');
    assert.deepEqual(row?.answers, [{ type: 'A', data: '192.0.2.1 A 192.0.2.2' }]);
    assert.deepEqual(
      [row?.outcome, row?.server.port, row?.duration, row?.retries],
      ['sent', 0, undefined, 0],
    );
    assert.match(json.stderr, /3 lines are no OTLP\/JSON, the first of them line 9/);
    assert.match(json.stderr, /3 records are not of whodns/);
    const table = whodns(['search', '--in', file]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not reach a terminal
    assert.doesNotMatch(table.stdout, /\u001b/);
  });

  it('keeps the others where a record has what no number can be', (test) => {
    const file = join(temporaryDirectory(test), 'numbers.jsonl');
    const HUGE = 1e17;
    const of = (event: string, values: Readonly<Record<string, unknown>>, more = {}, resource = {}) => {
      const list = (all: Readonly<Record<string, unknown>>) =>
        Object.entries(all).map(([key, value]) => ({
          key,
          value: typeof value === 'string' ? { stringValue: value } : { doubleValue: value },
        }));
      const record = {
        eventName: event,
        timeUnixNano: '1793000000123456789',
        attributes: list({ 'dns.question.name': 'evil.example', 'dns.question.type': 'A', ...values }),
        ...more,
      };
      return JSON.stringify({
        resourceLogs: [{ resource: { attributes: list(resource) }, scopeLogs: [{ logRecords: [record] }] }],
      });
    };
    const evil = [
      of('whodns.query', { 'dns.op_code': 'constructor' }),
      of('whodns.query', { 'dns.op_code': 'OPCODE99' }),
      of('whodns.query', { 'dns.response_code': '9999' }),
      of('whodns.query', { 'server.port': HUGE }),
      of('whodns.query', { 'dns.lookup.duration': 1e12 }),
      of('whodns.query', { 'whodns.answers.omitted': HUGE }),
      of(
        'whodns.query',
        {},
        {},
        { 'process.pid': HUGE, 'process.parent_pid': HUGE, 'process.user.id': HUGE },
      ),
      of('whodns.query', {}, {}, { 'process.creation.time': '+275760-09-13T00:00:00Z' }),
    ];
    const others = [
      of('whodns.query', {}, { timeUnixNano: '9999999999999999999' }),
      of('whodns.connect', { 'network.peer.port': HUGE, 'whodns.connect.ttl_left': 1e12 }),
      of('whodns.finding', {}, { severityNumber: HUGE }),
    ];
    const good = of('whodns.query', { 'dns.question.name': 'good.example' });
    writeFileSync(file, [...evil, ...others, good].join('\n'));
    const { code, stdout, stderr } = whodns(['search', '--in', file, '*.example', '--format', 'json']);
    assert.equal(code, 0, stderr);
    const rows = rowsOf(stdout) as (StoredRow & { kind: 'lookup' })[];
    assert.equal(rows.filter(({ name }) => name === 'evil.example').length, evil.length);
    assert.equal(rows.filter(({ name }) => name === 'good.example').length, 1);
    assert.deepEqual([...new Set(rows.map(({ type }) => type))], ['A']);
    assert.doesNotMatch(stderr, /left out: it cannot be read/);
    for (const more of [['192.0.2.1'], ['--findings']])
      assert.doesNotMatch(whodns(['search', '--in', file, ...more]).stderr, /cannot be read/);
  });

  it('says what it cannot read', (test) => {
    const directory = temporaryDirectory(test);
    const none = whodns(['search', '--in', join(directory, 'none')]);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /cannot read .*none: no such file/);
    const cut = join(directory, 'cut.jsonl.gz');
    writeFileSync(cut, gzipSync('{"resourceLogs":[]}\n'.repeat(1000)).subarray(0, 60));
    assert.match(whodns(['search', '--in', cut]).stderr, /the file ends early: the compressed data is cut/);
  });
});

/** Events, and a file that the sink of `--exporter otlp-file` made of them. */
async function recorded(test: TestContext) {
  const container = identity({
    pid: 99,
    startTime: 1_800_000_000n * 1_000_000_000n,
    executableName: 'python3',
    containerId: 'ab'.repeat(32),
    workload: 'shop',
    resource: {
      'process.pid': 99,
      'process.creation.time': new Date(1_800_000_000_000).toISOString(),
      'process.executable.name': 'python3',
      'process.parent_pid': 1,
      'process.user.id': 0,
      'container.id': 'ab'.repeat(32),
      'container.name': 'shop',
    },
  });
  const created = Date.parse('2026-11-21T07:00:00.000Z');
  const curl = identity({ startTime: BigInt(created) * 1_000_000n });
  const events = [
    eventOf(lookup({ name: 'www.example.com', process: curl })),
    eventOf(lookup({ name: 'gone.example', rcode: 3, answers: [], process: container, retries: 2 })),
    eventOf(lookup({ name: 'late.example', outcome: 'timeout', process: curl })),
    eventOf(
      lookup({
        name: 'alias.example',
        answers: [record('alias.example', 5, 'x.example', 60), record('x.example', 28, '2001:db8::1', 9)],
        process: container,
      }),
    ),
    connectionLog(
      {
        names: ['www.example.com', 'b.example'],
        scope: 'container',
        answered: TIME - 5_000_000n,
        expires: TIME - 1_000_000n,
      },
      {
        remote: { address: '203.0.113.66', port: 443 },
        local: { address: '198.51.100.7', port: 41_215 },
      },
      container,
    ),
  ];
  const path = join(temporaryDirectory(test), 'records.jsonl');
  const notices = { warn: () => {}, info: () => {} };
  const sink = createOtlpFileSink({
    file: LinesFile.open(path),
    scope: { name: 'whodns', version: '0' },
    ledger: new Ledger(),
    notices,
    store: new MemoryStore({ maxBytes: 1_000_000, maxRecords: 100 }),
    limits: { batchSize: 100, delayMs: 1000 },
  });
  for (const event of events) sink.accept(event);
  await sink.close(2000);
  return { events, file: path };
}

async function fileOptions(test: TestContext) {
  return {
    config: {} as never,
    version: '0',
    log: { error: assert.fail, warn: assert.fail, info() {}, debug() {} } as never,
    stopped: new Promise<void>((resolve) => test.after(() => resolve())),
  };
}

/** A request has its records by resource: those of one moment change places. */
function comparable(rows: readonly StoredRow[]): readonly object[] {
  const nameOf = (row: StoredRow): string => (row.kind === 'lookup' ? row.name : row.kind);
  return [...rows].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)).map((row) => ({ ...row, id: 0 }));
}
