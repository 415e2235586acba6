import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProcessCount } from '../../src/model.ts';
import { ProcessSeries } from '../../src/sinks/metrics/process-series.ts';

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
