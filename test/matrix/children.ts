/** The end of programs that tests start. Nothing here waits without a bound: a test that hangs tells nobody why. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const GRACE_MS = 10_000;
/** After SIGKILL, until its pipes are closed too: a child of its own may hold them. */
const KILLED_MS = 5000;

export const isRunning = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode === null && signalCode === null;

/**
 * Sends the signal and waits until the program has ended and what it wrote is read; SIGKILL after `graceMs`. Nothing happens to one
 * that has ended.
 */
export async function end(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGTERM',
  graceMs = GRACE_MS,
): Promise<void> {
  if (!isRunning(child)) return;
  const closed = once(child, 'close');
  child.kill(signal);
  await untilClosed(child, closed, graceMs);
}

/** Waits for a program that ends by itself. SIGKILL after `limitMs`: its exit code is null then. */
export async function ended(child: ChildProcess, limitMs = 60_000): Promise<number | null> {
  if (isRunning(child)) await untilClosed(child, once(child, 'close'), limitMs);
  return child.exitCode;
}

async function untilClosed(child: ChildProcess, closed: Promise<unknown>, limitMs: number): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  const over = new AbortController();
  const late = sleep(limitMs + KILLED_MS, undefined, { signal: over.signal }).then(() => {
    throw new Error(`its pipes stay open: ${child.spawnargs.join(' ').slice(0, 500)}`);
  });
  late.catch(() => {});
  try {
    await Promise.race([closed, late]);
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}
