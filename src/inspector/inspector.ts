/**
 * The only way to what belongs to other processes: a small process of its own (native/inspector/) opens and reads, this end asks. One
 * worker serves one request after the other. One that does not answer soon keeps nobody else waiting, another takes its turn; one that
 * does not answer in time is killed and left behind. As long as it has not ended (state D) it keeps its place. When all places are kept,
 * requests fail at once and the agent goes on with what the kernel has said.
 */
import type { Log } from '../lib/log.ts';
import { nativeFile } from '../lib/package-files.ts';
import type { Owner } from '../model.ts';
import { Channel } from './channel.ts';
import { FairQueue } from './fair-queue.ts';
import { Pauses } from './pauses.ts';
import {
  ANYONE,
  type Device,
  decodeAlive,
  decodeInspect,
  encodeAlive,
  encodeInspect,
  MAX_ALIVE,
  MAX_REQUEST_BYTES,
  NS_PER_TICK,
  PLACES,
  type Read,
  type ReadResult,
} from './protocol.ts';

/** Requests that wait: all, and those of one control group. */
const MAX_QUEUED = 1024;
const MAX_QUEUED_EACH = 256;
/**
 * Time is counted in turns of the event loop's own clock: while the agent is kept from running, answers that have come lie unread and no
 * worker is to blame.
 */
const TURN_MS = 50;
/** After so many turns another worker takes over what waits (100 to 150 ms). */
const OVERDUE_TURNS = 3;
/** After this time it is given up. */
const DEADLINE_MS = 1000;
/** Places that one control group may keep, and one user in it (a host without control groups has one for all). */
const MAX_KEPT_GROUP = PLACES - 2;
const MAX_KEPT_USER = PLACES / 2;

/** Whom a request is about, and whose share it is. A start time of 0n: whoever has the pid. */
export type Target = Pick<Owner, 'pid' | 'startTime' | 'cgroupId' | 'uid'>;

export interface InspectOptions {
  /** The process must be in this mount namespace; default: any. */
  readonly mountNamespace?: number;
  /** File systems whose mapped files may be read as memory; default: none. */
  readonly devices?: readonly Device[];
  /** For what takes the kernel longer; default: a second. */
  readonly deadlineMs?: number;
}

/** requests = answered + gone + the failures + those waiting. */
export interface InspectorCounts {
  requests: number;
  answered: number;
  /** The process had ended, or was another. */
  gone: number;
  /** Failures: the worker was given up; it ended by itself; the asked process or workload made one hang before; no room in the queue;
   * all places are kept by workers that hang; there is no inspector. */
  timeout: number;
  crashed: number;
  paused: number;
  overflow: number;
  stuck: number;
  unavailable: number;
}

export interface InspectorStats extends Readonly<InspectorCounts> {
  readonly waiting: number;
  /** Workers that were given up and have not ended. */
  readonly hanging: number;
}

interface Job extends Target {
  readonly request: Buffer;
  readonly deadlineMs: number;
  readonly resolve: (answer: Buffer | undefined) => void;
}

type Place =
  | { readonly state: 'free' }
  | { readonly state: 'busy'; readonly job: Job; turns: number }
  /** Killed. */
  | { readonly state: 'kept'; readonly job: Job };

const FREE: Place = { state: 'free' };
/** Of what nobody in particular is asked about. */
const NOBODY: Target = { pid: 0, startTime: 0n, cgroupId: 0n, uid: 0 };

export interface InspectorOptions {
  readonly log: Log;
  readonly procRoot?: string;
  readonly program?: string;
}

export class Inspector {
  readonly #channel: Channel;
  readonly #log: Log;
  readonly #queue = new FairQueue<Job>(MAX_QUEUED, MAX_QUEUED_EACH);
  readonly #places: Place[] = Array.from({ length: PLACES }, () => FREE);
  readonly #pauses = new Pauses();
  readonly #counts: InspectorCounts = {
    requests: 0,
    answered: 0,
    gone: 0,
    timeout: 0,
    crashed: 0,
    paused: 0,
    overflow: 0,
    stuck: 0,
    unavailable: 0,
  };
  #clock: NodeJS.Timeout | undefined;
  #isOpen = true;
  #warned = false;

  private constructor({
    log,
    procRoot = '/proc',
    program = nativeFile('whodns-inspector'),
  }: InspectorOptions) {
    this.#log = log;
    this.#channel = new Channel({
      program,
      procRoot,
      onMessage: (place, answer) => this.#message(place, answer),
      onEnd: (reason) => {
        this.#log.warn(
          `no inspector (${reason}): nothing is read of processes besides what the kernel tells of them`,
        );
        this.#fail();
      },
    });
  }

  /** It has the rights that the program has now, and keeps of them those that reading takes. */
  static start(options: InspectorOptions): Inspector {
    return new Inspector(options);
  }

  /** pid of the supervisor. */
  get pid(): number | undefined {
    return this.#channel.pid;
  }

  stats(): InspectorStats {
    const busy = this.#places.filter(({ state }) => state === 'busy').length;
    const hanging = this.#places.filter(({ state }) => state === 'kept').length;
    return { ...this.#counts, waiting: this.#queue.size + busy, hanging };
  }

  /**
   * Reads all of it in one go, of a process that is still the same. undefined: the process is gone or another (pid, start time), or
   * the inspector cannot be asked, or did not answer in time.
   */
  async inspect(
    target: Target,
    reads: readonly Read[],
    { mountNamespace = 0, devices = [], deadlineMs = DEADLINE_MS }: InspectOptions = {},
  ): Promise<readonly ReadResult[] | undefined> {
    const { pid, startTime } = target;
    const startTicks = startTime === 0n ? ANYONE : startTime / NS_PER_TICK;
    const answer = await this.#ask(
      target,
      encodeInspect({ pid, startTicks, mountNamespace, devices, reads }),
      deadlineMs,
    );
    if (answer === undefined) return undefined;
    const results = decodeInspect(answer, reads.length);
    this.#counts[results === undefined ? 'gone' : 'answered']++;
    return results;
  }

  /** Which of them still exist, at most MAX_ALIVE; undefined: not known. */
  async alive(
    processes: readonly Pick<Owner, 'pid' | 'startTime'>[],
  ): Promise<readonly boolean[] | undefined> {
    const asked = processes
      .slice(0, MAX_ALIVE)
      .map(({ pid, startTime }) => ({ pid, startTicks: startTime / NS_PER_TICK }));
    const answer = await this.#ask(NOBODY, encodeAlive(asked), DEADLINE_MS);
    if (answer === undefined) return undefined;
    this.#counts.answered++;
    return decodeAlive(answer);
  }

  /** Whether a request about it would be refused at once. */
  refuses(target: Target): boolean {
    return this.#refusal(target) !== undefined;
  }

  /** What waits fails. A worker that hangs is not waited for. Resolves when the supervisor has ended. */
  async close(): Promise<void> {
    if (!this.#isOpen) return;
    const ended = this.#channel.close();
    this.#fail();
    await ended;
  }

  #ask(target: Target, request: Buffer, deadlineMs: number): Promise<Buffer | undefined> {
    this.#counts.requests++;
    const refusal = request.length > MAX_REQUEST_BYTES ? 'overflow' : this.#refusal(target);
    if (refusal !== undefined) {
      this.#counts[refusal]++;
      return Promise.resolve(undefined);
    }
    const { pid, startTime, cgroupId, uid } = target;
    return new Promise((resolve) => {
      const refused = this.#queue.push({ pid, startTime, cgroupId, uid, request, deadlineMs, resolve });
      if (refused !== undefined) this.#drop(refused, 'overflow');
      this.#dispatch();
    });
  }

  #refusal(target: Target): 'unavailable' | 'paused' | 'stuck' | undefined {
    if (!this.#isOpen) return 'unavailable';
    if (this.#places.every(({ state }) => state === 'kept')) return 'stuck';
    return this.#pauses.isPaused(target, performance.now()) || this.#keepsMost(target) ? 'paused' : undefined;
  }

  /** Its workload has its share of the places already. */
  #keepsMost(target: Target): boolean {
    if (target.pid === 0) return false;
    const { cgroupId, uid } = target;
    const kept = this.#places.filter(isKept).map(({ job }) => job);
    const group = kept.filter((job) => job.cgroupId === cgroupId);
    // Root has many workloads, any other user is one.
    const user = uid === 0 ? group.filter((job) => job.uid === 0) : kept.filter((job) => job.uid === uid);
    return group.length >= MAX_KEPT_GROUP || user.length >= MAX_KEPT_USER;
  }

  #dispatch(): void {
    while (this.#queue.size > 0 && !this.#places.some(isInTime)) {
      const index = this.#places.findIndex(({ state }) => state === 'free');
      if (index < 0 && !this.#places.every(({ state }) => state === 'kept')) return; // one of them may still answer
      const job = this.#queue.shift();
      if (job === undefined) return;
      const refusal = this.#refusal(job);
      if (refusal !== undefined) {
        this.#drop(job, refusal);
        continue;
      }
      this.#places[index] = { state: 'busy', job, turns: 0 };
      this.#channel.send(index, job.request);
      this.#channel.hold(true);
      this.#clock ??= setInterval(() => this.#turn(), TURN_MS).unref();
    }
  }

  #message(index: number, answer: Buffer | undefined): void {
    const place = this.#places[index];
    if (place === undefined) return;
    // A worker that was killed may have answered just before: too late.
    if (answer !== undefined && place.state === 'kept') return;
    this.#places[index] = FREE;
    if (place.state === 'busy') {
      if (answer === undefined) this.#drop(place.job, 'crashed');
      else place.job.resolve(answer);
    }
    this.#dispatch();
    if (this.#places.some(({ state }) => state === 'busy')) return;
    this.#channel.hold(false);
    clearInterval(this.#clock);
    this.#clock = undefined;
  }

  #turn(): void {
    this.#places.forEach((place, index) => {
      if (place.state !== 'busy' || ++place.turns * TURN_MS < place.job.deadlineMs) return;
      this.#places[index] = { state: 'kept', job: place.job };
      this.#channel.kill(index);
      this.#pauses.strike(place.job, performance.now());
      this.#warn(place.job);
      this.#drop(place.job, 'timeout');
    });
    this.#dispatch();
    if (!this.#places.some(({ state }) => state === 'busy')) this.#channel.hold(false);
  }

  #warn({ pid, uid }: Job): void {
    this.#log.debug(`process ${pid} of user ${uid} did not let itself be read within a second: left alone`);
    if (this.#warned || this.#places.some(({ state }) => state !== 'kept')) return;
    this.#warned = true;
    this.#log.warn(
      `${PLACES} inspectors hang in reading other processes: nothing more is read of any until one has ended`,
    );
  }

  #drop(job: Job, reason: keyof InspectorCounts): void {
    this.#counts[reason]++;
    job.resolve(undefined);
  }

  #fail(): void {
    this.#isOpen = false;
    clearInterval(this.#clock);
    this.#clock = undefined;
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift())
      this.#drop(job, 'unavailable');
    this.#places.forEach((place, index) => {
      this.#places[index] = FREE;
      if (place.state === 'busy') this.#drop(place.job, 'unavailable');
    });
  }
}

/** It serves the request that it was given a moment ago: the next one waits for it. */
function isInTime(place: Place): boolean {
  return place.state === 'busy' && place.turns < OVERDUE_TURNS;
}

/** By a worker that does not answer. */
function isKept(place: Place): place is Exclude<Place, { state: 'free' }> {
  return place.state === 'kept' || (place.state === 'busy' && place.turns >= OVERDUE_TURNS);
}
