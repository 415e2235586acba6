/** Reassembly of IP datagrams from fragments (RFC 791 section 3.2, RFC 8200 section 4.5). */

import type { FRAGMENT_DROPS } from '../tables/drops-kernel.ts';

export interface Fragment {
  /** Addresses, protocol and identification: what the fragments of a datagram share. */
  readonly key: string;
  /** Byte offset in the payload of the datagram, and the bytes there were. */
  readonly offset: number;
  readonly length: number;
  readonly more: boolean;
  /** What was captured of them. */
  readonly bytes: Uint8Array;
  /** Unix ns. */
  readonly time: bigint;
}

/** The payload of a datagram: what is known of it up to the first gap, and its true length if that is known. */
export interface Reassembled {
  readonly bytes: Uint8Array;
  readonly length: number | undefined;
  /** Unix ns, of the fragment that came last: only then had the receiver a datagram. */
  readonly time: bigint;
  /** Nothing is missing. */
  readonly complete: boolean;
  /** Fragments it was put together from. */
  readonly parts: number;
}

/** What became of a fragment: it waits for the others, it is there already, its datagram is given out or dropped. */
export type FragmentFate = 'waits' | 'duplicate' | 'complete' | FragmentDrop;

export type FragmentDrop = keyof typeof FRAGMENT_DROPS;

export interface FragmentLimits {
  /** Datagrams waited for; when full the oldest is given up. */
  readonly maxDatagrams: number;
  /** Fragments of a datagram: 64 KB in pieces of the smallest IPv6 packet (1280) are 53. */
  readonly maxFragments: number;
  /** How long the rest is waited for, ns (Linux: net.ipv4.ipfrag_time 30 s). */
  readonly maxAge: bigint;
}

export const FRAGMENT_LIMITS: FragmentLimits = {
  maxDatagrams: 256,
  maxFragments: 64,
  maxAge: 30_000_000_000n,
};

const MAX_PAYLOAD = 65_535;

interface Datagram<Context> {
  context: Context;
  readonly time: bigint;
  readonly parts: { readonly offset: number; readonly length: number; readonly bytes: Uint8Array }[];
  received: number;
  total: number | undefined;
  /** Of the newest fragment. */
  lastTime: bigint;
}

/**
 * Datagrams in the making. What cannot be completed is still given out, up to its first gap, if it has its beginning: a
 * decoder says that it is cut. `Context` is what the caller wants back: of the datagram's first fragment, or while that has not come of
 * the one that came first.
 */
export class FragmentTable<Context> {
  readonly dropped = new Map<FragmentDrop, number>();
  readonly #limits: FragmentLimits;
  readonly #emit: (datagram: Reassembled, context: Context) => void;
  readonly #onDrop: (reason: FragmentDrop, parts: number, context: Context) => void;
  /** In the order of their first fragment. */
  readonly #datagrams = new Map<string, Datagram<Context>>();

  constructor(
    emit: (datagram: Reassembled, context: Context) => void,
    limits: Partial<FragmentLimits> = {},
    onDrop: (reason: FragmentDrop, parts: number, context: Context) => void = () => {},
  ) {
    this.#emit = emit;
    this.#onDrop = onDrop;
    this.#limits = { ...FRAGMENT_LIMITS, ...limits };
  }

  /** Datagrams in the making. */
  get size(): number {
    return this.#datagrams.size;
  }

  /** Takes one fragment; a datagram that it completes is given out before it returns. */
  accept(fragment: Fragment, context: Context): FragmentFate {
    this.expire(fragment.time);
    const { key, offset, length } = fragment;
    const datagram = this.#datagrams.get(key) ?? this.#begin(key, fragment.time, context);
    const problem = this.#add(datagram, fragment);
    if (problem === 'duplicate') return problem;
    if (problem !== undefined) {
      this.#datagrams.delete(key);
      this.#drop(problem, datagram);
      return problem;
    }
    if (offset === 0) datagram.context = context;
    datagram.received += length;
    datagram.lastTime = fragment.time;
    if (!fragment.more) datagram.total = offset + length;
    if (datagram.received !== datagram.total) return 'waits';
    this.#datagrams.delete(key);
    this.#giveOut(datagram);
    return 'complete';
  }

  /** The end of the capture: everything is given out or dropped. */
  close(): void {
    for (const datagram of this.#datagrams.values()) this.#giveOut(datagram);
    this.#datagrams.clear();
  }

  #begin(key: string, time: bigint, context: Context): Datagram<Context> {
    for (const [oldest, datagram] of this.#datagrams) {
      if (this.#datagrams.size < this.#limits.maxDatagrams) break;
      this.#datagrams.delete(oldest);
      this.#giveOut(datagram);
    }
    const datagram = { context, time, parts: [], received: 0, total: undefined, lastTime: time };
    this.#datagrams.set(key, datagram);
    return datagram;
  }

  /** Puts the fragment in its place. Overlaps make a datagram worthless (RFC 5722; taken for IPv4 too). */
  #add(datagram: Datagram<Context>, fragment: Fragment): FragmentDrop | 'duplicate' | undefined {
    const { offset, length, more } = fragment;
    const end = offset + length;
    const { parts, total } = datagram;
    if (end > MAX_PAYLOAD) return 'fragment_too_long';
    let at = parts.length;
    while (at > 0 && (parts[at - 1]?.offset ?? 0) > offset) at--;
    const before = parts[at - 1];
    const after = parts[at];
    if (before !== undefined && before.offset === offset && before.length === length) return 'duplicate';
    if (before !== undefined && before.offset + before.length > offset) return 'fragment_overlap';
    if (after !== undefined && end > after.offset) return 'fragment_overlap';
    if (total !== undefined && (end > total || !more)) return 'fragment_overlap';
    if (!more && after !== undefined) return 'fragment_overlap';
    if (parts.length >= this.#limits.maxFragments) return 'fragment_count';
    parts.splice(at, 0, { offset, length, bytes: Uint8Array.from(fragment.bytes.subarray(0, length)) });
    return undefined;
  }

  /** Gives up what was waited for too long. `now` is Unix ns: of each fragment, and of a timer when none come. */
  expire(now: bigint): void {
    for (const [key, datagram] of this.#datagrams) {
      if (now - datagram.time <= this.#limits.maxAge) return;
      this.#datagrams.delete(key);
      this.#giveOut(datagram);
    }
  }

  #giveOut(datagram: Datagram<Context>): void {
    if (datagram.parts[0]?.offset !== 0) {
      this.#drop('fragment_no_first', datagram);
      return;
    }
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (const { offset, length, bytes } of datagram.parts) {
      if (offset !== size) break;
      pieces.push(bytes);
      size += bytes.length;
      if (bytes.length < length) break;
    }
    const { total, received, lastTime, context, parts } = datagram;
    this.#emit(
      {
        bytes: Buffer.concat(pieces, size),
        length: total,
        time: lastTime,
        complete: received === total,
        parts: parts.length,
      },
      context,
    );
  }

  #drop(reason: FragmentDrop, { parts, context }: Datagram<Context>): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1);
    this.#onDrop(reason, parts.length, context);
  }
}
