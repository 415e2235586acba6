/** A history on disk: bounded, for one agent, and not ended by damage. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { segmentPath } from '../../src/history/files.ts';
import { readHistory } from '../../src/history/reader.ts';
import { DatabaseSync } from '../../src/history/sqlite.ts';
import { csvCell } from '../../src/search/formats.ts';
import { openTestHistory, temporaryDirectory } from './history-store.ts';
import { identity } from './sink-events.ts';

const many = (count: number, prefix = 'n') =>
  Array.from({ length: count }, (_, i) => ({ name: `${prefix}${i}.zone${i % 7}.example` }));

function overwrite(path: string, at: number, length: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(length, 0xa5), 0, length, at);
  closeSync(fd);
}

describe('history: files', () => {
  it('goes on where it ended', async (test) => {
    const place = temporaryDirectory(test);
    const first = await openTestHistory(test, { place });
    await first.add(...many(300));
    await first.sink.close(5000);
    const second = await openTestHistory(test, { place });
    await second.add(...many(10, 'm'));
    const { lookups } = await second.sink.queries.status();
    assert.equal(lookups, 310);
    const history = readHistory(place, (message) => assert.fail(message));
    assert.equal((await history.search({ name: 'n7.zone0.example' })).rows.length, 1);
    assert.equal((await history.search({ name: 'm7.zone0.example' })).rows.length, 1);
    history.close();
  });

  it('keeps to its bytes: the oldest goes', async (test) => {
    const place = temporaryDirectory(test);
    const maxBytes = 2 * 1024 * 1024;
    const history = await openTestHistory(test, { place, maxBytes });
    for (let round = 0; round < 12; round++) await history.add(...many(1500, `r${round}-`));
    const { bytes, lookups } = await history.sink.queries.status();
    assert.ok(bytes <= maxBytes + 1024 * 1024, String(bytes));
    assert.ok(lookups > 0 && lookups < 12 * 1500, String(lookups));
    const { queries } = history.sink;
    assert.equal((await queries.search({ name: 'r11-1499.zone1.example' })).rows.length, 1);
    assert.equal((await queries.search({ name: 'r0-1.zone1.example' })).rows.length, 0);
  });

  it('leaves a file of another version alone until its room is needed', async (test) => {
    const place = temporaryDirectory(test);
    const maxBytes = 2 * 1024 * 1024;
    const first = await openTestHistory(test, { place, maxBytes });
    await first.add(...many(500));
    await first.sink.close(5000);
    const old = segmentPath(place, 1);
    const database = new DatabaseSync(old);
    database.exec('PRAGMA user_version = 1');
    database.close();
    const second = await openTestHistory(test, { place, maxBytes });
    await second.add(...many(10, 'm'));
    assert.match(second.notices.join('\n'), /is of version 1, .*left alone/);
    assert.ok(existsSync(old));
    assert.equal((await second.sink.queries.status()).lookups, 10);
    for (let round = 0; round < 10; round++) await second.add(...many(1500, `r${round}-`));
    assert.ok(!existsSync(old));
    assert.ok((await second.sink.queries.status()).bytes <= maxBytes + 1024 * 1024);
  });

  it('sets a damaged file aside, says so, and goes on; no region of it ends a search', async (test) => {
    const place = temporaryDirectory(test);
    const made = await openTestHistory(test, { place });
    await made.add(...many(2000));
    await made.sink.close(5000);
    const [name = ''] = readdirSync(place).filter((each) => each.endsWith('.db'));
    const path = join(place, name);
    const { size } = statSync(path);
    for (let part = 7; part >= 0; part--) {
      overwrite(path, Math.floor((size / 8) * part), 8192);
      const history = readHistory(place, () => {});
      // What it finds may be less; it ends, and with no error of its own.
      await history.search({ suffix: '*.example', limit: 10_000 });
      await history.top({ by: 'domain' });
      await history.status();
      history.close();
    }
    const again = await openTestHistory(test, { place });
    assert.match(again.notices.join('\n'), /is damaged .*: .*\.damaged-\d+/);
    assert.equal(readdirSync(place).filter((each) => /damaged-\d+$/.test(each)).length, 1);
    await again.add(...many(5, 'after'));
    assert.equal((await again.sink.queries.search({ name: 'after1.zone1.example' })).rows.length, 1);
    const stage = again.ledger.snapshot().find((each) => each.name === 'sink:history');
    assert.deepEqual([stage?.in, stage?.out, stage?.missing], [5, 5, 0]);
  });

  it('shows hostile names as text, in CSV never as a formula', async (test) => {
    const history = await openTestHistory(test);
    const evil = identity({ executableName: '=cmd|calc\u001b[2J', pid: 5 });
    await history.add({ name: '\\027[2J.example', process: evil });
    const { rows } = await history.sink.queries.search({});
    assert.equal(rows[0]?.process.executable, '=cmd|calc\u001b[2J');
    assert.equal(csvCell('=cmd|calc\u001b[2J'), `"'=cmd|calc\\x1b[2J"`);
    assert.equal(csvCell('+1'), `"'+1"`);
    assert.equal(csvCell('a,"b"'), '"a,""b"""');
    assert.equal(csvCell('plain'), 'plain');
  });

  it('has top, timeline, edges, a process and a name', async (test) => {
    const history = await openTestHistory(test);
    await history.add(...many(70), { name: 'gone.example', outcome: 'timeout' });
    const { queries } = history.sink;
    const top = await queries.top({ by: 'process' });
    assert.deepEqual([top.count, top.failed, top.rows.length], [71, 1, 1]);
    assert.deepEqual([top.rows[0]?.label, top.rows[0]?.count, top.rows[0]?.names], ['curl', 71, 71]);
    assert.ok(Math.abs((top.rows[0]?.p50 ?? 0) - 12_300) < 500);
    assert.equal((await queries.top({ by: 'failure' })).rows[0]?.key, 'timeout');
    assert.equal((await queries.top({ by: 'domain', filter: 'failed' })).rows[0]?.key, 'gone.example');
    const line = await queries.timeline({ buckets: 4 });
    assert.deepEqual([line.count.reduce((a, b) => a + b), line.failed.reduce((a, b) => a + b)], [71, 1]);
    const { domains, addresses } = await queries.edges({});
    assert.equal(domains[0]?.from, 'curl');
    assert.equal(addresses[0]?.to, '192.0.2.1');
    const key = top.rows[0]?.key ?? '';
    const one = await queries.process(key);
    assert.equal(one?.names.length, 71);
    assert.equal(await queries.process('1-1'), undefined);
    const name = await queries.name('N1.zone1.example');
    assert.deepEqual(
      [name?.processes.length, name?.answers[0]?.count, name?.answers[0]?.minTtl],
      [1, 1, 300],
    );
    assert.equal(await queries.name('nothing.example'), undefined);
  });
});
