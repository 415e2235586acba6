/**
 * UDP datagrams that a program composes with several sends (MSG_MORE, UDP_CORK; udp(7)): joined to what is sent.
 * MSG_MORE ends with a send, UDP_CORK with a piece of its own that says so and is empty. Where that was lost the answer
 * tells that the datagram had left: it has its id (RFC 1035 section 4.1.1), and came to its socket.
 */
import type { Stage } from '../ledger.ts';
import { FairBound, Holding } from '../lib/fair-bound.ts';
import { Fairness } from '../lib/fairness.ts';
import { Envelope } from '../lookup/envelope.ts';
import type { RawMessage } from '../model.ts';
import type { StreamDrop } from '../tables/drops-streams.ts';
import { GrowingBytes } from './growing-bytes.ts';
import { type OnMessage, type RawHead, withoutPayload } from './message.ts';

const MAX_DATAGRAM = 65_535;
/** UDP_MAX_SEGMENTS (include/linux/udp.h); 64 until 6.9. */
const MAX_SEGMENTS = 128;

class Corked extends Holding {
  readonly key: string;
  readonly raw: RawHead;
  readonly bytes: GrowingBytes;
  length = 0;
  /** Bytes were missing: what comes later is not appended. */
  gap = false;
  pieces = 0;

  constructor(key: string, raw: RawMessage) {
    super();
    this.key = key;
    this.raw = withoutPayload(raw);
    this.bytes = new GrowingBytes(MAX_DATAGRAM, raw.payload.length);
  }
}

export interface DatagramLimits {
  /** Datagrams being composed; when full the oldest of who has most goes. */
  readonly maxCorked: number;
  /** How long a datagram may be composed, ns. */
  readonly maxAge: bigint;
}

export const DATAGRAM_LIMITS: DatagramLimits = { maxCorked: 64, maxAge: 10_000_000_000n };

/**
 * The ledger: every piece comes `in`; a datagram goes `out` once, its further pieces are filtered as `joined`. Of several datagrams in
 * one send (UDP_SEGMENT) each comes `in`.
 */
export class Datagrams {
  /** How much of `in` is further datagrams of a send. */
  extra = 0;
  readonly #stage: Stage<'streams'>;
  readonly #limits: DatagramLimits;
  /** In the order of their first piece. */
  readonly #corked = new Map<string, Corked>();
  readonly #fairness: Fairness;
  readonly #shares: FairBound<Corked>;
  #held = 0;

  constructor(stage: Stage<'streams'>, limits: Partial<DatagramLimits> = {}, fairness = new Fairness()) {
    this.#stage = stage;
    this.#limits = { ...DATAGRAM_LIMITS, ...limits };
    this.#fairness = fairness;
    this.#shares = new FairBound(this.#limits.maxCorked, fairness);
  }

  /** Units of the ledger held. */
  get held(): number {
    return this.#held;
  }

  /** Takes one piece; a whole datagram is given to `emit` before it returns. */
  accept(raw: RawMessage, emit: OnMessage): void {
    this.#stage.in++;
    if (raw.streamEnd) {
      this.#end(raw, emit);
      return;
    }
    if (isSegmented(raw)) {
      this.#split(raw, emit);
      return;
    }
    if (!raw.more && this.#corked.size === 0) {
      this.#through(raw, emit);
      return;
    }
    this.expire(raw.time);
    this.#join(raw, emit);
  }

  #end(raw: RawMessage, emit: OnMessage): void {
    this.#stage.filter('joined', 1);
    const key = datagramKey(raw);
    const known = this.#corked.get(key);
    if (known !== undefined) this.#finish(known, emit);
  }

  #join(raw: RawMessage, emit: OnMessage): void {
    const key = datagramKey(raw);
    const known = this.#corked.get(key);
    if (raw.direction === 'response' && known?.raw.direction === 'request') {
      if (hasSameId(known.bytes.view(), raw.payload)) this.#finish(known, emit);
      this.#through(raw, emit);
      return;
    }
    if (known === undefined && !raw.more) {
      this.#through(raw, emit);
      return;
    }
    const corked = known ?? this.#begin(key, raw);
    corked.pieces++;
    this.#held++;
    corked.length += raw.length;
    if (corked.length > MAX_DATAGRAM) {
      this.#forget(corked, 'datagram_too_long');
      return;
    }
    if (!corked.gap) corked.bytes.append(raw.payload.subarray(0, raw.length));
    corked.gap ||= raw.payload.length < raw.length;
    if (!raw.more) this.#finish(corked, emit);
  }

  /** Each but the last is of the same length. What is beyond the copy limit of all together is known by its length alone. */
  #split(raw: RawMessage, emit: OnMessage): void {
    const { sequence: size, length, payload } = raw;
    const count = Math.min(Math.ceil(length / size), MAX_SEGMENTS);
    this.extra += count - 1;
    this.#stage.in += count - 1;
    const head = { ...withoutPayload(raw), sequence: 0 };
    for (let at = 0; at < count * size; at += size) {
      const bytes = Math.min(size, length - at);
      this.#stage.out++;
      emit({ raw: { ...head, length: bytes }, payload: payload.subarray(at, at + bytes), length: bytes });
    }
  }

  #through(raw: RawMessage, emit: OnMessage): void {
    this.#stage.out++;
    // It came whole: nothing of it is kept, so it needs no copy.
    emit(
      raw instanceof Envelope ? raw : { raw: withoutPayload(raw), payload: raw.payload, length: raw.length },
    );
  }

  #finish(corked: Corked, emit: OnMessage): void {
    this.#corked.delete(corked.key);
    this.#shares.remove(corked);
    this.#held -= corked.pieces;
    this.#stage.filter('joined', corked.pieces - 1);
    this.#stage.out++;
    emit({ raw: corked.raw, payload: corked.bytes.view(), length: corked.length });
  }

  /** Drops what has been composed for too long. `now` is Unix ns. */
  expire(now: bigint): void {
    for (const corked of this.#corked.values()) {
      if (now - corked.raw.time <= this.#limits.maxAge) return;
      this.#forget(corked, 'datagram_unfinished');
    }
  }

  /** The end of the capture. */
  close(): void {
    for (const corked of this.#corked.values()) this.#forget(corked, 'datagram_unfinished');
  }

  #begin(key: string, raw: RawMessage): Corked {
    while (this.#shares.isFull) this.#giveWay();
    const corked = new Corked(key, raw);
    const owner = raw.owner ?? this.#fairness.unknown(raw.networkNamespace, raw.local.address);
    this.#corked.set(key, corked);
    this.#shares.add(corked, this.#shares.holderOf(owner));
    return corked;
  }

  #giveWay(): void {
    const corked = this.#shares.largest();
    if (corked === undefined) return;
    if (corked.holder !== undefined)
      this.#fairness.gaveWay(corked.holder.owner, 'datagrams_full', corked.pieces);
    this.#forget(corked, 'datagrams_full');
  }

  #forget(corked: Corked, reason: StreamDrop): void {
    this.#corked.delete(corked.key);
    this.#shares.remove(corked);
    this.#held -= corked.pieces;
    this.#stage.drop(reason, corked.pieces);
  }
}

/** Several datagrams in one send (udp(7), UDP_SEGMENT): `sequence` is the length of each. */
function isSegmented({ direction, sequence, length, more }: RawMessage): boolean {
  return direction === 'request' && sequence > 0 && sequence < length && !more;
}

function hasSameId(request: Uint8Array, response: Uint8Array): boolean {
  return (
    request.length >= 2 && response.length >= 2 && request[0] === response[0] && request[1] === response[1]
  );
}

/** The socket, which has at most one datagram in the making; addresses where it is not known. */
function datagramKey(raw: RawMessage): string {
  if (raw.socket !== 0n) return `${raw.networkNamespace} ${raw.socket}`;
  const { local, remote } = raw;
  return `${raw.networkNamespace} ${local.address} ${local.port} ${remote.address} ${remote.port} ${raw.direction}`;
}
