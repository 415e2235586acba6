/** When the pipeline may say `timeout`: real but for the source, which holds messages back as the kernel's ring does. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OnBatch, Source } from '../../src/capture/source.ts';
import { resolveConfig } from '../../src/config/config.ts';
import { ProcessTable } from '../../src/enrich/process/process.ts';
import { UserNames } from '../../src/enrich/process/users.ts';
import { Ledger } from '../../src/ledger.ts';
import { wallClock } from '../../src/lib/clock.ts';
import type { Attributes, LogEvent, RawMessage } from '../../src/model.ts';
import { Pipeline } from '../../src/pipeline.ts';
import { OWNER } from './correlate-events.ts';
import { dnsBytes, piece } from './stream-pieces.ts';

async function running(t: TestContext, timeout: string) {
  let deliver: OnBatch = () => undefined;
  const stats = { drops: { response_ring_full: 0 }, used: 0 };
  const source: Source = {
    start: (onBatch) => {
      deliver = onBatch;
    },
    stop: () => Promise.resolve(),
    stats: () => ({
      hook: undefined,
      counters: {},
      drops: { ...stats.drops },
      missedRuns: 0,
      batches: 0,
      batchBytes: 0,
      ring: { used: stats.used, size: 1 << 20 },
    }),
    waiting: () => stats.used,
    processes: () => [],
    forget: () => {},
    finished: new Promise(() => {}),
  };
  const records: Attributes[] = [];
  const sink = {
    name: 'test',
    accept: (event: LogEvent) => void records.push(event.attributes),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const processes = new ProcessTable({
    host: {},
    users: new UserNames(),
    bootTime: 0n,
  });
  const { config } = resolveConfig('run', { timeoutMs: timeout }, {});
  const ledger = new Ledger();
  const parts = { config, source, processes, sink, ledger, metersProcesses: false, seesConnections: false };
  const pipeline = new Pipeline(parts);
  await pipeline.start();
  t.after(() => pipeline.stop(100)); // its timer would keep a failed test from ending
  const stop = async () => {
    await pipeline.stop(100);
    for (const stage of ledger.snapshot()) assert.equal(stage.missing, 0, stage.name);
  };
  return { give: (...events: RawMessage[]) => deliver(events), stats, records, stop };
}

function message(id: number, direction: 'request' | 'response', time: bigint): RawMessage {
  const bytes = dnsBytes(id, 60);
  // One question: a name of one label, A, IN.
  bytes.set([4, 97, 98, 99, 100, 0, 0, 1, 0, 1], 12);
  if (direction === 'response') bytes[2] = 0x81;
  const owner = direction === 'request' ? OWNER : undefined;
  return piece(bytes, {
    transport: 'udp',
    direction,
    time,
    owner,
    local: { address: '10.0.0.1', port: 1000 + id },
  });
}

const outcomes = (records: readonly Attributes[]) =>
  records.map((attributes) => attributes['error.type'] ?? attributes['whodns.outcome.reason'] ?? 'ok');

test('no time-out overtakes an answer that waits in the ring', async (t) => {
  const { give, stats, records, stop } = await running(t, '300ms');
  const at = wallClock();
  give(message(1, 'request', at));
  stats.used = 100;
  await sleep(1200);
  assert.deepEqual(outcomes(records), []);
  give(message(1, 'response', at + 100_000_000n));
  assert.deepEqual(outcomes(records), ['ok']);
  await stop();
});

test('no time-out overtakes an answer that came while the loop stood still', async (t) => {
  const { give, records, stop } = await running(t, '300ms');
  const at = wallClock();
  give(message(1, 'request', at));
  await sleep(50);
  const end = performance.now() + 1500;
  while (performance.now() < end); // as SIGSTOP, or a slow sink
  await new Promise((resolve) => setTimeout(resolve, 0)); // the tick comes first
  assert.deepEqual(outcomes(records), []);
  give(message(1, 'response', at + 100_000_000n));
  assert.deepEqual(outcomes(records), ['ok']);
  await stop();
});

test('what was lost while a lookup waited makes it unknown; after that a time-out is one again', async (t) => {
  const { give, stats, records, stop } = await running(t, '300ms');
  give(message(1, 'request', wallClock()));
  stats.drops.response_ring_full = 5;
  await sleep(1200);
  give(message(2, 'request', wallClock()));
  await sleep(1200);
  assert.deepEqual(outcomes(records), ['ring_full', 'timeout']);
  await stop();
});
