import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SeriesTable, type Summed } from '../../src/sinks/series-table.ts';

const counter: Summed<{ count: number }> = {
  empty: () => ({ count: 0 }),
  merge: (into, { count }) => {
    into.count += count;
  },
};
const owner = (id: number) => ({ cgroupId: BigInt(id), uid: 0, pid: 0 });

test('totals stay right whatever the keys, the limit and the temporality', () => {
  const step = fc.oneof(
    fc.integer({ min: 0, max: 40 }).map((key) => ({ key })),
    fc.constant('collect' as const),
  );
  const temporality = fc.constantFrom('cumulative' as const, 'delta' as const);
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 200 }),
      fc.integer({ min: 2, max: 20 }),
      temporality,
      (steps, limit, mode) => {
        const table = new SeriesTable(counter, 0n, { limit, idleNs: 1_000_000n });
        let added = 0;
        let reported = 0;
        let now = 0n;
        for (const each of steps) {
          now += 1n;
          if (each === 'collect') {
            const sum = table.collect(now, mode).reduce((total, series) => total + series.value.count, 0);
            reported = mode === 'delta' ? reported + sum : sum;
            assert.equal(reported, added);
          } else {
            table.series(`key ${each.key}`, () => ({ key: each.key }), owner(each.key % 3)).value.count++;
            added++;
          }
          assert.ok(table.size <= limit);
        }
      },
    ),
  );
});

test('a series that nothing touches is exported until it is idle, then it makes room', () => {
  const table = new SeriesTable(counter, 0n, { limit: 3, idleNs: 100n });
  const add = (key: string): void => {
    table.series(key, () => ({ key }), owner(1)).value.count++;
  };
  for (const key of ['a', 'b', 'c', 'd']) add(key);
  const names = (now: bigint): unknown[] =>
    table.collect(now, 'cumulative').map((s) => s.attributes['key'] ?? 'overflow');
  assert.deepEqual(names(10n), ['a', 'b', 'overflow']);
  add('a');
  assert.deepEqual(names(60n), ['a', 'b', 'overflow']);
  assert.deepEqual(names(120n), ['a', 'b', 'overflow'], 'idle: exported a last time');
  assert.deepEqual(names(130n), ['a', 'overflow']);
  add('b');
  const [, , again] = table.collect(140n, 'cumulative');
  assert.deepEqual([again?.attributes, again?.start, again?.value.count], [{ key: 'b' }, 130n, 1]);
});

test('who fills the table has no series of others, and totals stay right', () => {
  const table = new SeriesTable(counter, 0n, { limit: 100, idleNs: 100n });
  for (let i = 0; i < 10_000; i++) table.series(`flood ${i}`, () => ({ flood: i }), owner(1)).value.count++;
  for (let i = 0; i < 20; i++) table.series(`victim ${i}`, () => ({ victim: i }), owner(2)).value.count++;
  for (let i = 0; i < 10_000; i++) table.series(`more ${i}`, () => ({ flood: i }), owner(1)).value.count++;
  const all = table.collect(10n, 'cumulative');
  assert.equal(all.length, 100);
  assert.equal(all.filter(({ attributes }) => attributes['victim'] !== undefined).length, 20);
  assert.equal(
    all.reduce((sum, { value }) => sum + value.count, 0),
    20_020,
  );
});
