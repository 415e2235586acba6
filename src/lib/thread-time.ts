/**
 * What a stretch of synchronous code cost this thread. Wall time accuses the innocent on a busy host, where the thread waits for
 * a processor; processor time alone does not see code that sleeps (a blocking read, a child waited for). So both are taken,
 * and from the wall time what the scheduler made the thread wait.
 */
import { openSync, readSync } from 'node:fs';

/** "run-ns wait-ns slices" of this thread (Documentation/scheduler/sched-stats.rst). Opened once: the file stays this thread's. */
const SCHEDSTAT = '/proc/thread-self/schedstat';
/** Its last lines tell how often the thread left the processor by itself, and how often it was made to (proc_pid_status(5)). */
const STATUS = '/proc/thread-self/status';

export interface ThreadTime {
  /** ms of a monotonic clock. */
  readonly wall: number;
  /** ms of processor time; the kernel brings it up to date at ticks, some 4 ms apart. */
  readonly processor: number;
  /** ms for which the thread was ready to run and did not. 0 where the kernel does not tell. */
  readonly delay: number;
  /** How often the thread left the processor by itself: it slept or waited. 0 where the kernel does not tell. */
  readonly sleeps: number;
}

/** In ms. */
export interface ThreadCost {
  /** Wall time without what others made it wait: precise, but what a hypervisor took is in it. */
  readonly own: number;
  /** Processor time (to some 4 ms), without what a hypervisor took, or `own` where the thread left the processor by itself. */
  readonly charged: number;
}

const MAX_RETRIES = 5;

/** Files that stay open; -1: there is none, it is not asked for again, a read of it fails at once. */
const opened = new Map<string, number>();
const bytes = Buffer.alloc(4096);

export function threadTime(): ThreadTime {
  const sleeps = sleepsSoFar();
  for (let attempt = 0; ; attempt++) {
    const [delay, slices] = waits();
    const { user, system } = process.threadCpuUsage();
    const wall = performance.now();
    // Another one ran in between: the wait for it is in `wall` and not in `delay`.
    const isWhole = waits()[1] === slices;
    if (isWhole || attempt === MAX_RETRIES) return { processor: (user + system) / 1000, delay, sleeps, wall };
  }
}

export function costSince(before: ThreadTime): ThreadCost {
  const now = threadTime();
  const own = Math.max(now.wall - before.wall - (now.delay - before.delay), 0);
  return { own, charged: now.sleeps === before.sleeps ? now.processor - before.processor : own };
}

function waits(): readonly [delay: number, slices: number] {
  const [, delay = 0, slices = 0] = textOf(SCHEDSTAT).split(' ').map(Number);
  return [delay / 1e6, slices];
}

function sleepsSoFar(): number {
  const [, count] = /^voluntary_ctxt_switches:\s*(\d+)/m.exec(textOf(STATUS)) ?? [];
  return Number(count ?? 0);
}

function textOf(path: string): string {
  try {
    let file = opened.get(path);
    if (file === undefined) {
      opened.set(path, -1);
      file = openSync(path, 'r');
      opened.set(path, file);
    }
    return bytes.toString('latin1', 0, readSync(file, bytes, 0, bytes.length, 0));
  } catch {
    return '';
  }
}
