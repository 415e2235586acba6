/**
 * One kind of fact about processes, learnt asynchronously: remembered for a while, one request at a time for a process, some
 * at a time in all. What waits is bounded and served in turn by control group, so a workload with thousands of processes makes
 * nobody but itself wait.
 */
import { BoundedMap } from '../lib/bounded-map.ts';
import type { Owner } from '../model.ts';
import type { DetectorEvent, Outcome } from './detector.ts';
import { Later, NO_FACT } from './later.ts';

const MAX_REMEMBERED = 4096;
/** They share what they can (enrich/process/listening.ts). */
const MAX_READING = 64;
/** Processes waiting for their turn. When full, the newest of the control group that has most gives way. */
const MAX_QUEUED = 1024;
/** Judgements waiting for the fact of one process; more are not made. */
const MAX_WAITING = 64;

export interface FactCacheOptions<T> {
  /** undefined: cannot be learnt. A rejection counts as that. */
  readonly read: (owner: Owner, event: DetectorEvent) => Promise<T | undefined>;
  /** ms of event time for which a fact holds. */
  readonly freshMs: number;
  /** From the question to the answer; a fact that takes longer has not come. */
  readonly deadlineMs: number;
}

interface Known<T> {
  readonly startTime: bigint;
  readonly at: number;
  readonly fact: T | undefined;
}

interface Request {
  readonly owner: Owner;
  /** The first that made it be asked. */
  readonly event: DetectorEvent;
  readonly waiting: ((fact: unknown) => void)[];
  readonly timer: NodeJS.Timeout;
}

export class FactCache<T> {
  readonly #options: FactCacheOptions<T>;
  readonly #known = new BoundedMap<number, Known<T>>(MAX_REMEMBERED);
  /** By pid and start time: queued and being read. */
  readonly #requests = new Map<string, Request>();
  /** By control group, oldest first; the groups in the order of their turns. */
  readonly #queue = new Map<bigint, Request[]>();
  #queued = 0;
  #reading = 0;

  constructor(options: FactCacheOptions<T>) {
    this.#options = options;
  }

  /** What `decide` makes of the fact, at once where it is known. */
  ask(owner: Owner, event: DetectorEvent, decide: (fact: T | undefined) => Outcome): Outcome {
    const known = this.#known.get(owner.pid);
    const isKnown = known?.startTime === owner.startTime && event.at - known.at < this.#options.freshMs;
    if (isKnown) return decide(known.fact);
    return new Later((deliver) => this.#request(owner, event, deliver), decide);
  }

  #request(owner: Owner, event: DetectorEvent, deliver: (fact: unknown) => void): void {
    const key = keyOf(owner);
    const request = this.#requests.get(key);
    if (request === undefined) this.#enqueue(key, owner, event, deliver);
    else if (request.waiting.length < MAX_WAITING) request.waiting.push(deliver);
    else queueMicrotask(() => deliver(NO_FACT));
  }

  #enqueue(key: string, owner: Owner, event: DetectorEvent, deliver: (fact: unknown) => void): void {
    const timer = setTimeout(() => this.#answer(request, NO_FACT), this.#options.deadlineMs).unref();
    const request: Request = { owner, event, waiting: [deliver], timer };
    this.#requests.set(key, request);
    const group = this.#queue.get(owner.cgroupId);
    if (group === undefined) this.#queue.set(owner.cgroupId, [request]);
    else group.push(request);
    this.#queued++;
    if (this.#queued > MAX_QUEUED) this.#giveWay();
    // Not within the call of the detector that asked.
    queueMicrotask(() => this.#next());
  }

  #giveWay(): void {
    const largest = [...this.#queue.values()].reduce((max, group) =>
      group.length > max.length ? group : max,
    );
    const newest = largest.at(-1);
    if (newest !== undefined) queueMicrotask(() => this.#answer(newest, NO_FACT));
  }

  #next(): void {
    while (this.#reading < MAX_READING) {
      const [turn] = this.#queue;
      if (turn === undefined) return;
      const [cgroup, group] = turn;
      const request = group.shift();
      this.#queue.delete(cgroup);
      if (group.length > 0) this.#queue.set(cgroup, group);
      if (request === undefined) continue;
      this.#queued--;
      void this.#read(request);
    }
  }

  async #read(request: Request): Promise<void> {
    this.#reading++;
    const fact = await this.#options.read(request.owner, request.event).catch(() => undefined);
    this.#reading--;
    // It may have come too late for those who asked: it is remembered for the next.
    const { pid, startTime } = request.owner;
    this.#known.set(pid, { startTime, at: request.event.at, fact });
    this.#answer(request, fact);
    this.#next();
  }

  /** Only the first answer counts. */
  #answer(request: Request, fact: unknown): void {
    const key = keyOf(request.owner);
    if (this.#requests.get(key) !== request) return;
    clearTimeout(request.timer);
    this.#requests.delete(key);
    this.#withdraw(request);
    for (const deliver of request.waiting) deliver(fact);
  }

  #withdraw(request: Request): void {
    const { cgroupId } = request.owner;
    const group = this.#queue.get(cgroupId);
    const index = group?.indexOf(request) ?? -1;
    if (group === undefined || index < 0) return;
    group.splice(index, 1);
    this.#queued--;
    if (group.length === 0) this.#queue.delete(cgroupId);
  }
}

function keyOf({ pid, startTime }: Owner): string {
  return `${pid} ${startTime}`;
}
