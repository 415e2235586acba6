/**
 * DNS over TCP (RFC 1035 section 4.2.2, RFC 7766): each message after its length in two bytes. Takes the bytes of one
 * direction in order; bytes that were sent but not captured count by their true length.
 */
import type { RawMessage } from '../model.ts';
import { GrowingBytes } from './growing-bytes.ts';
import { type OnMessage, type RawHead, withoutPayload } from './message.ts';

/** A header (RFC 1035 section 4.1.1); less is no DNS message, so the framing is wrong. */
const HEADER = 12;
const MAX_MESSAGE = 65_535;

/** What became of a piece. */
export interface Consumed {
  /** Messages it completed. */
  completed: number;
  /** Bytes at its end begin a message or go on with one. */
  unfinished: boolean;
  /** Bytes at its end belong to no known message: the framing was lost, or never found. */
  lost: boolean;
}

export class Framing {
  /** Whether the position of message boundaries is known. */
  #synced: boolean;
  /** Bytes of the length prefix that have come: 0, 1, 2. */
  #prefixBytes = 0;
  #length = 0;
  /** True bytes of the current message that have gone by. */
  #position = 0;
  /** Bytes were missing: what comes later of this message is not appended. */
  #gap = false;
  #body: GrowingBytes | undefined;
  #first: RawHead | undefined;
  /** Not synced: a piece of just two bytes came, possibly a length written on its own. */
  #lonePrefix = -1;

  readonly #maxPayload: number;

  /**
   * @param synced the first byte to come is the first byte of a message
   * @param maxPayload bytes kept of a message
   */
  constructor(synced: boolean, maxPayload = MAX_MESSAGE) {
    this.#synced = synced;
    this.#maxPayload = maxPayload;
  }

  get synced(): boolean {
    return this.#synced;
  }

  /** Bytes of memory held. */
  get heldBytes(): number {
    return this.#body?.capacity ?? 0;
  }

  /** Forgets the unfinished message and the boundaries. */
  desynchronize(): void {
    this.#synced = false;
    this.#lonePrefix = -1;
    this.#reset();
  }

  /**
   * The next `length` bytes of the stream, of which `payload` was captured from their start.
   * `head` is the piece they came with.
   */
  consume(head: RawMessage, payload: Uint8Array, length: number, emit: OnMessage): Consumed {
    const result: Consumed = { completed: 0, unfinished: false, lost: false };
    let at = 0;
    if (!this.#synced) {
      if (!this.#synchronize(head, payload, length)) {
        result.lost = true;
        return result;
      }
    }
    while (at < length) {
      if (this.#prefixBytes < 2) {
        if (at >= payload.length) return this.#loseSync(result);
        this.#takePrefix(head, payload[at++] as number);
        if (this.#prefixBytes === 2 && this.#length < HEADER) return this.#loseSync(result);
        continue;
      }
      const bytes = Math.min(this.#length - this.#position, length - at);
      const piece = payload.subarray(Math.min(at, payload.length), Math.min(at + bytes, payload.length));
      at += bytes;
      this.#position += bytes;
      if (this.#position < this.#length) {
        this.#keep(piece, bytes);
      } else {
        this.#finish(head, piece, bytes, emit);
        result.completed++;
      }
    }
    result.unfinished = this.#prefixBytes > 0;
    return result;
  }

  #takePrefix(head: RawMessage, byte: number): void {
    if (this.#prefixBytes === 0)
      this.#first = head.direction === 'request' ? withoutPayload(head) : undefined;
    this.#length = (this.#length << 8) | byte;
    this.#prefixBytes++;
  }

  #keep(piece: Uint8Array, bytes: number): void {
    if (this.#gap) return;
    const kept = piece.subarray(0, this.#maxPayload - (this.#body?.size ?? 0));
    if (kept.length > 0) {
      this.#body ??= new GrowingBytes(this.#maxPayload, kept.length);
      this.#body.append(kept);
    }
    this.#gap = kept.length < bytes;
  }

  #finish(head: RawMessage, piece: Uint8Array, bytes: number, emit: OnMessage): void {
    let payload = piece.subarray(0, this.#maxPayload);
    if (this.#position > bytes) {
      this.#keep(piece, bytes);
      payload = this.#body?.view() ?? new Uint8Array(0);
    }
    const message = { raw: this.#first ?? withoutPayload(head), payload, length: this.#length };
    this.#reset();
    emit(message);
  }

  #loseSync(result: Consumed): Consumed {
    this.desynchronize();
    result.lost = true;
    return result;
  }

  #reset(): void {
    this.#prefixBytes = 0;
    this.#length = 0;
    this.#position = 0;
    this.#gap = false;
    this.#body = undefined;
    this.#first = undefined;
  }

  /** Looks for a boundary at the start of a piece, where programs put one: most write a message at once. */
  #synchronize(head: RawMessage, payload: Uint8Array, length: number): boolean {
    const lone = this.#lonePrefix;
    this.#lonePrefix = -1;
    const response = head.direction === 'response';
    if (lone >= 0 && looksLikeMessage(lone, payload, 0, response)) {
      this.#synced = true;
      this.#takePrefix(head, lone >> 8);
      this.#takePrefix(head, lone & 0xff);
      return true;
    }
    if (payload.length < 2) return false;
    const prefix = ((payload[0] as number) << 8) | (payload[1] as number);
    if (length === 2) this.#lonePrefix = prefix;
    this.#synced = looksLikeMessage(prefix, payload, 2, response);
    return this.#synced;
  }
}

/**
 * Whether a DNS header of this direction and with at most one question stands at `at` (RFC 1035 section 4.1.1; the Z
 * bit must be zero; opcodes 3 and above 6 are not assigned), in a message of a length that can hold it.
 */
function looksLikeMessage(length: number, bytes: Uint8Array, at: number, response: boolean): boolean {
  if (length < HEADER || bytes.length < at + HEADER) return false;
  const flags = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  const opcode = (flags >> 11) & 15;
  const questions = ((bytes[at + 4] as number) << 8) | (bytes[at + 5] as number);
  if (((flags & 0x8000) !== 0) !== response || (flags & 0x40) !== 0) return false;
  if (opcode > 6 || opcode === 3 || questions > 1) return false;
  if (response) return true;
  // A request has rcode 0, one question (or none: DSO, cookie only), no recursion-available bit, and few records.
  return (flags & 0x8f) === 0 && bytes[at + 6] === 0 && bytes[at + 8] === 0 && bytes[at + 10] === 0;
}
