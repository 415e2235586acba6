/**
 * UDP datagrams that a program composes with several sends (MSG_MORE, UDP_CORK; udp(7)): joined to what is sent.
 * MSG_MORE ends with a send, UDP_CORK with a piece of its own that says so and is empty. Where that was lost the answer
 * tells that the datagram had left: it has its id (RFC 1035 section 4.1.1), and came to its socket.
 */
import type { Stage } from '../health.ts';
import type { RawMessage } from '../model.ts';
import type { StreamDrop } from '../tables/stream-drops.ts';
import { GrowingBytes } from './growing-bytes.ts';
import { type OnMessage, type RawHead, withoutPayload } from './message.ts';

const MAX_DATAGRAM = 65_535;

interface Corked {
  readonly raw: RawHead;
  readonly bytes: GrowingBytes;
  length: number;
  /** Bytes were missing: what comes later is not appended. */
  gap: boolean;
  pieces: number;
}

export interface DatagramLimits {
  /** Datagrams being composed; when full the oldest goes. */
  readonly maxCorked: number;
  /** How long a datagram may be composed, ns. */
  readonly maxAge: bigint;
}

export const DATAGRAM_LIMITS: DatagramLimits = { maxCorked: 64, maxAge: 10_000_000_000n };

/** The ledger: every piece comes `in`; a datagram goes `out` once, its further pieces are filtered as `joined`. */
export class Datagrams {
  readonly #stage: Stage;
  readonly #limits: DatagramLimits;
  /** In the order of their first piece. */
  readonly #corked = new Map<string, Corked>();
  #held = 0;

  constructor(stage: Stage, limits: Partial<DatagramLimits> = {}) {
    this.#stage = stage;
    this.#limits = { ...DATAGRAM_LIMITS, ...limits };
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
    if (known !== undefined) this.#finish(key, known, emit);
  }

  #join(raw: RawMessage, emit: OnMessage): void {
    const key = datagramKey(raw);
    const known = this.#corked.get(key);
    if (raw.direction === 'response' && known?.raw.direction === 'request') {
      if (hasSameId(known.bytes.view(), raw.payload)) this.#finish(key, known, emit);
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
      this.#forget(key, corked, 'datagram-too-long');
      return;
    }
    if (!corked.gap) corked.bytes.append(raw.payload.subarray(0, raw.length));
    corked.gap ||= raw.payload.length < raw.length;
    if (!raw.more) this.#finish(key, corked, emit);
  }

  #through(raw: RawMessage, emit: OnMessage): void {
    this.#stage.out++;
    emit({ raw: withoutPayload(raw), payload: raw.payload, length: raw.length });
  }

  #finish(key: string, corked: Corked, emit: OnMessage): void {
    this.#corked.delete(key);
    this.#held -= corked.pieces;
    this.#stage.filter('joined', corked.pieces - 1);
    this.#stage.out++;
    emit({ raw: corked.raw, payload: corked.bytes.view(), length: corked.length });
  }

  /** Drops what has been composed for too long. `now` is Unix ns. */
  expire(now: bigint): void {
    for (const [key, corked] of this.#corked) {
      if (now - corked.raw.time <= this.#limits.maxAge) return;
      this.#forget(key, corked, 'datagram-unfinished');
    }
  }

  /** The end of the capture. */
  close(): void {
    for (const [key, corked] of this.#corked) this.#forget(key, corked, 'datagram-unfinished');
  }

  #begin(key: string, raw: RawMessage): Corked {
    if (this.#corked.size >= this.#limits.maxCorked) {
      for (const [oldest, corked] of this.#corked) {
        this.#forget(oldest, corked, 'datagrams-full');
        break;
      }
    }
    const bytes = new GrowingBytes(MAX_DATAGRAM, raw.payload.length);
    const corked: Corked = { raw: withoutPayload(raw), bytes, length: 0, gap: false, pieces: 0 };
    this.#corked.set(key, corked);
    return corked;
  }

  #forget(key: string, corked: Corked, reason: StreamDrop): void {
    this.#corked.delete(key);
    this.#held -= corked.pieces;
    this.#stage.drop(reason, corked.pieces);
  }
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
