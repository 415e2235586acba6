/**
 * TCP streams put back together: pieces (segments, or the bytes of one send or receive) in, whole DNS messages out.
 * Each direction of a connection is a stream of its own, ordered by sequence number (RFC 9293 section 3.4).
 */
import type { Stage } from '../ledger.ts';
import { FairBound, Holding } from '../lib/fair-bound.ts';
import { Fairness, type HolderId } from '../lib/fairness.ts';
import type { RawMessage, UnknownReason } from '../model.ts';
import type { StreamDrop } from '../tables/drops-streams.ts';
import { type Consumed, Framing } from './framing.ts';
import { type OnMessage, type RawHead, withoutPayload } from './message.ts';

export interface StreamLimits {
  /** Streams remembered (two for each connection); when full the least recently used of who has most goes. */
  readonly maxStreams: number;
  /** Bytes that all streams hold together; when full the least recently used of who has most goes. */
  readonly maxBytes: number;
  /** Pieces a stream holds that came before their turn; then what is missing is given up. */
  readonly maxOutOfOrder: number;
  /** How long missing bytes are waited for, ns. TCP sends again after 0.2 to 1 s (RFC 6298). */
  readonly maxWait: bigint;
  /** A stream without traffic is forgotten after this time, ns. */
  readonly maxIdle: bigint;
}

export const STREAM_LIMITS: StreamLimits = {
  maxStreams: 4096,
  maxBytes: 16 * 1024 * 1024,
  maxOutOfOrder: 64,
  maxWait: 1_000_000_000n,
  maxIdle: 120_000_000_000n,
};

/** A piece further than this from the expected byte is of another connection (beyond usual receive windows). */
const WINDOW = 8 * 1024 * 1024;
/** What an empty stream or a held piece costs beside its payload, roughly. */
const OVERHEAD = 256;
const NOTHING = new Uint8Array(0);
const MAX_MESSAGE = 65_535;

/** Bytes are counted against their owner in units of this size. */
const UNIT = 1024;

class Stream extends Holding {
  /** What it holds of the bound of bytes. */
  readonly memory = new Memory(this);
  readonly key: string;
  readonly framing: Framing;
  /** The piece it began with. */
  readonly head: RawHead;
  /** Sequence number of the next byte in order. */
  next: number;
  /** Pieces that came before their turn, by sequence number, with copies of their payload. */
  readonly waiting: RawMessage[] = [];
  /** Units of the ledger in the unfinished message. */
  pending = 0;
  /** Sequence number after the last byte, once FIN or RST was seen. */
  end: number | undefined = undefined;
  /** Everything up to `end` was consumed. It stays until it is idle, so that retransmissions start no new stream. */
  closed = false;
  lastSeen: bigint;
  bytes = OVERHEAD;
  /** Messages it gave, and those that began but were dropped. */
  messages = 0;
  /** Bytes of it were not seen, or belong to no known message. */
  hasGap = false;

  constructor(key: string, raw: RawMessage, maxPayload: number) {
    super();
    this.key = key;
    this.framing = new Framing(raw.streamStart, maxPayload);
    this.head = withoutPayload(raw);
    this.next = raw.sequence;
    this.lastSeen = raw.time;
  }
}

class Memory extends Holding {
  readonly stream: Stream;

  constructor(stream: Stream) {
    super();
    this.stream = stream;
  }
}

/** Bytes of an answer that were not seen, or were given up. @param head of a piece of the stream */
export type OnLoss = (head: RawHead, reason: UnknownReason, at: bigint) => void;

/**
 * The ledger: `in` counts pieces, and one more for each further message that a piece completes or begins; `out` counts
 * messages. A piece that only adds to a message is filtered as `joined`. What a gap cost is known when a connection ends: as many
 * answers as it has requests without one, which come `in` and are dropped as `stream-gap-answers`. So at any time
 *   in = out + filtered{joined, retransmission, control} + dropped{...} + held
 * where held is the pieces of unfinished messages and those before their turn.
 */
export class TcpStreams {
  /** How much of `in` is further messages of a piece: in - extra = pieces. */
  extra = 0;
  readonly #stage: Stage<'streams'>;
  readonly #limits: StreamLimits;
  readonly #streams = new Map<string, Stream>();
  readonly #fairness: Fairness;
  readonly #onLoss: OnLoss;
  readonly #maxPayload: number;
  readonly #counts: FairBound<Stream>;
  readonly #memory: FairBound<Memory>;
  #bytes = 0;
  #held = 0;
  #lastSweep = 0n;

  constructor(
    stage: Stage<'streams'>,
    limits: Partial<StreamLimits> = {},
    fairness = new Fairness(),
    onLoss: OnLoss = () => {},
    maxPayload?: number,
  ) {
    this.#stage = stage;
    this.#limits = { ...STREAM_LIMITS, ...limits };
    this.#fairness = fairness;
    this.#onLoss = onLoss;
    this.#maxPayload = maxPayload ?? MAX_MESSAGE;
    this.#counts = new FairBound(this.#limits.maxStreams, fairness);
    this.#memory = new FairBound(Math.ceil(this.#limits.maxBytes / UNIT), fairness);
  }

  /** Streams remembered. */
  get size(): number {
    return this.#streams.size;
  }

  /** Bytes of memory held, estimated. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** Units of the ledger held. */
  get held(): number {
    return this.#held;
  }

  /** Takes one piece; whole messages are given to `emit` before it returns. */
  accept(raw: RawMessage, emit: OnMessage): void {
    this.#stage.in++;
    this.expire(raw.time, emit);
    const key = streamKey(raw);
    const stream = this.#find(key, raw);
    if (stream === undefined) {
      this.#stage.filter('control');
      return;
    }
    stream.lastSeen = raw.time;
    this.#place(stream, raw, emit);
    if (raw.streamEnd) stream.end ??= (raw.sequence + raw.length) >>> 0;
    this.#closeAtEnd(stream);
    this.#measure(stream);
    this.#counts.touch(stream);
    this.#memory.touch(stream.memory);
    while (this.#bytes > this.#limits.maxBytes)
      this.#giveWay(this.#memory.largest()?.stream, 'stream_bytes_full');
  }

  /** Gives up what was waited for too long. `now` is Unix ns: of each piece, and of a timer when none come. */
  expire(now: bigint, emit: OnMessage): void {
    const passed = now - this.#lastSweep;
    if (passed >= 0n && passed < this.#limits.maxWait) return;
    this.#lastSweep = now;
    for (const stream of this.#streams.values()) {
      if (now - stream.lastSeen > this.#limits.maxIdle) {
        this.#forget(stream, 'stream_idle');
      } else if (stream.waiting.length > 0) {
        this.#giveUpOld(stream, now, emit);
        this.#closeAtEnd(stream);
        this.#measure(stream);
      }
    }
  }

  /** The end of the capture: what is out of order is delivered over its gaps, what is unfinished is dropped. */
  close(emit: OnMessage): void {
    for (const stream of this.#streams.values())
      while (stream.waiting.length > 0) this.#skipGap(stream, emit);
    for (const stream of this.#streams.values()) this.#countLost(stream);
    for (const stream of this.#streams.values()) this.#forget(stream, 'stream_unfinished');
  }

  /** The stream of a piece, a new one if need be; undefined if the piece is empty and starts none. */
  #find(key: string, raw: RawMessage): Stream | undefined {
    const known = this.#streams.get(key);
    if (known !== undefined) {
      if (!isOtherConnection(known, raw)) return known;
      this.#forget(known, 'stream_replaced');
    }
    if (raw.length === 0 && !raw.streamStart) return undefined;
    while (this.#counts.isFull) this.#giveWay(this.#counts.largest(), 'streams_full');
    const stream = new Stream(key, raw, this.#maxPayload);
    const owner = this.#ownerOf(raw);
    this.#streams.set(key, stream);
    this.#bytes += OVERHEAD;
    this.#counts.add(stream, this.#counts.holderOf(owner));
    this.#memory.add(stream.memory, this.#memory.holderOf(owner));
    return stream;
  }

  /** The bytes of an answer belong to who asked. */
  #ownerOf(raw: RawMessage): HolderId {
    if (raw.owner !== undefined) return raw.owner;
    const request = raw.direction === 'request' ? undefined : this.#streams.get(streamKey(raw, 'request'));
    return request?.holder?.owner ?? this.#fairness.unknown(raw.networkNamespace, raw.local.address);
  }

  #place(stream: Stream, raw: RawMessage, emit: OnMessage): void {
    if (raw.length === 0) {
      this.#stage.filter('control');
      return;
    }
    if (distance(stream.next, raw.sequence) <= 0) {
      this.#consume(stream, raw, emit);
      this.#drain(stream, emit);
    } else {
      this.#hold(stream, raw);
      if (stream.waiting.length > this.#limits.maxOutOfOrder) this.#skipGap(stream, emit);
    }
    this.#giveUpOld(stream, raw.time, emit);
  }

  #hold(stream: Stream, raw: RawMessage): void {
    const { waiting } = stream;
    let at = waiting.length;
    while (at > 0 && distance(raw.sequence, (waiting[at - 1] as RawMessage).sequence) > 0) at--;
    waiting.splice(at, 0, { ...raw, payload: Uint8Array.from(raw.payload) });
    this.#held++;
  }

  /** Takes the waiting pieces whose turn has come. */
  #drain(stream: Stream, emit: OnMessage): void {
    for (let first = stream.waiting[0]; first !== undefined; first = stream.waiting[0]) {
      if (distance(stream.next, first.sequence) > 0) return;
      stream.waiting.shift();
      this.#held--;
      this.#consume(stream, first, emit);
    }
  }

  /** A piece that starts at the expected byte or before it. */
  #consume(stream: Stream, raw: RawMessage, emit: OnMessage): void {
    const seen = distance(raw.sequence, stream.next);
    const length = raw.length - seen;
    if (length <= 0 || stream.closed) {
      this.#stage.filter('retransmission');
      return;
    }
    stream.next = (raw.sequence + raw.length) >>> 0;
    const payload = seen === 0 ? raw.payload : raw.payload.subarray(Math.min(seen, raw.payload.length));
    this.#book(stream, stream.framing.consume(raw, payload, length, emit));
  }

  #book(stream: Stream, { completed, unfinished, lost }: Consumed): void {
    if (completed > 0) {
      this.#stage.filter('joined', stream.pending);
      this.#held -= stream.pending;
      stream.pending = 0;
      const extra = completed - 1 + (unfinished || lost ? 1 : 0);
      this.extra += extra;
      this.#stage.in += extra;
      this.#stage.out += completed;
      stream.messages += completed;
    }
    if (lost) {
      stream.hasGap = true;
      this.#lost(stream, 'stream_gap', stream.lastSeen);
      this.#stage.drop('stream_unsynchronized', 1);
      if (stream.pending > 0) stream.messages++;
      this.#drop(stream, 'stream_unsynchronized');
    } else if (unfinished) {
      stream.pending++;
      this.#held++;
    }
  }

  /** The bytes before the first waiting piece are never going to come: they count by their length. */
  #skipGap(stream: Stream, emit: OnMessage): void {
    const first = stream.waiting[0] as RawMessage;
    const length = distance(stream.next, first.sequence);
    stream.next = first.sequence;
    this.#lost(stream, 'stream_gap', first.time);
    stream.hasGap = true;
    if (stream.framing.synced) {
      const { completed, lost } = stream.framing.consume(first, NOTHING, length, emit);
      if (completed > 0) {
        this.#stage.out++;
        stream.messages++;
        this.#stage.filter('joined', stream.pending - 1);
        this.#held -= stream.pending;
        stream.pending = 0;
      } else if (lost) {
        if (stream.pending > 0) stream.messages++;
        this.#drop(stream, 'stream_gap');
      }
    }
    this.#drain(stream, emit);
  }

  #giveUpOld(stream: Stream, now: bigint, emit: OnMessage): void {
    for (let first = stream.waiting[0]; first !== undefined; first = stream.waiting[0]) {
      if (now - first.time <= this.#limits.maxWait) return;
      this.#skipGap(stream, emit);
    }
  }

  #closeAtEnd(stream: Stream): void {
    if (stream.closed || stream.end === undefined || distance(stream.next, stream.end) > 0) return;
    stream.closed = true;
    this.#countLost(stream);
    this.#drop(stream, 'stream_unfinished');
    stream.framing.desynchronize();
  }

  /** The answers that lay in what was not seen. */
  #countLost(stream: Stream): void {
    const { head, messages, next, end } = stream;
    const isCut = end !== undefined && distance(next, end) > 0;
    if (head.direction !== 'response' || !(stream.hasGap || isCut)) return;
    stream.hasGap = false;
    stream.end = undefined;
    const requests = this.#streams.get(streamKey(head, 'request'));
    if (requests === undefined || isOtherSocket(requests, head)) return;
    const lost = Math.max(requests.messages - messages - (stream.pending > 0 ? 1 : 0), 0);
    this.extra += lost;
    this.#stage.in += lost;
    this.#stage.drop('stream_gap_answers', lost);
  }

  /** Drops the unfinished message. */
  #drop(stream: Stream, reason: StreamDrop): void {
    this.#stage.drop(reason, stream.pending);
    this.#held -= stream.pending;
    stream.pending = 0;
  }

  #forget(stream: Stream, reason: StreamDrop): void {
    this.#countLost(stream);
    this.#drop(stream, reason);
    this.#stage.drop(reason, stream.waiting.length);
    this.#held -= stream.waiting.length;
    this.#bytes -= stream.bytes;
    this.#counts.remove(stream);
    this.#memory.remove(stream.memory);
    this.#streams.delete(stream.key);
  }

  #giveWay(stream: Stream | undefined, reason: 'streams_full' | 'stream_bytes_full'): void {
    if (stream === undefined) return;
    const units = stream.pending + stream.waiting.length;
    if (units > 0) this.#lost(stream, 'streams_full', stream.lastSeen);
    if (stream.holder !== undefined) this.#fairness.gaveWay(stream.holder.owner, reason, units);
    this.#forget(stream, reason);
  }

  #lost({ head }: Stream, reason: UnknownReason, at: bigint): void {
    if (head.direction === 'response') this.#onLoss(head, reason, at);
  }

  #measure(stream: Stream): void {
    let bytes = OVERHEAD + stream.framing.heldBytes;
    for (const piece of stream.waiting) bytes += piece.payload.length + OVERHEAD;
    this.#bytes += bytes - stream.bytes;
    stream.bytes = bytes;
    this.#memory.resize(stream.memory, Math.ceil(bytes / UNIT));
  }
}

/** How far sequence number `to` lies after `from`, negative if before: modulo 2^32 (RFC 9293 section 3.4). */
function distance(from: number, to: number): number {
  return (to - from) | 0;
}

function streamKey(raw: RawHead, direction = raw.direction): string {
  const { local, remote } = raw;
  return `${raw.networkNamespace} ${direction} ${local.address} ${local.port} ${remote.address} ${remote.port}`;
}

/**
 * Whether the piece is of a later connection with the same addresses and ports: another socket, another first byte,
 * bytes after the end, or a sequence number far away.
 */
function isOtherConnection(known: Stream, raw: RawMessage): boolean {
  const { head } = known;
  if (isOtherSocket(known, raw)) return true;
  if (raw.streamStart) return raw.sequence !== head.sequence;
  if (raw.length === 0) return false;
  const ahead = distance(known.next, raw.sequence);
  return Math.abs(ahead) > WINDOW || (known.closed && ahead >= 0);
}

function isOtherSocket({ head }: Stream, raw: RawHead): boolean {
  return raw.socket !== 0n && head.socket !== 0n && raw.socket !== head.socket;
}
