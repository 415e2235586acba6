import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Outcome } from '../../src/model.ts';
import { RESULTS, resultAttributes, resultOf } from '../../src/records/lookup-result.ts';
import { SEVERITY } from '../../src/records/record-common.ts';
import { LookupSeries } from '../../src/sinks/metrics/lookup-series.ts';
import { SeriesTable, type Summed } from '../../src/sinks/metrics/series-table.ts';
import { identity, lookup, recordOf } from './sink-events.ts';

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

test('lookups have one number exactly when they have the same attributes', () => {
  const numbers = new Map<string, number>();
  const outcomes: Outcome[] = ['answered', 'timeout', 'sent', 'unknown'];
  const spec = fc.record({
    type: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(32_768, 65_280, 65_535)),
    rcode: fc.constantFrom(0, 2, 3, 5, 15, 16, 23, 24, 3841, 4095),
    outcome: fc.constantFrom(...outcomes),
    raw: fc.record({ transport: fc.constantFrom('udp' as const, 'tcp' as const) }),
  });
  fc.assert(
    fc.property(spec, fc.boolean(), (each, nxdomainError) => {
      const record = recordOf(lookup({ ...each, answers: [] }), { nxdomainError });
      const isError = record.severity === SEVERITY.warn;
      const number = resultOf(record.lookup, isError);
      assert.ok(Number.isInteger(number) && number >= 0 && number < RESULTS);
      // Of a lookup that was sent and of one that timed out there is only that the latter is an error.
      const key = JSON.stringify([resultAttributes(record.lookup, isError), each.outcome]);
      assert.equal(numbers.get(key) ?? number, number);
      numbers.set(key, number);
      const { attributes } = record;
      assert.equal(resultAttributes(record.lookup, isError)['error.type'], attributes['error.type']);
    }),
    { numRuns: 5000 },
  );
  assert.equal(new Set(numbers.values()).size, numbers.size);
});

test('more workloads than are remembered: every lookup is in the series of its own', () => {
  const series = new LookupSeries(0n, false, { limit: 20_000, idleNs: 100n });
  const processes = Array.from({ length: 9000 }, (_, i) =>
    identity({ pid: i, executableName: `p${i}`, resource: { 'process.executable.name': `p${i}` } }),
  );
  for (let round = 0; round < 2; round++)
    for (const process of processes) series.add(recordOf(lookup({ process })));
  const found = series.queries.collect(10n, 'cumulative');
  assert.equal(found.length, processes.length);
  assert.ok(found.every(({ value }) => value.count === 2));
  const [all] = series.durations.collect(10n, 'cumulative');
  assert.equal(all?.value.count, 18_000);
});

test('transmissions are counted beside lookups, whatever the temporality', () => {
  for (const mode of ['cumulative', 'delta'] as const) {
    const series = new LookupSeries(0n, false, { limit: 20, idleNs: 100n });
    for (const retries of [0, 2, 1]) series.add(recordOf(lookup({ retries })));
    const [found, ...others] = series.queries.collect(10n, mode);
    assert.deepEqual(found?.value, { count: 3, transmissions: 6 });
    assert.equal(others.length, 0);
  }
});

test('transmissions of series beyond the limit are in the one that overflows', () => {
  const series = new LookupSeries(0n, false, { limit: 3, idleNs: 100n });
  for (let i = 0; i < 10; i++) {
    const resource = { 'process.executable.name': `p${i}` };
    series.add(recordOf(lookup({ retries: 1, process: identity({ pid: i, resource }) })));
  }
  const found = series.queries.collect(10n, 'cumulative');
  const sum = (of: 'count' | 'transmissions') => found.reduce((total, { value }) => total + value[of], 0);
  assert.deepEqual([sum('count'), sum('transmissions')], [10, 20]);
});
