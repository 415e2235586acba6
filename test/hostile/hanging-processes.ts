/** Processes that cannot be read (test/clients/hanging.c), and a watch on the agent while they are there. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENTS } from '../clients/build.ts';
import { ACTOR, ANSWER, SERVER, type Stage } from '../e2e/stage.ts';
import { ended } from '../matrix/children.ts';

export type How = 'memory' | 'lock' | 'resolv' | 'fault';

/** More variables than the kernel looks through: the environment has to be read (bpf/process.h). */
const ENVIRONMENT = Array.from({ length: 300 }, (_, i) => `V${i}=x`);

/** A FUSE device that everyone may open, as distributions have it. */
export function fuseDevice(stage: Stage): string {
  const path = join(stage.directory, 'fuse');
  execFileSync('mknod', ['-m', '666', path, 'c', '10', '229']);
  chmodSync(stage.directory, 0o755);
  return path;
}

export interface Whose {
  readonly user?: number;
  /** Directory of the control group; default: that of the tests. */
  readonly group?: string;
}

/** Starts one that asks `name`. It ends with its standard input. */
export async function hang(
  stage: Stage,
  device: string,
  how: How,
  name: string,
  { user = 1000, group }: Whose = {},
): Promise<ChildProcess> {
  const program = [join(CLIENTS, 'hanging'), how, device, SERVER, name, String(user)];
  const enter = group === undefined ? [] : ['sh', '-c', `echo $$ >${group}/cgroup.procs && exec "$@"`, 'sh'];
  const argv = [...enter, 'env', '-i', ...ENVIRONMENT, ...program];
  const child = stage.namespace.spawn(argv, ['pipe', 'pipe', 'inherit']);
  const [line] = await Promise.race([
    once(child.stdout as NodeJS.ReadableStream, 'data'),
    once(child, 'close'),
  ]);
  assert.equal(String(line), 'asked\n', `${how} did not start`);
  return child;
}

export async function release(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) child.stdin?.end();
  for (const child of children) await ended(child, 10_000);
}

/** Of the unified hierarchy; undefined: none is mounted. */
export function cgroupMount(): string | undefined {
  return /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'latin1'))?.[1];
}

/** What the agent did while it was watched. */
export interface Watched {
  /** Samples of its threads, and of those how many were in state D twice in a row. */
  readonly samples: number;
  readonly stuck: number;
  /** Answers of /livez, and the slowest, ms. */
  readonly probes: number;
  readonly slowest: number;
  readonly failed: number;
}

/** Looks every 50 ms whether a thread of the agent hangs, and asks /livez. */
export async function watch(pid: number, health: string, forMs: number): Promise<Watched> {
  const seen = { samples: 0, stuck: 0, probes: 0, slowest: 0, failed: 0 };
  let before = new Set<string>();
  for (const end = performance.now() + forMs; performance.now() < end; await sleep(50)) {
    const waiting = new Set(tasksOf(pid).filter((task) => stateOf(`${pid}/task/${task}`) === 'D'));
    seen.samples++;
    if ([...waiting].some((task) => before.has(task))) seen.stuck++;
    before = waiting;
    const started = performance.now();
    const answer = await fetch(`http://${health}/livez`, { signal: AbortSignal.timeout(2000) }).catch(
      () => undefined,
    );
    seen.probes++;
    if (answer?.status !== 200) seen.failed++;
    seen.slowest = Math.max(seen.slowest, performance.now() - started);
  }
  return seen;
}

function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

export function assertFree({ samples, stuck, probes, failed, slowest }: Watched): void {
  assert.ok(samples > 5 && probes > 5);
  assert.equal(stuck, 0, 'a thread of the agent is in state D');
  assert.equal(failed, 0, `/livez failed ${failed} of ${probes} times`);
  assert.ok(slowest < 1000, `/livez took ${slowest} ms`);
}

/** State letter of a process or thread; undefined: there is none. */
export function stateOf(path: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${path}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2];
  } catch {
    return undefined;
  }
}

/** Supervisor and workers of the agent's inspector. */
export function inspectorsOf(agent: number): number[] {
  const children = (pid: number): number[] => {
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
        .split(' ')
        .filter(Boolean)
        .map(Number);
    } catch {
      return [];
    }
  };
  const named = children(agent).filter((pid) => nameOf(pid) === 'whodns-inspecto');
  return named.flatMap((pid) => [pid, ...children(pid)]);
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return '';
  }
}

/** One lookup of another process, attributed to it completely by the kernel. */
export async function assertVictim(stage: Stage, name: string): Promise<number> {
  const started = performance.now();
  const { exitCode, output } = await stage.namespace.run([ACTOR, 'ask', SERVER, name]);
  assert.equal(exitCode, 0);
  const record = await stage.recordOf(name);
  assert.equal(record.attributes['whodns.attribution'], 'kernel');
  assert.equal(record.attributes['error.type'], undefined);
  assert.deepEqual(record.attributes['dns.answers'], [ANSWER]);
  assert.deepEqual(record.resource['process.executable.path'], ACTOR);
  assert.equal(record.resource['process.pid'], Number(/^\d+/m.exec(output)?.[0]));
  assert.equal(record.resource['process.command'], ACTOR);
  return performance.now() - started;
}
