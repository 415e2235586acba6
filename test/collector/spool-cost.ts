/**
 * What writing and reading one request of the largest size costs the event loop, in ms: `node test/collector/spool-cost.ts DIR`
 * with DIR on the disk in question.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Spool } from '../../src/sinks/delivery/spool.ts';

const [base = '/var/tmp'] = process.argv.slice(2);
const LENGTH = 3_500_000;
const COUNT = 200;

const directory = mkdtempSync(join(base, 'whodns-spool-cost-'));
const limits = { maxBytes: 1 << 26, maxRecords: 1 << 20 };
const open = () =>
  new Spool({
    directory,
    maxBytes: 1 << 30,
    memory: limits,
    notices: { warn: console.error, info: () => {} },
  });

function timed<T>(times: number[], action: () => T): T {
  const started = performance.now();
  const result = action();
  times.push(performance.now() - started);
  return result;
}

function quantiles(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)]?.toFixed(1);
  return `median ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)} ms`;
}

const pushes: number[] = [];
let spool = open();
for (let i = 0; i < COUNT; i++) {
  const bytes = Buffer.alloc(LENGTH, i);
  timed(pushes, () => spool.push({ bytes, records: 5000, resourceCount: 1 }));
}
console.log(`write ${LENGTH} bytes: ${quantiles(pushes)}`);
await spool.close();
const opens: number[] = [];
spool = timed(opens, open);
console.log(`open with ${(spool.diskBytes / 1e6).toFixed(0)} MB: ${quantiles(opens)}`);
const takes: number[] = [];
const dones: number[] = [];
for (;;) {
  const request = timed(takes, () => spool.take());
  if (request === undefined) break;
  timed(dones, () => spool.done(request));
}
console.log(`read back: ${quantiles(takes)}`);
console.log(`done: ${quantiles(dones)}`);
console.log(`highest resident memory: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);
await spool.close();
rmSync(directory, { recursive: true });
