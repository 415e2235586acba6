/**
 * One group of faults, in a network and mount namespace of its own: `faults-inside.ts GROUP DIRECTORY` prints one JSON line
 * of outcomes. Agents, servers and collectors talk over that loopback only. Hooks see every namespace of the host, so the lookups go to
 * a DNS port of their own, which leaves out what others on this machine ask.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Offered } from '../../bench/load.ts';
import { PROGRAMS } from '../../bench/machine.ts';
import { runJson, start } from '../../bench/processes.ts';
import { FaultAgent } from './fault-agent.ts';
import { type FaultCase, GROUPS, prepare, type Scene } from './fault-cases.ts';

export const PER_SECOND = 2000;
const PORT = String(20_000 + (process.pid % 10_000));
const BEFORE_S = 5;
const AFTER_S = 5;
/** No new record for this long: nothing more comes. */
const SILENCE_MS = 25_000;
const LONGEST_WAIT_MS = 180_000;
/** Before it is killed the agent may hold this much that is not encoded: its batch delay, the ring, a busy machine. */
const UNENCODED_S = 4;

export interface Outcome {
  readonly name: string;
  readonly what: string;
  readonly store: 'spool' | 'memory';
  readonly sent: number;
  /** Lookups that no record arrived of. */
  readonly lost: number;
  /** Of these, asked while the agent was dead, or just before that and not encoded yet. */
  readonly absent: number;
  /** Of these, asked before its death. */
  readonly unencoded: number;
  /** Records that came more than once. */
  readonly duplicated: number;
  readonly doubled: number;
  /** By the agent's own ledger, with reasons. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly missing: number;
  readonly highWater: number;
  /** Lost in the kernel ring, and runs the kernel skipped. */
  readonly ringDrops: number;
  /** Lookups asked while the fault lasted. */
  readonly outageRecords: number;
  /** s from the end of the fault until the last record arrived. */
  readonly catchUpS: number;
  readonly lossIsTold: boolean;
  readonly log: string;
}

interface Run {
  readonly test: FaultCase;
  readonly store: 'spool' | 'memory';
  readonly scene: Scene;
  readonly agent: FaultAgent;
  /** performance.now() */
  faultStarted: number;
  faultEnded: number;
  lastArrival: number;
  seen: number;
  death: { readonly from: number; to: number } | undefined;
}

async function open(test: FaultCase, store: 'spool' | 'memory', base: string): Promise<Run> {
  const directory = join(base, `${test.name}-${store}`);
  mkdirSync(directory, { recursive: true });
  const scene = await test.open(directory);
  const spool = store === 'spool' ? prepare(directory, test.spoolDisk) : undefined;
  const agent = new FaultAgent({ directory, port: PORT, endpoint: scene.endpoint, spool, env: scene.env });
  try {
    await agent.start();
  } catch (error) {
    await scene.stop();
    throw error;
  }
  return {
    test,
    store,
    scene,
    agent,
    faultStarted: 0,
    faultEnded: 0,
    lastArrival: 0,
    seen: 0,
    death: undefined,
  };
}

/** When the agent was not there, as the load generator counts time. */
function watchDeath(run: Run): void {
  const { agent } = run;
  const end = agent.end.bind(agent);
  const start = agent.start.bind(agent);
  agent.end = async (signal) => {
    if (signal === 'SIGKILL') run.death = { from: performance.now(), to: Number.POSITIVE_INFINITY };
    await end(signal);
  };
  agent.start = async () => {
    await start();
    if (run.death !== undefined) run.death.to = performance.now();
  };
}

async function misbehave(run: Run): Promise<void> {
  await sleep(BEFORE_S * 1000);
  run.faultStarted = performance.now();
  await run.scene.fault(run.agent);
  run.faultEnded = performance.now();
}

/** Until everything is there, or nothing more comes. */
async function settle(run: Run, pid: number, sent: number): Promise<void> {
  const deadline = performance.now() + LONGEST_WAIT_MS;
  run.lastArrival = performance.now();
  while (performance.now() < deadline && performance.now() - run.lastArrival < SILENCE_MS) {
    const now = run.scene.arrivals().lookups(pid).size;
    if (now > run.seen) run.lastArrival = performance.now();
    run.seen = now;
    if (now >= sent) break;
    run.agent.measure();
    await sleep(200);
  }
}

async function judge(run: Run, pid: number, sent: number, loadStarted: number): Promise<Outcome> {
  const { test, store, scene, agent } = run;
  await agent.end('SIGTERM');
  const { stages, source } = agent.statistics();
  const arrivals = scene.arrivals();
  const lookups = arrivals.lookups(pid);
  const lost = Array.from({ length: sent }, (_, serial) => serial).filter((serial) => !lookups.has(serial));
  const timeOf = (serial: number) => loadStarted + (serial / PER_SECOND) * 1000;
  const { death } = run;
  const from = (death?.from ?? 0) - UNENCODED_S * 1000;
  const to = death === undefined ? 0 : death.to + 1000;
  const absent = lost.map(timeOf).filter((time) => time > from && time < to);
  await scene.stop();
  const sink = stages.find(({ name }) => name === 'sink:otlp');
  const drops = Object.values(source.drops).reduce((sum, count) => sum + count, 0);
  return {
    name: test.name,
    what: test.what,
    store,
    sent,
    lost: lost.length,
    absent: absent.length,
    unencoded: absent.filter((time) => time < (death?.from ?? 0)).length,
    duplicated: arrivals.duplicates(pid),
    doubled: arrivals.doubled(pid),
    dropped: sink?.dropped ?? {},
    missing: stages.reduce((sum, stage) => sum + Math.abs(stage.missing), 0),
    highWater: agent.highWater,
    ringDrops: drops + source.missedRuns,
    outageRecords: ((run.faultEnded - run.faultStarted) / 1000) * PER_SECOND,
    catchUpS: Math.max(run.lastArrival - run.faultEnded, 0) / 1000,
    lossIsTold: test.lossIsTold === true,
    log: agent.log.slice(-3000),
  };
}

const [group = '', base = ''] = process.argv.slice(2);
const cases = GROUPS[group];
if (cases === undefined)
  throw new Error(`usage: faults-inside.ts ${Object.keys(GROUPS).join('|')} DIRECTORY`);
const responder = await start(join(PROGRAMS, 'responder'), ['127.0.0.1', PORT], { ready: /^ready$/m });
const runs: Run[] = [];

async function measure(): Promise<Outcome[]> {
  for (const test of cases ?? []) for (const store of test.stores) runs.push(await open(test, store, base));
  for (const run of runs) if (run.test.agentDies) watchDeath(run);
  const faultSeconds = Math.max(...runs.map(({ test }) => test.faultSeconds));
  const loadStarted = performance.now();
  const words = ['rate', '127.0.0.1', PORT, PER_SECOND, BEFORE_S + faultSeconds + AFTER_S, 0, 16].map(String);
  const load = runJson<Offered>(join(PROGRAMS, 'load'), words);
  await Promise.all(runs.map(misbehave));
  const { pid, sent } = await load;
  await Promise.all(runs.map((run) => settle(run, pid, sent)));
  const outcomes: Outcome[] = [];
  for (const run of runs) outcomes.push(await judge(run, pid, sent, loadStarted));
  return outcomes;
}

let exitCode = 0;
try {
  console.log(JSON.stringify(await measure()));
} catch (error) {
  console.error(error);
  exitCode = 1;
} finally {
  for (const { agent, scene } of runs) {
    await agent.end('SIGKILL');
    await scene.stop();
  }
  await responder.stop();
}
process.exit(exitCode);
