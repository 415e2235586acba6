/**
 * Who made an inspector hang is left alone for a while: the process, which has done it itself, and, from the second time on, its user,
 * who can have many processes. Each time longer. Root's are told apart by their control group.
 */
import { BoundedMap } from '../lib/bounded-map.ts';

const MAX_KNOWN = 4096;
const PROCESS_MS = 10_000;
const WORKLOAD_MS = 1000;
const LONGEST_MS = 3_600_000;
const LONGEST_WORKLOAD_MS = 60_000;
/** So long after the end of a pause nothing is held against anyone. */
const FORGET_MS = 600_000;

/** Whose request it is. */
export interface Origin {
  readonly pid: number;
  readonly startTime: bigint;
  readonly cgroupId: bigint;
  readonly uid: number;
}

interface Pause {
  readonly until: number;
  readonly length: number;
}

export class Pauses {
  readonly #pauses = new BoundedMap<string, Pause>(MAX_KNOWN);

  /** @param now ms, monotonic */
  isPaused(origin: Origin, now: number): boolean {
    return [processKey(origin), ...workloadKeys(origin)].some(
      (key) => (this.#pauses.get(key)?.until ?? 0) > now,
    );
  }

  strike(origin: Origin, now: number): void {
    this.#extend(processKey(origin), now, PROCESS_MS, PROCESS_MS, LONGEST_MS);
    for (const key of workloadKeys(origin)) this.#extend(key, now, 0, WORKLOAD_MS, LONGEST_WORKLOAD_MS);
  }

  #extend(key: string, now: number, first: number, second: number, longest: number): void {
    const before = this.#pauses.get(key);
    const isForgotten = before === undefined || now > before.until + FORGET_MS;
    const length = isForgotten ? first : Math.min(Math.max(before.length * 2, second), longest);
    this.#pauses.set(key, { until: now + length, length });
  }
}

function processKey({ pid, startTime }: Origin): string {
  return `${pid}/${startTime}`;
}

/** Of the user, of everything in the control group that runs as that user. Root as a user is everybody's who needs no other. */
function workloadKeys({ cgroupId, uid }: Origin): string[] {
  return uid === 0 ? [`c${cgroupId}`] : [`c${cgroupId}/${uid}`, `u${uid}`];
}
