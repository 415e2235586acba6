/** Questions and files that are meant to harm: each ends, says what is wrong in a line, and costs nothing but its own answer. */
import assert from 'node:assert/strict';
import { closeSync, cpSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Database } from '../../src/history/database.ts';
import { readHistory } from '../../src/history/reader.ts';
import type { SearchQuery, StoredLookup } from '../../src/history/types.ts';
import { UserError } from '../../src/lib/errors.ts';
import { openTestHistory, type TestHistory, temporaryDirectory } from './history-store.ts';
import { identity } from './sink-events.ts';

const NAMES = 10_000;
const PAGE = 4096;
/** A question ends by itself after 4 s; a busy machine is slow. */
const PATIENCE_MS = 20_000;
/** As many characters of an error fit a terminal. */
const MAX_MESSAGE = 400;

function counts({ ledger }: TestHistory) {
  return ledger.snapshot().find(({ name }) => name === 'sink:history');
}

async function add(history: TestHistory, count: number, name: (i: number) => string): Promise<void> {
  for (let i = 0; i < count; i += 2000)
    await history.add(
      ...Array.from({ length: Math.min(2000, count - i) }, (_, j) => ({ name: name(i + j) })),
    );
}

describe('history: hostile questions', () => {
  it('is not held up by an expression that would never end elsewhere, over many names', async (test) => {
    const history = await openTestHistory(test, { maxRows: 10 * NAMES });
    const label = 'a'.repeat(63);
    await add(history, NAMES, (i) => `${label}.${label}.${i}.example`);
    const began = performance.now();
    const { queries } = history.sink;
    for (const pattern of ['(a+)+$', '^(([a-z])+.)+[A-Z]([a-z])+$', '(x+x+)+y', '(.*)*(.*)*(.*)*!']) {
      const { rows } = await queries.search({ pattern });
      assert.equal(rows.length, 0, pattern);
    }
    assert.ok(performance.now() - began < PATIENCE_MS, `${performance.now() - began} ms`);
    // What comes meanwhile is kept, and the next question is answered.
    const [slow] = await Promise.all([
      queries.search({ filter: 'name~/^(([a-z])+.)+[A-Z]([a-z])+$/ or name~/(a|aa)+$/' }),
      history.add({ name: 'meanwhile.example' }),
    ]);
    assert.equal(slow.rows.length, 0);
    assert.equal((await queries.search({ name: 'meanwhile.example' })).rows.length, 1);
    assert.equal(counts(history)?.out, NAMES + 1);
  });

  it('says in a short line what is wrong with a pattern of 10 KB', async (test) => {
    const history = await openTestHistory(test);
    await history.add({ name: 'www.example' });
    const patterns = [
      'a'.repeat(10_240),
      '('.repeat(10_240),
      '.*'.repeat(5120),
      '\\pL'.repeat(3400),
      '[a-'.repeat(3400),
    ];
    const queries: SearchQuery[] = patterns.flatMap((pattern) => [
      { pattern },
      { filter: `name~/${pattern}/` },
    ]);
    for (const query of queries)
      await assert.rejects(history.sink.queries.search(query), (error: unknown) => {
        assert.ok(error instanceof UserError, String(error));
        assert.equal(error.exitCode, 2);
        assert.ok(error.message.length < MAX_MESSAGE, `${error.message.length} characters`);
        return true;
      });
    // As long, and within the bounds.
    const { rows } = await history.sink.queries.search({ pattern: `^(${'a|'.repeat(5000)}www)\\.example$` });
    assert.equal(rows.length, 1);
  });
});

describe('history: damaged pages of indexes', () => {
  const indexes = [
    'sqlite_autoindex_names_1',
    'questions_name',
    'processes_executable',
    'processes_pid',
    'name_chunks',
    'process_chunks',
    'resolved',
    'chunks',
    'lookups',
  ];
  const queries: readonly SearchQuery[] = [
    { name: 'n1.zone1.example' },
    { suffix: '*.zone1.example' },
    { pattern: '^n1\\.' },
    { address: '192.0.2.1' },
    { process: 'curl' },
    { pid: 4711 },
    { filter: 'process=curl and not failed' },
    {},
  ];

  it('leave out their file, say so once, and no other', async (test) => {
    const whole = temporaryDirectory(test);
    const made = await openTestHistory(test, { place: whole, maxBytes: 2 * 1024 * 1024 });
    await add(made, 4000, (i) => `n${i}.zone${i % 7}.example`);
    await made.add({ name: 'n1.zone1.example', process: identity() });
    await made.sink.close(5000);
    const [oldest = '', ...others] = readdirSync(whole)
      .filter((name) => name.endsWith('.db'))
      .sort();
    assert.ok(others.length > 0);
    for (const index of indexes) {
      const place = temporaryDirectory(test);
      cpSync(whole, place, { recursive: true });
      damage(join(place, oldest), index);
      const warnings: string[] = [];
      const history = readHistory(place, (line) => warnings.push(line));
      for (const query of queries) {
        const { rows } = await history.search({ ...query, limit: 10_000, connections: true });
        const names = rows.map((row) => (row as StoredLookup).name);
        assert.ok(names.includes('n1.zone1.example'), `${index} ${JSON.stringify(query)}`);
      }
      history.close();
      assert.ok(
        warnings.length === 1 && warnings[0]?.includes(oldest) && warnings[0].includes('is left out'),
        `${index}: ${warnings.join('\n')}`,
      );
    }
  });

  it('cost an agent that keeps more nothing but what was in that file', async (test) => {
    const place = temporaryDirectory(test);
    const first = await openTestHistory(test, { place });
    await add(first, 4000, (i) => `n${i}.zone${i % 7}.example`);
    await first.sink.close(5000);
    const [file = ''] = readdirSync(place).filter((name) => name.endsWith('.db'));
    damage(join(place, file), 'name_chunks');
    const history = await openTestHistory(test, { place });
    await add(history, 4000, (i) => `m${i}.zone${i % 7}.example`);
    assert.equal((await history.sink.queries.search({ name: 'm1.zone1.example' })).rows.length, 1);
    assert.match(history.notices.join('\n'), /is damaged .*: .*\.damaged-\d+/);
    const { in: came, out, missing } = counts(history) ?? {};
    assert.deepEqual([came, out, missing], [4000, 4000, 0]);
  });
});

/** Overwrites the first page of an index or table. */
function damage(path: string, name: string): void {
  const database = Database.read(path);
  const page = database.number('SELECT rootpage FROM sqlite_schema WHERE name = ?', name);
  database.close();
  assert.ok(page > 1, name);
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(PAGE, 0xa5), 0, PAGE, (page - 1) * PAGE);
  closeSync(fd);
}
