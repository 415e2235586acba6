/**
 * Runs one detector, and switches it off for a while when it throws or is too slow. A call that does not return cannot be ended:
 * there is one thread, and what runs in it is code that the operator chose. The process is ended then (turns.ts).
 *
 * Two clocks: every event is timed as a whole by the wall (detections.ts), and where that took long each detector is timed for
 * itself for a while, by what it cost this thread (lib/thread-time.ts): a busy host makes everything slow and nobody guilty.
 * One event of 64 is timed so always. So a detector that is slow now and then is found, and one that is a bit slow all the
 * time, for the price of two clock readings an event.
 */
import type { Stage } from '../ledger.ts';
import type { Log } from '../lib/log.ts';
import { costSince, type ThreadCost, threadTime } from '../lib/thread-time.ts';
import type { Detector, DetectorContext, DetectorEvent, Finding } from './detector.ts';
import { copyOfFinding } from './finding.ts';
import { Later } from './later.ts';
import type { Origin } from './origin.ts';
import { textOf } from './text-of.ts';
import type { Turns } from './turns.ts';

/** A single call that costs more is an overrun. Node's collector makes pauses of some ms of its own. */
export const LONGEST_CALL_MS = 25;
const MAX_OVERRUNS = 3;
/** A detector most of whose calls cost more is too expensive (the agent itself takes some 10 us a lookup). */
export const LONGEST_USUAL_MS = 0.25;
/** Timed calls that are judged together. */
const JUDGED_CALLS = 64;
/** Processor time is told in steps of some 4 ms: what must be exceeded for sure is a bit less. */
const SURELY = 0.75;
/** Pauses double up to this. One that was on for as long begins with the first pause again. */
const LONGEST_PAUSE_MS = 3_600_000;

/** It was switched off, or comes back. */
export interface Change {
  readonly detector: Detector;
  readonly isOff: boolean;
  readonly reason: string;
  /** Unix ms at which it was switched off. */
  readonly since: number;
  /** ms from then on for which it stays off. */
  readonly pauseMs: number;
  /** Events that it did not see. */
  readonly missed: number;
}

export interface GuardOptions {
  readonly context: DetectorContext<unknown>;
  readonly stage: Stage<`detector:${string}`>;
  readonly log: Log;
  /** First pause, in ms. */
  readonly pauseMs: number;
  readonly onChange: (change: Change) => void;
  /** Of a user's detector. */
  readonly origin: Origin | undefined;
  readonly turns: Turns;
}

interface Off {
  readonly reason: string;
  /** Unix ms, for people. */
  readonly since: number;
  /** ms of the monotonic clock. */
  readonly until: number;
}

export class Guarded {
  readonly detector: Detector;
  /** in = events offered, out = calls that returned, dropped `threw`; filtered `off` while it is off. */
  readonly #stage: Stage<`detector:${string}`>;
  readonly #options: GuardOptions;
  readonly #place: number;
  #off: Off | undefined;
  #missed = 0;
  #pauseMs = 0;
  /** When it last came on again. */
  #onSince = Number.NEGATIVE_INFINITY;
  #overruns = 0;
  #timed = 0;
  #slow = 0;
  #charged = 0;

  constructor(detector: Detector, options: GuardOptions) {
    this.detector = detector;
    this.#stage = options.stage;
    this.#options = options;
    this.#place = options.turns.placeOf(detector);
    options.origin?.listen((reason) => this.refuse(reason));
  }

  get isOff(): boolean {
    return this.#off !== undefined;
  }

  run(event: DetectorEvent): Finding | Later | undefined {
    this.#stage.in++;
    if (this.#off !== undefined && !this.#comesBack(this.#off)) {
      this.#missed++;
      this.#stage.filter('off');
      return undefined;
    }
    const { origin, context } = this.#options;
    try {
      const found: unknown =
        origin === undefined
          ? this.detector.onEvent(event, context)
          : this.#ofUser(origin, () => this.detector.onEvent(event, context));
      const outcome = found === undefined ? undefined : this.#checked(found);
      this.#stage.out++;
      return outcome;
    } catch (error) {
      this.#stage.drop('threw');
      this.refuse(`it threw: ${textOf(error)}`);
      return undefined;
    }
  }

  runTimed(event: DetectorEvent): Finding | Later | undefined {
    if (this.#off !== undefined) return this.run(event);
    const before = threadTime();
    const found = this.run(event);
    this.#took(costSince(before));
    return found;
  }

  /** The detector's judgement when a fact has come; undefined also where that fails. */
  decide(later: Later, fact: unknown): Finding | Later | undefined {
    if (this.#off !== undefined) return undefined;
    const { origin } = this.#options;
    const before = threadTime();
    try {
      const decide = (): unknown => later.decide(fact);
      const found = origin === undefined ? decide() : this.#ofUser(origin, decide);
      return found === undefined ? undefined : this.#checked(found);
    } catch (error) {
      this.refuse(`it threw: ${textOf(error)}`);
      return undefined;
    } finally {
      this.#took(costSince(before));
    }
  }

  /** For what goes wrong outside of the calls. */
  refuse(reason: string): void {
    if (this.#off !== undefined) return;
    const { pauseMs: first, log } = this.#options;
    const now = performance.now();
    const isFresh = now - this.#onSince >= LONGEST_PAUSE_MS;
    this.#pauseMs = isFresh ? first : Math.min(this.#pauseMs * 2, Math.max(LONGEST_PAUSE_MS, first));
    this.#off = { reason, since: Date.now(), until: now + this.#pauseMs };
    this.#missed = 0;
    const seconds = Math.ceil(this.#pauseMs / 1000);
    log.error(`detector ${this.detector.name} is switched off for ${seconds} s: ${reason}`);
    this.#tell(this.#off, true);
  }

  #ofUser(origin: Origin, code: () => unknown): unknown {
    return this.#options.turns.during(this.#place, () => origin.run(code));
  }

  #comesBack(off: Off): boolean {
    const now = performance.now();
    if (now < off.until) return false;
    this.#off = undefined;
    this.#onSince = now;
    this.#restart();
    this.#options.log.info(`detector ${this.detector.name} is on again: ${this.#missed} events not seen`);
    this.#tell(off, false);
    return true;
  }

  #tell({ reason, since }: Off, isOff: boolean): void {
    const { detector } = this;
    this.#options.onChange({ detector, isOff, reason, since, pauseMs: this.#pauseMs, missed: this.#missed });
  }

  #checked(found: unknown): Finding | Later | undefined {
    if (found instanceof Later) return found;
    const copy = copyOfFinding(found);
    if (copy !== undefined) return copy;
    // Of an asynchronous function: nobody waits for it, and its failure must not end the agent.
    if (found instanceof Promise) found.catch(() => undefined);
    this.refuse('what it returned is not a finding');
    return undefined;
  }

  #took({ own, charged }: ThreadCost): void {
    if (this.#off !== undefined) return;
    this.#timed++;
    this.#charged += charged;
    if (own > LONGEST_CALL_MS && charged > LONGEST_CALL_MS * SURELY) this.#overruns++;
    if (own > LONGEST_USUAL_MS) this.#slow++;
    if (this.#overruns >= MAX_OVERRUNS)
      this.refuse(`${this.#overruns} of ${this.#timed} calls took more than ${LONGEST_CALL_MS} ms each`);
    if (this.#timed < JUDGED_CALLS) return;
    const isExpensive = this.#charged > JUDGED_CALLS * LONGEST_USUAL_MS * SURELY;
    if (this.#slow > JUDGED_CALLS / 2 && isExpensive)
      this.refuse(`most of its calls take more than ${LONGEST_USUAL_MS * 1000} us`);
    this.#restart();
  }

  #restart(): void {
    this.#timed = 0;
    this.#slow = 0;
    this.#overruns = 0;
    this.#charged = 0;
  }
}
