/** Says a finding once for the same process and subject, then counts for a while. */
import { BoundedMap } from '../lib/bounded-map.ts';
import type { DetectorEvent } from './detector.ts';
import { holderOf } from './subjects.ts';

/** (rule, process, subject) remembered at once; the oldest is forgotten, its finding may come again. */
const MOST_REMEMBERED = 8192;
/** Findings at once, and a second, of all rules: a program may start a thousand processes that each deserve one. */
const BURST = 200;
const PER_SECOND = 5;
/** When half of them are gone a user of a workload gets so many of the rest, and his part of what comes back. */
const SCARCE = BURST / 2;
const OWN_BURST = BURST / 8;
const OWN_PER_SECOND = PER_SECOND / 2;
const MOST_OWNERS = 1024;

export class Cooldown {
  readonly #ms: number;
  readonly #remembered = new BoundedMap<string, { until: number; suppressed: number }>(MOST_REMEMBERED);
  /** Findings of each user of a workload, less what a time without any takes off. */
  readonly #owners = new BoundedMap<string, { spent: number; at: number }>(MOST_OWNERS);
  #tokens = BURST;
  #filled = Number.NEGATIVE_INFINITY;

  constructor(ms: number) {
    this.#ms = ms;
  }

  /** How many like it were suppressed before when it is to go out; else why not. */
  admit(rule: string, event: DetectorEvent, subject: string): number | 'cooldown' | 'limit' {
    const { process, at } = event;
    const key = `${rule}\0${process.pid}\0${process.startTime}\0${subject}`;
    const known = this.#remembered.get(key);
    if (known !== undefined && at < known.until) {
      known.suppressed++;
      return 'cooldown';
    }
    if (!this.#take(event)) return 'limit';
    this.#remembered.set(key, { until: at + this.#ms, suppressed: 0 });
    return known?.suppressed ?? 0;
  }

  #take(event: DetectorEvent): boolean {
    const { at } = event;
    const seconds = Math.max((at - this.#filled) / 1000, 0);
    this.#tokens = Math.min(this.#tokens + seconds * PER_SECOND, BURST);
    this.#filled = Math.max(this.#filled, at);
    const { cgroupId, uid } = holderOf(event);
    const key = `${cgroupId} ${uid}`;
    const owner = this.#owners.get(key) ?? { spent: 0, at };
    owner.spent = Math.max(owner.spent - (Math.max(at - owner.at, 0) / 1000) * OWN_PER_SECOND, 0);
    owner.at = Math.max(at, owner.at);
    this.#owners.set(key, owner);
    if (this.#tokens < 1 || (this.#tokens <= SCARCE && owner.spent >= OWN_BURST)) return false;
    this.#tokens--;
    owner.spent++;
    return true;
  }
}
