/**
 * What the agent itself may have lost of the answers, and when: so that a lookup whose answer may be among it is `unknown`, not
 * a `timeout`. As narrow as it is known: one connection, one workload (cgroup), or everyone.
 *
 * Counters that only say how many (the kernel's drops) are read when a time-out is judged: what came since the last reading
 * was lost between the two.
 */
import { RecentKeys } from '../lib/recent-keys.ts';
import type { SourceStats, UnknownReason } from '../model.ts';
import { Envelope, type RawHead } from './envelope.ts';
import { serverKey, wayKey } from './keys.ts';

/** One counter of what was lost, since the start. */
export interface LossCount {
  readonly reason: UnknownReason;
  /** Whose answers; undefined: it is not known. */
  readonly cgroupId?: bigint;
  readonly count: number;
}

/** Unix ns as a number: exact to 256 ns. */
interface Interval {
  from: number;
  to: number;
  readonly reason: UnknownReason;
}

/** Intervals of one workload kept apart; beyond it the two oldest become one. */
const MAX_INTERVALS = 64;
const MAX_WORKLOADS = 4096;
const CONNECTIONS = 4096;

export interface LossesOptions {
  /** Losses older than this are of no interest, ns: the time-out of a lookup and some more. */
  readonly keepNs: number;
  /** All counters there are. */
  readonly read?: () => readonly LossCount[];
  /** Unix ns; called with `read`. */
  readonly now?: () => bigint;
}

export class Losses {
  readonly #options: LossesOptions;
  readonly #everyone: Interval[] = [];
  /** In the order of their last loss. */
  readonly #workloads = new Map<bigint, Interval[]>();
  readonly #counts = new Map<string, number>();
  readonly #way = new Envelope();
  readonly #connections = new RecentKeys(CONNECTIONS);
  readonly #connectionTimes = new Float64Array(CONNECTIONS);
  readonly #connectionReasons = new Array<UnknownReason | undefined>(CONNECTIONS).fill(undefined);
  #read = Number.NEGATIVE_INFINITY;

  constructor(options: LossesOptions) {
    this.#options = options;
  }

  /** Reads the counters. Called when time passes, and by `of` where they were not read since. */
  refresh(): void {
    const { read, now } = this.#options;
    if (read === undefined || now === undefined) return;
    const from = this.#read;
    for (const { reason, cgroupId, count } of read()) {
      const key = `${reason} ${cgroupId ?? ''}`;
      const before = this.#counts.get(key) ?? 0;
      if (count === before) continue;
      this.#counts.set(key, count);
      this.note(reason, Math.max(from, 0), Number(now()), cgroupId);
    }
    this.#read = Number(now());
  }

  /** Something was lost between these times (Unix ns), of this workload or of anyone. */
  note(reason: UnknownReason, from: number, to: number, cgroupId?: bigint): void {
    const intervals = cgroupId === undefined ? this.#everyone : this.#ofWorkload(cgroupId);
    const last = intervals.at(-1);
    if (last?.reason === reason && last.to >= from) last.to = Math.max(last.to, to);
    else intervals.push({ from, to, reason });
    const [first, second] = intervals;
    if (first === undefined || second === undefined) return;
    if (first.to < to - this.#options.keepNs) intervals.shift();
    else if (intervals.length > MAX_INTERVALS) {
      second.from = Math.min(first.from, second.from);
      intervals.shift();
    }
  }

  /** Bytes of an answer on this connection, or of this exchange, were lost. @param raw of either direction; @param at Unix ns */
  noteConnection(raw: RawHead, reason: UnknownReason, at = raw.time): void {
    const way = raw instanceof Envelope ? raw : this.#way.fill(raw);
    const slot = this.#connections.set(wayKey(way), serverKey(way), wayKey(way));
    this.#connectionTimes[slot] = Number(at);
    this.#connectionReasons[slot] = reason;
  }

  /** Why an answer to what was sent in these ways may have been lost before `to` (Unix ns); undefined: nothing was. */
  of(ways: readonly Envelope[], from: number, to: number): UnknownReason | undefined {
    if (this.#read < to) this.refresh();
    for (const way of ways) {
      const slot = this.#connections.find(wayKey(way), serverKey(way));
      if (slot >= 0 && (this.#connectionTimes[slot] as number) >= from) return this.#connectionReasons[slot];
    }
    const cgroupId = ways[0]?.owner?.cgroupId;
    const own = cgroupId === undefined ? undefined : this.#workloads.get(cgroupId);
    return (own === undefined ? undefined : reasonIn(own, from, to)) ?? reasonIn(this.#everyone, from, to);
  }

  #ofWorkload(cgroupId: bigint): Interval[] {
    const known = this.#workloads.get(cgroupId) ?? [];
    this.#workloads.delete(cgroupId);
    this.#workloads.set(cgroupId, known);
    if (this.#workloads.size > MAX_WORKLOADS)
      for (const oldest of this.#workloads.keys()) {
        this.#workloads.delete(oldest);
        break;
      }
    return known;
  }
}

function reasonIn(intervals: readonly Interval[], from: number, to: number): UnknownReason | undefined {
  for (let i = intervals.length - 1; i >= 0; i--) {
    const interval = intervals[i] as Interval;
    if (interval.to >= from && interval.from <= to) return interval.reason;
  }
  return undefined;
}

/** What is asked of a source (capture/source.ts). */
interface LossSource {
  stats(): Pick<SourceStats, 'drops' | 'missedRuns'>;
  suppressedAnswers?(total: number): readonly { readonly cgroupId: bigint; readonly count: number }[];
}

/** What a source says it lost of the answers. Most of its counters do not say whose. */
export function lossCounts(source: LossSource): readonly LossCount[] {
  const { drops, missedRuns } = source.stats();
  const suppressed = drops['response_suppressed'] ?? 0;
  const bySharer = suppressed === 0 ? [] : (source.suppressedAnswers?.(suppressed) ?? []);
  return [
    { reason: 'ring_full', count: drops['response_ring_full'] ?? 0 },
    { reason: 'missed_run', count: missedRuns },
    ...bySharer.map((each) => ({ reason: 'kernel_budget' as const, ...each })),
  ];
}
