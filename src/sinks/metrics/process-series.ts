/**
 * The kernel's per-process counters as series of the metric whodns.process.queries. A process that has not asked for
 * `idleNs` is exported a last time and forgotten, here and in the kernel: processes come and go without end. At most
 * `limit` processes have series of their own; the requests of the others are summed in overflow series, and so are those of processes
 * that came and went faster than they are told of: the kernel keeps the sum of all. Whose workload has most series gives one up to a
 * process of a workload that has less: what it counted goes to the overflow series. What a process is called may be known later than its
 * first requests, or change: what was counted under the old attributes stays there, or goes to the overflow series where there is no room,
 * and the new series begins with what comes then, so that no request is in two.
 */
import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import { FairBound, Holding } from '../../lib/fair-bound.ts';
import type { HolderId } from '../../lib/fairness.ts';
import type { Attributes, ExitedCounts, ProcessCount, ProcessIdentity, ProcessKey } from '../../model.ts';
import { measuredOf } from '../../records/lookup-result.ts';
import { PROCESS_ATTRIBUTES } from '../../tables/metrics.ts';
import { OVERFLOW } from './series-table.ts';

export interface ProcessSource {
  processes(): readonly ProcessCount[];
  exited?(): ExitedCounts;
  forget(keys: readonly ProcessKey[]): void;
}

export interface ProcessLimits {
  /** Processes with series of their own. */
  readonly limit: number;
  readonly idleNs: bigint;
}

export const PROCESS_LIMITS: ProcessLimits = { limit: 2000, idleNs: 600_000_000_000n };

/** Series that a process keeps under attributes it no longer has. */
const MAX_EARLIER = 3;
/** Identities seen since the last collection, which takes their attributes; beyond it the longest unused is forgotten. */
const MAX_IDENTITIES = 16_384;

export interface ProcessPoint {
  readonly attributes: Attributes;
  /** Unix ns. */
  readonly start: bigint;
  readonly count: number;
}

/** A point of a process's own series. */
interface OwnPoint extends ProcessPoint {
  readonly of: Known;
}

type Transport = 'udp' | 'tcp';
const TRANSPORTS: readonly Transport[] = ['udp', 'tcp'];

/** Series under attributes that a process no longer has. */
interface Earlier {
  readonly attributes: Attributes;
  readonly start: bigint;
  readonly counts: Readonly<Record<Transport, number>>;
}

class Known extends Holding {
  /** Of the series that it has now. */
  start: bigint;
  /** It has series of its own. */
  own = false;
  /** What they show; of a process that has none, nothing is kept. */
  attributes: Attributes | undefined = undefined;
  earlier: Earlier[] = [];
  /** What is in the earlier series. */
  base: Record<Transport, number> = { udp: 0, tcp: 0 };
  /** The kernel's counters at the last collection. */
  readonly seen: Record<Transport, number> = { udp: 0, tcp: 0 };
  changed: bigint;

  constructor(start: bigint, changed: bigint) {
    super();
    this.start = start;
    this.changed = changed;
  }
}

export class ProcessSeries {
  readonly #source: ProcessSource;
  readonly #limits: ProcessLimits;
  readonly #begin: bigint;
  readonly #known = new Map<string, Known>();
  readonly #identities = new LRUCache<string, ProcessIdentity>({ max: MAX_IDENTITIES });
  /** Those of them that are known by their object. */
  #told = new WeakSet<ProcessIdentity>();
  readonly #overflow: Record<Transport, number> = { udp: 0, tcp: 0 };
  readonly #shares: FairBound<Known>;
  /** Earlier series of all processes. One is made only while these and the ones that they have now are fewer than `limit`. */
  #earlier = 0;
  /** Requests that are in some series. */
  readonly #accounted: Record<Transport, number> = { udp: 0, tcp: 0 };
  /** Counts of processes that live and were forgotten: in no sum of the kernel's. */
  readonly #forgotten: Record<Transport, number> = { udp: 0, tcp: 0 };
  #lastCollection: bigint;

  /** @param start Unix ns */
  constructor(source: ProcessSource, start: bigint, limits: ProcessLimits = PROCESS_LIMITS) {
    this.#source = source;
    this.#limits = limits;
    this.#shares = new FairBound(limits.limit);
    this.#begin = start;
    this.#lastCollection = start;
  }

  /** Learns what a process is called. */
  remember(identity: ProcessIdentity): void {
    if (this.#told.has(identity)) return;
    this.#told.add(identity);
    this.#identities.set(keyOf(identity), identity);
  }

  /** @param now Unix ns */
  collect(now: bigint, temporality: 'cumulative' | 'delta'): readonly ProcessPoint[] {
    const own: OwnPoint[] = [];
    const present = new Set<string>();
    const idle: ProcessKey[] = [];
    // Before the processes: one that exits in between is missing in the sum, not in it twice.
    const gone = this.#source.exited?.();
    const all = { udp: gone?.udpRequests ?? 0, tcp: gone?.tcpRequests ?? 0 };
    for (const process of this.#source.processes()) {
      if (process.exited !== true) add(all, process);
      const key = keyOf(process);
      present.add(key);
      const known = this.#lookUp(key, process, now, temporality);
      this.#report(process, key, known, temporality, own);
      if (now - known.changed < this.#limits.idleNs) continue;
      idle.push({ pid: process.pid, startTime: process.startTime });
      if (process.exited !== true) add(this.#forgotten, process);
    }
    // One that gave its series up after it was reported: its count is in the overflow series.
    const kept = temporality === 'delta' ? own : own.filter(({ of }) => of.own);
    if (gone !== undefined) this.#addUntold(all);
    if (idle.length > 0) this.#source.forget(idle);
    for (const process of idle) present.delete(keyOf(process));
    for (const [key, known] of this.#known) if (!present.has(key)) this.#remove(key, known);
    this.#identities.clear();
    this.#told = new WeakSet();
    const points: ProcessPoint[] = kept.map(({ attributes, start, count }) => ({ attributes, start, count }));
    this.#addOverflow(points, temporality);
    this.#lastCollection = now;
    return points;
  }

  /** State of the process; a new one when it is seen first or its counters began anew (it was forgotten). */
  #lookUp(key: string, process: ProcessCount, now: bigint, temporality: 'cumulative' | 'delta'): Known {
    const old = this.#known.get(key);
    const restarted =
      old !== undefined && (process.udpRequests < old.seen.udp || process.tcpRequests < old.seen.tcp);
    if (old !== undefined && !restarted) return old;
    if (old !== undefined) this.#remove(key, old);
    const known = new Known(this.#lastCollection, now);
    this.#known.set(key, known);
    this.#admit(known, this.#ownerOf(key, process), temporality);
    return known;
  }

  #admit(known: Known, owner: HolderId, temporality: 'cumulative' | 'delta'): void {
    if (this.#shares.isFull) {
      if (this.#shares.isLargest(owner)) return;
      const largest = this.#shares.largest();
      if (largest === undefined) return;
      this.#disown(largest);
      // Its points are gone with its series; in delta they were exported.
      if (temporality === 'cumulative')
        for (const transport of TRANSPORTS) this.#overflow[transport] += largest.seen[transport];
    }
    known.own = true;
    this.#shares.add(known, this.#shares.holderOf(owner));
  }

  #disown(known: Known): void {
    known.own = false;
    known.attributes = undefined;
    this.#earlier -= known.earlier.length;
    known.earlier = [];
    this.#shares.remove(known);
  }

  /** All processes of a user in a workload are one owner. */
  #ownerOf(key: string, { cgroupId }: ProcessCount): HolderId {
    const uid = this.#identities.get(key)?.resource['process.user.id'] ?? -1;
    return { cgroupId, uid: Number(uid), pid: 0 };
  }

  #report(
    process: ProcessCount,
    key: string,
    known: Known,
    temporality: 'cumulative' | 'delta',
    points: OwnPoint[],
  ): void {
    const counts = { udp: process.udpRequests, tcp: process.tcpRequests };
    const attributes = known.own ? this.#attributes(process, key, known, temporality) : undefined;
    for (const transport of TRANSPORTS) {
      const more = counts[transport] - known.seen[transport];
      if (more > 0) known.changed = process.lastSeen;
      this.#accounted[transport] += more;
      if (attributes === undefined) this.#overflow[transport] += more;
      else if (temporality === 'delta')
        put(points, known, { attributes, start: this.#lastCollection }, transport, more);
      else {
        for (const earlier of known.earlier)
          put(points, known, earlier, transport, earlier.counts[transport]);
        const count = counts[transport] - known.base[transport];
        put(points, known, { attributes, start: known.start }, transport, count);
      }
      known.seen[transport] = counts[transport];
    }
  }

  #attributes(
    process: ProcessCount,
    key: string,
    known: Known,
    temporality: 'cumulative' | 'delta',
  ): Attributes {
    const identity = this.#identities.get(key);
    const old = known.attributes;
    if (identity !== undefined) {
      const attributes = measuredOf(identity, PROCESS_ATTRIBUTES);
      if (old === undefined || temporality === 'delta') known.attributes = attributes;
      else if (!isDeepStrictEqual(attributes, old)) {
        this.#rename(known, old);
        known.attributes = attributes;
      }
    }
    // Every record of it may have been lost: then only the pid is known, and nothing else is made up.
    known.attributes ??= { 'process.pid': process.pid };
    return known.attributes;
  }

  /** What was exported stays under the attributes that it was exported with, where there is room. */
  #rename(known: Known, attributes: Attributes): void {
    const { seen, base, start, earlier } = known;
    const counts = { udp: seen.udp - base.udp, tcp: seen.tcp - base.tcp };
    const hasRoom = this.#shares.weight + this.#earlier < this.#limits.limit;
    if (counts.udp + counts.tcp > 0 && hasRoom && earlier.length < MAX_EARLIER) {
      earlier.push({ attributes, start, counts });
      this.#earlier++;
    } else for (const transport of TRANSPORTS) this.#overflow[transport] += counts[transport];
    known.base = { ...seen };
    known.start = this.#lastCollection;
  }

  /** @param all requests of those that live or have exited */
  #addUntold(all: Readonly<Record<Transport, number>>): void {
    for (const transport of TRANSPORTS) {
      const untold = all[transport] + this.#forgotten[transport] - this.#accounted[transport];
      if (untold <= 0) continue;
      this.#overflow[transport] += untold;
      this.#accounted[transport] += untold;
    }
  }

  #addOverflow(points: ProcessPoint[], temporality: 'cumulative' | 'delta'): void {
    for (const transport of TRANSPORTS) {
      const count = this.#overflow[transport];
      if (count === 0) continue;
      const start = temporality === 'delta' ? this.#lastCollection : this.#begin;
      points.push({ attributes: { ...OVERFLOW, 'network.transport': transport }, start, count });
      if (temporality === 'delta') this.#overflow[transport] = 0;
    }
  }

  #remove(key: string, known: Known): void {
    this.#known.delete(key);
    if (known.own) this.#disown(known);
  }
}

function put(
  points: OwnPoint[],
  of: Known,
  { attributes, start }: { readonly attributes: Attributes; readonly start: bigint },
  transport: Transport,
  count: number,
): void {
  if (count > 0)
    points.push({ attributes: { ...attributes, 'network.transport': transport }, start, count, of });
}

function add(sum: Record<Transport, number>, process: ProcessCount): void {
  sum.udp += process.udpRequests;
  sum.tcp += process.tcpRequests;
}

function keyOf({ pid, startTime }: ProcessKey): string {
  return `${pid}:${startTime}`;
}
