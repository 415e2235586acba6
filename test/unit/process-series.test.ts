import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attributes, ProcessCount, ProcessIdentity } from '../../src/model.ts';
import { type ProcessPoint, ProcessSeries } from '../../src/sinks/metrics/process-series.ts';

const process = (pid: number, cgroupId: bigint, requests: number): ProcessCount => ({
  pid,
  startTime: 1n,
  udpRequests: requests,
  tcpRequests: 0,
  requestBytes: 0,
  lastSeen: 0n,
  cgroupId,
  share: { cgroupId, user: 0 },
});

for (const temporality of ['cumulative', 'delta'] as const)
  test(`a workload with many processes leaves the others their series, totals exact (${temporality})`, () => {
    const all: ProcessCount[] = [];
    const source = { processes: () => all, forget: () => {} };
    const series = new ProcessSeries(source, 0n, { limit: 50, idleNs: 1000n });
    let reported = 0;
    let counted = 0;
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 200; i++) all.push(process(1000 * round + i, 1n, 3));
      if (round > 1) all.push(process(90_000 + round, 2n, 7));
      counted = all.reduce((sum, { udpRequests }) => sum + udpRequests, 0);
      const points = series.collect(BigInt(round), temporality);
      const sum = points.reduce((total, { count }) => total + count, 0);
      reported = temporality === 'delta' ? reported + sum : sum;
      assert.equal(reported, counted);
      const own = points.filter(({ attributes }) => Number(attributes['process.pid']) >= 90_000);
      if (temporality === 'cumulative') assert.equal(own.length, Math.max(0, round - 1));
      else assert.equal(own.length, round > 1 ? 1 : 0);
    }
  });

const identity = (pid: number, resource: Attributes): ProcessIdentity => ({
  pid,
  startTime: 1n,
  attribution: 'kernel',
  executableName: 'curl',
  containerId: undefined,
  workload: '',
  resource: { 'process.pid': pid, ...resource },
});

const countsBy = (points: readonly ProcessPoint[]): Record<string, number> =>
  Object.fromEntries(
    points.map(({ attributes, count }) => [String(attributes['service.name'] ?? 'unnamed'), count]),
  );

test('a process that is named later, and once more: no request in two series', () => {
  const all = [process(7, 1n, 100)];
  const series = new ProcessSeries({ processes: () => all, forget: () => {} }, 0n);
  assert.deepEqual(countsBy(series.collect(10n, 'cumulative')), { unnamed: 100 });
  all[0] = process(7, 1n, 160);
  series.remember(identity(7, { 'service.name': 'shop' }));
  const points = series.collect(20n, 'cumulative');
  assert.deepEqual(countsBy(points), { unnamed: 100, shop: 60 });
  // The new series begins where the last collection was: its first point is no rate of before.
  assert.deepEqual(
    points.map(({ start }) => start),
    [0n, 10n],
  );
  all[0] = process(7, 1n, 161);
  assert.deepEqual(countsBy(series.collect(30n, 'cumulative')), { unnamed: 100, shop: 61 });
  series.remember(identity(7, { 'service.name': 'till' }));
  all[0] = process(7, 1n, 170);
  assert.deepEqual(countsBy(series.collect(40n, 'cumulative')), { unnamed: 100, shop: 61, till: 9 });
});

test('named before anything was exported: one series', () => {
  const all = [process(7, 1n, 5)];
  const series = new ProcessSeries({ processes: () => all, forget: () => {} }, 0n);
  series.remember(identity(7, { 'service.name': 'shop' }));
  assert.deepEqual(countsBy(series.collect(10n, 'cumulative')), { shop: 5 });
});

test('a process that renames itself all the time: few series, and the sum stays exact', () => {
  const all = [process(7, 1n, 0)];
  const series = new ProcessSeries({ processes: () => all, forget: () => {} }, 0n);
  for (let round = 1; round <= 50; round++) {
    all[0] = process(7, 1n, 3 * round);
    series.remember(identity(7, { 'service.name': `name-${round}` }));
    const points = series.collect(BigInt(round), 'cumulative');
    // Its own, three earlier ones, and what all others went to.
    assert.ok(points.length <= 5, String(points.length));
    assert.equal(
      points.reduce((sum, { count }) => sum + count, 0),
      3 * round,
    );
  }
});

test('earlier series are series: without room what they counted goes to the overflow series', () => {
  const all = [process(7, 1n, 0), process(8, 1n, 0)];
  const limits = { limit: 2, idleNs: 1000n };
  const series = new ProcessSeries({ processes: () => all, forget: () => {} }, 0n, limits);
  for (let round = 1; round <= 20; round++) {
    for (const pid of [7, 8]) {
      all[pid - 7] = process(pid, 1n, 5 * round);
      series.remember(identity(pid, { 'service.name': `name-${round}` }));
    }
    const points = series.collect(BigInt(round), 'cumulative');
    assert.ok(points.length <= 3, String(points.length));
    assert.equal(
      points.reduce((sum, { count }) => sum + count, 0),
      10 * round,
    );
  }
});

test('delta: each point has the name of its time', () => {
  const all = [process(7, 1n, 100)];
  const series = new ProcessSeries({ processes: () => all, forget: () => {} }, 0n);
  assert.deepEqual(countsBy(series.collect(10n, 'delta')), { unnamed: 100 });
  all[0] = process(7, 1n, 160);
  series.remember(identity(7, { 'service.name': 'shop' }));
  assert.deepEqual(countsBy(series.collect(20n, 'delta')), { shop: 60 });
});
