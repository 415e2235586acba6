/**
 * One small object for each process that events come from: the state that detectors keep of a process hangs on it, so all of
 * it is bounded at one place and goes at once. A process is known by pid and start time; where there is none (a capture
 * file) the client's address takes its place. When there are too many, the control group that has most loses one: a workload of
 * thousands of processes makes the detectors forget nobody else's.
 */
import type { DetectorEvent, PerProcess } from './detector.ts';
import { ownerOf } from './owner.ts';

export interface Subject {
  readonly startTime: bigint;
  readonly slots: (object | undefined)[];
}

type Key = number | string;

interface Group {
  readonly cgroup: bigint;
  /** The one not seen for longest first. */
  readonly keys: Set<Key>;
}

interface Place {
  readonly subject: Subject;
  /** Where it was first seen: a process that moves stays there. */
  readonly group: Group;
}

export class Subjects {
  readonly #most: number;
  readonly #places = new Map<Key, Place>();
  /** Without empty ones. */
  readonly #groups = new Map<bigint, Group>();
  #slots = 0;
  #event: DetectorEvent | undefined = undefined;
  #subject: Subject | undefined = undefined;

  /** @param most processes at once */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#places.size;
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
    const known = this.#places.get(key);
    if (known !== undefined && known.subject.startTime === process.startTime) {
      known.group.keys.delete(key);
      known.group.keys.add(key);
      return known.subject;
    }
    if (known !== undefined) this.#forget(key, known.group);
    const cgroup = ownerOf(event)?.cgroupId ?? 0n;
    const group = this.#groups.get(cgroup) ?? { cgroup, keys: new Set() };
    if (this.#places.size >= this.#most) this.#makeRoom(group);
    const subject = { startTime: process.startTime, slots: [] };
    this.#groups.set(cgroup, group);
    group.keys.add(key);
    this.#places.set(key, { subject, group });
    return subject;
  }

  /** The newcomer's own group gives way where it has more than an equal share. */
  #makeRoom(own: Group): void {
    let largest = own;
    if (own.keys.size * this.#groups.size <= this.#most)
      for (const group of this.#groups.values()) if (group.keys.size > largest.keys.size) largest = group;
    for (const key of largest.keys) {
      this.#forget(key, largest);
      return;
    }
  }

  #forget(key: Key, group: Group): void {
    this.#places.delete(key);
    group.keys.delete(key);
    if (group.keys.size === 0) this.#groups.delete(group.cgroup);
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

function addressOf(event: DetectorEvent): string {
  return event.kind === 'lookup' ? event.lookup.request.raw.local.address : event.connection.local.address;
}
