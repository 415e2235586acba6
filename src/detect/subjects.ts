/**
 * One small object for each process that events come from: the state that detectors keep of a process hangs on it, so all of
 * it is bounded at one place and goes at once. A process is known by pid and start time; where there is none (a capture
 * file) the client's address takes its place.
 */
import { FairMap } from '../lib/fair-map.ts';
import type { Fairness, HolderId } from '../lib/fairness.ts';
import type { DetectorEvent, PerProcess } from './detector.ts';

export interface Subject {
  readonly startTime: bigint;
  readonly slots: (object | undefined)[];
}

export class Subjects {
  readonly #subjects: FairMap<number | string, Subject>;
  #slots = 0;
  #event: DetectorEvent | undefined = undefined;
  #subject: Subject | undefined = undefined;

  /** @param most processes at once; the one not seen for longest of the user who has most is forgotten */
  constructor(max: number, fairness?: Fairness) {
    this.#subjects = new FairMap(max, { fairness, reason: 'subjects_full' });
  }

  get size(): number {
    return this.#subjects.size;
  }

  /** Several detectors ask for the same event. */
  of(event: DetectorEvent): Subject {
    if (event !== this.#event) {
      this.#event = event;
      this.#subject = this.#find(event);
    }
    return this.#subject as Subject;
  }

  #find(event: DetectorEvent): Subject {
    const { process } = event;
    const key = process.pid === 0 ? addressOf(event) : process.pid;
    const known = this.#subjects.get(key);
    if (known !== undefined && known.startTime === process.startTime) return known;
    const subject = { startTime: process.startTime, slots: [] };
    this.#subjects.set(key, subject, holderOf(event));
    return subject;
  }

  perProcess<T extends object>(make: () => T): PerProcess<T> {
    const slot = this.#slots++;
    return {
      of: (event) => {
        const { slots } = this.of(event);
        // What is in the slot was made by this `make` alone.
        const known = slots[slot] as T | undefined;
        if (known !== undefined) return known;
        const made = make();
        slots[slot] = made;
        return made;
      },
    };
  }
}

/** Whose share of the processes it is; all processes of a user are one owner. */
export function holderOf(event: DetectorEvent): HolderId {
  const owner = event.kind === 'lookup' ? event.lookup.request.raw.owner : event.connection.owner;
  return owner === undefined ? NO_OWNER : { pid: 0, uid: owner.uid, cgroupId: owner.cgroupId };
}

const NO_OWNER: HolderId = { pid: 0, uid: 0, cgroupId: 0n };

function addressOf(event: DetectorEvent): string {
  return event.kind === 'lookup' ? event.lookup.request.raw.local.address : event.connection.local.address;
}
