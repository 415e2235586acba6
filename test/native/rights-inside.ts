/**
 * Gives up capabilities while threads come and go, as a process of its own; prints what its threads held then and later.
 *
 *     node rights-inside.ts [KEPT CAPABILITY]...
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import type { NativeAddon } from '../../src/capture/addon.ts';
import { readRights } from '../../src/capture/rights.ts';
import { CAPABILITIES, type Capability } from '../../src/tables/capabilities.ts';

/** Each thread starts another before it ends: there is always one that another thread has just started. */
const start = (rest: number): Worker => new Worker(import.meta.filename, { workerData: rest });

if (isMainThread) await giveUp();
else if ((workerData as number) > 0) start((workerData as number) - 1).unref();

async function giveUp(): Promise<void> {
  const path = join(import.meta.dirname, '../../build/whodns.node');
  const addon = createRequire(import.meta.url)(path) as NativeAddon;
  const kept = process.argv.slice(2).map((name) => CAPABILITIES.indexOf(name as Capability));
  for (let i = 0; i < 6; i++) start(2);
  await sleep(100);
  const began = performance.now();
  const limited = addon.limitCapabilities(kept, true);
  const ms = performance.now() - began;
  const at = readRights();
  await sleep(200);
  const later = readRights();
  const filtered = addon.filterSystemCalls('enforce');
  console.log(JSON.stringify({ limited, ms, at, later, filtered, end: readRights() }));
}
