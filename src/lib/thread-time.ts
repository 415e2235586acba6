/**
 * What a stretch of synchronous code cost this thread. Wall time accuses the innocent on a busy host, where the thread waits for
 * a processor; processor time alone does not see code that sleeps (a blocking read, a child waited for). So both are taken,
 * and from the wall time what the scheduler made the thread wait.
 */
import { openSync, readSync } from 'node:fs';

/** "run-ns wait-ns slices" of this thread (Documentation/scheduler/sched-stats.rst). Opened once: the file stays this thread's. */
const SCHEDSTAT = '/proc/thread-self/schedstat';

export interface ThreadTime {
  /** ms of a monotonic clock. */
  readonly wall: number;
  /** ms of processor time; the kernel brings it up to date at ticks, some 4 ms apart. */
  readonly processor: number;
  /** ms for which the thread was ready to run and did not. 0 where the kernel does not tell. */
  readonly delay: number;
  /** How often the thread was put on a processor. 0 where the kernel does not tell. */
  readonly slices: number;
}

/** In ms. */
export interface ThreadCost {
  /** Wall time without what others made it wait: precise, but what a hypervisor took is in it. */
  readonly own: number;
  /** Processor time (to some 4 ms), or `own` where the thread left the processor and may have slept. */
  readonly charged: number;
}

const MAX_RETRIES = 5;

let schedstat: number | undefined;
const bytes = Buffer.alloc(96);

export function threadTime(): ThreadTime {
  for (let attempt = 0; ; attempt++) {
    const [delay, slices] = waits();
    const { user, system } = process.threadCpuUsage();
    const wall = performance.now();
    // Another one ran in between: the wait for it is in `wall` and not in `delay`.
    const isWhole = waits()[1] === slices;
    if (isWhole || attempt === MAX_RETRIES) return { processor: (user + system) / 1000, delay, slices, wall };
  }
}

export function costSince(before: ThreadTime): ThreadCost {
  const now = threadTime();
  const own = Math.max(now.wall - before.wall - (now.delay - before.delay), 0);
  return { own, charged: now.slices === before.slices ? now.processor - before.processor : own };
}

function waits(): readonly [delay: number, slices: number] {
  try {
    schedstat ??= openSync(SCHEDSTAT, 'r');
    const [, delay = 0, slices = 0] = bytes
      .toString('latin1', 0, readSync(schedstat, bytes, 0, bytes.length, 0))
      .split(' ')
      .map(Number);
    return [delay / 1e6, slices];
  } catch {
    schedstat = -1; // no such file: not asked for again, a read of it fails at once
    return [0, 0];
  }
}
