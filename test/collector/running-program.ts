/** Starts a real program for a test, waits until it answers, and ends it by its own id. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { end } from '../matrix/children.ts';

export interface RunningProgram {
  readonly pid: number;
  /** The last 200 kB of standard output and error. */
  readonly log: () => string;
  /** SIGTERM (or the signal given), SIGKILL after 20 s; resolves when the process is gone. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

export interface ProgramStart {
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Answers with a 2xx status once the program is ready. */
  readonly readyUrl: string;
  /** ms; default 60 000 (the machine may be busy). */
  readonly timeout?: number;
}

const LOG_LIMIT = 200_000;

export async function startProgram(start: ProgramStart): Promise<RunningProgram> {
  const [program, ...args] = start.command;
  if (program === undefined) throw new Error('no program');
  const child = spawn(program, args, {
    env: { ...process.env, ...start.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-LOG_LIMIT);
    });
  }
  const running = {
    pid: child.pid ?? 0,
    log: () => log,
    stop: (signal?: NodeJS.Signals) => end(child, signal, 20_000),
  };
  const ready = await waitUntil(
    () => answers(start.readyUrl),
    start.timeout ?? 60_000,
    () => child.exitCode !== null,
  );
  if (!ready) {
    await running.stop('SIGKILL');
    throw new Error(`${start.command.join(' ')}: not ready at ${start.readyUrl}\n${log.slice(-6000)}`);
  }
  return running;
}

/** Polls every 50 ms; false when the time (ms) is over or `abandon` says so. */
export async function waitUntil(
  condition: () => Promise<boolean> | boolean,
  timeout: number,
  abandon: () => boolean = () => false,
): Promise<boolean> {
  const end = performance.now() + timeout;
  while (performance.now() < end && !abandon()) {
    if (await condition()) return true;
    await sleep(50);
  }
  return false;
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** TCP ports of 127.0.0.1 that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    ports.push(address.port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
