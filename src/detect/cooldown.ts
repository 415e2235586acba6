/** Says a finding once for the same process and subject, then counts for a while. */
import { BoundedMap } from '../lib/bounded-map.ts';
import type { DetectorEvent } from './detector.ts';

/** (rule, process, subject) remembered at once; the oldest is forgotten, its finding may come again. */
const MOST_REMEMBERED = 8192;
/** Findings at once, and a second, of all rules: a program may start a thousand processes that each deserve one. */
const BURST = 200;
const PER_SECOND = 5;

export class Cooldown {
  readonly #ms: number;
  readonly #remembered = new BoundedMap<string, { until: number; suppressed: number }>(MOST_REMEMBERED);
  #tokens = BURST;
  #filled = Number.NEGATIVE_INFINITY;

  constructor(ms: number) {
    this.#ms = ms;
  }

  /** How many like it were suppressed before when it is to go out; else why not. */
  admit(rule: string, { process, at }: DetectorEvent, subject: string): number | 'cooldown' | 'limit' {
    const key = `${rule}\0${process.pid}\0${process.startTime}\0${subject}`;
    const known = this.#remembered.get(key);
    if (known !== undefined && at < known.until) {
      known.suppressed++;
      return 'cooldown';
    }
    if (!this.#take(at)) return 'limit';
    this.#remembered.set(key, { until: at + this.#ms, suppressed: 0 });
    return known?.suppressed ?? 0;
  }

  #take(at: number): boolean {
    const seconds = Math.max((at - this.#filled) / 1000, 0);
    this.#tokens = Math.min(this.#tokens + seconds * PER_SECOND, BURST);
    this.#filled = Math.max(this.#filled, at);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
