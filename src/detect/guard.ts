/**
 * Runs one detector, and switches it off when it throws or is too slow. A call that does not return cannot be ended: there is
 * one thread, and what runs in it is code that the operator chose.
 *
 * Two clocks: every event is timed as a whole (detections.ts), and where that took long each detector is timed for itself for
 * a while; besides, one event of 64 is timed so always. So a detector that is slow now and then is found, and one that is
 * a bit slow all the time, for the price of two clock readings an event.
 */
import type { Stage } from '../health.ts';
import type { Log } from '../lib/log.ts';
import type { Detector, DetectorContext, DetectorEvent, Finding } from './detector.ts';
import { isFinding } from './finding.ts';

/** A single call that takes longer is an overrun. Node's collector and the scheduler make pauses of some ms of their own. */
export const LONGEST_CALL_MS = 25;
const MOST_OVERRUNS = 3;
/** A detector most of whose calls take longer costs too much (the agent itself takes some 10 us a lookup). */
export const LONGEST_USUAL_MS = 0.25;
/** Timed calls that are judged together. */
const JUDGED_CALLS = 64;

/** Reasons of the stage `detector:NAME`. */
export const DETECTOR_DROPS = {
  threw: 'the call threw',
  off: 'the detector was switched off before',
} as const;

export class Guarded {
  readonly detector: Detector;
  /** in = events offered, out = calls that returned, dropped `threw` and, once it is off, `off`. */
  readonly #stage: Stage;
  readonly #context: DetectorContext<unknown>;
  readonly #log: Log;
  #isOff = false;
  #overruns = 0;
  #timed = 0;
  #slow = 0;

  constructor(detector: Detector, context: DetectorContext<unknown>, stage: Stage, log: Log) {
    this.detector = detector;
    this.#context = context;
    this.#stage = stage;
    this.#log = log;
  }

  get isOff(): boolean {
    return this.#isOff;
  }

  run(event: DetectorEvent): Finding | undefined {
    this.#stage.in++;
    if (this.#isOff) {
      this.#stage.drop('off' satisfies keyof typeof DETECTOR_DROPS);
      return undefined;
    }
    try {
      const found: unknown = this.detector.onEvent(event, this.#context);
      this.#stage.out++;
      return found === undefined ? undefined : this.#checked(found);
    } catch (error) {
      this.#stage.drop('threw' satisfies keyof typeof DETECTOR_DROPS);
      this.#off(`it threw: ${textOf(error)}`);
      return undefined;
    }
  }

  runTimed(event: DetectorEvent): Finding | undefined {
    if (this.#isOff) return this.run(event);
    const start = performance.now();
    const found = this.run(event);
    this.#took(performance.now() - start);
    return found;
  }

  /** For what goes wrong with a finding after the call. */
  refuse(reason: string): void {
    this.#off(reason);
  }

  #checked(found: unknown): Finding | undefined {
    if (isFinding(found)) return found;
    // Of an asynchronous function: nobody waits for it, and its failure must not end the agent.
    if (found instanceof Promise) found.catch(() => undefined);
    this.#off('what it returned is not a finding');
    return undefined;
  }

  /** The thread itself may be kept waiting, by the scheduler or a collection: a few calls that took long say nothing. */
  #took(ms: number): void {
    this.#timed++;
    if (ms > LONGEST_CALL_MS) this.#overruns++;
    if (ms > LONGEST_USUAL_MS) this.#slow++;
    if (this.#overruns >= MOST_OVERRUNS)
      this.#off(`${this.#overruns} of ${this.#timed} calls took more than ${LONGEST_CALL_MS} ms each`);
    if (this.#timed < JUDGED_CALLS) return;
    if (this.#slow > JUDGED_CALLS / 2)
      this.#off(`most of its calls take more than ${LONGEST_USUAL_MS * 1000} us`);
    this.#timed = 0;
    this.#slow = 0;
    this.#overruns = 0;
  }

  #off(reason: string): void {
    if (this.#isOff) return;
    this.#isOff = true;
    this.#log.error(`detector ${this.detector.name} is switched off: ${reason}`);
  }
}

/** An error of someone else's code: anything may be thrown, and its text may throw again. */
export function textOf(error: unknown): string {
  try {
    return (error instanceof Error ? error.message : String(error)).slice(0, 500);
  } catch {
    return 'something that cannot be shown';
  }
}
