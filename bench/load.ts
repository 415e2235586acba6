/** The load generators of this directory and test/clients: DNS on 127.0.0.1. */
import { join } from 'node:path';
import { PROGRAMS } from './machine.ts';
import { type Running, runJson, start } from './processes.ts';

const ADDRESS = '127.0.0.1';
const PORT = '53';

export interface Served {
  readonly pid: number;
  readonly received: number;
  readonly answered: number;
  /** What its receive buffer could not hold. */
  readonly dropped: number;
}

export interface Server {
  stop(): Promise<Served>;
}

/** Starts the trivial responder. */
export async function startResponder(
  words: readonly ('silent' | 'spin')[] = [],
  cpus?: string,
): Promise<Server> {
  const server: Running = await start(join(PROGRAMS, 'responder'), [ADDRESS, PORT, ...words], {
    ready: /^ready$/m,
    ...(cpus === undefined ? {} : { cpus }),
  });
  return { stop: async () => JSON.parse((await server.stop()).replace(/^ready\n/, '')) as Served };
}

export interface Offered {
  readonly pid: number;
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  readonly seconds: number;
}

export interface RateRequest {
  readonly perSecond: number;
  readonly seconds: number;
  /** Different names; 0 = every query its own. */
  readonly names?: number;
  readonly sockets?: number;
  readonly cpus?: string;
}

/** Queries at a fixed rate, whatever comes back. */
export function offer({
  perSecond,
  seconds,
  names = 10_000,
  sockets = 16,
  cpus,
}: RateRequest): Promise<Offered> {
  const words = ['rate', ADDRESS, PORT, perSecond, seconds, names, sockets].map(String);
  return runJson<Offered>(join(PROGRAMS, 'load'), words, cpus === undefined ? {} : { cpus });
}

export interface RoundTrips {
  readonly count: number;
  readonly lost: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** One query after the other, `gapUs` between an answer and the next query; times in ns. */
export function roundTrips(count: number, gapUs: number, cpus?: string): Promise<RoundTrips> {
  const words = ['round-trips', ADDRESS, PORT, String(count), String(gapUs)];
  return runJson<RoundTrips>(join(PROGRAMS, 'load'), words, cpus === undefined ? {} : { cpus });
}

/** One query each from `count` new processes. */
export function processes(count: number): Promise<{ readonly processes: number; readonly failed: number }> {
  return runJson(join(PROGRAMS, 'load'), ['processes', ADDRESS, PORT, String(count)]);
}

export interface Flood {
  readonly pid: number;
  readonly sent: number;
  readonly failed: number;
  readonly seconds: number;
}

/** sendmmsg at up to `perSecond` (0 = no limit) from `threads` threads. */
export function flood(perSecond: number, seconds: number, threads: number): Promise<Flood> {
  const words = [ADDRESS, PORT, perSecond, seconds, threads].map(String);
  return runJson<Flood>(join(PROGRAMS, 'flood'), words);
}

export interface CallCost {
  /** Mean of each round. */
  readonly ns: readonly number[];
  /** Median of each round, time-stamp counter. */
  readonly ticks: readonly number[];
}

export type Call = 'send' | 'sendto' | 'getpgid';

/** The cost of one system call; `port` for the sends. */
export function calls(
  call: Call,
  port: number,
  count: number,
  rounds: number,
  cpus?: string,
): Promise<CallCost> {
  const words = call === 'getpgid' ? [call, count, rounds] : [call, port, count, rounds];
  return runJson<CallCost>(join(PROGRAMS, 'calls'), words.map(String), cpus === undefined ? {} : { cpus });
}
