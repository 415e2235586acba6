/**
 * Memory of the requests in flight: slots of words (fields.ts and SLOT), and of the request's bytes. Flat and reserved once; the
 * system gives memory only for slots that were used, and the one freed last is used first, so what is resident follows the
 * peak in flight.
 */
import type { Message } from '../dns/message.ts';
import type { Owner, ProcessIdentity, TraceContext } from '../model.ts';
import { copyWords, type Envelope } from './envelope.ts';
import { MESSAGE_WORDS } from './fields.ts';

/** Words of a slot behind those of its message. */
export const SLOT = {
  /** Message id (16 bits; -1: it had none), captured and whole length of the message, where its questions end. */
  ID: MESSAGE_WORDS,
  CAPTURED: MESSAGE_WORDS + 1,
  LENGTH: MESSAGE_WORDS + 2,
  QUESTIONS_END: MESSAGE_WORDS + 3,
  /** The lookup this is a further attempt of, and the next attempt of it: slot + 1, 0 = none. */
  LOOKUP: MESSAGE_WORDS + 4,
  NEXT_ATTEMPT: MESSAGE_WORDS + 5,
  RETRIES: MESSAGE_WORDS + 6,
  /** Keys of an answer to it (keys.ts). */
  ANSWER_KEY: MESSAGE_WORDS + 7,
} as const;

export const SLOT_WORDS = MESSAGE_WORDS + 8;
/** A longer message has memory of its own. */
const MESSAGE_BYTES = 256;

export class Slab {
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #long = new Map<number, Uint8Array>();
  readonly owners: (Owner | undefined)[] = [];
  readonly traces: (TraceContext | undefined)[] = [];
  readonly processes: (ProcessIdentity | undefined)[] = [];
  /** Freed slots, the last one first; above them slots never used. */
  readonly #free: Int32Array;
  #freed = 0;
  #used = 0;
  readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.words = new Int32Array(capacity * SLOT_WORDS);
    this.#bytes = new Uint8Array(capacity * MESSAGE_BYTES);
    this.#free = new Int32Array(capacity);
  }

  /** A slot with a copy of this request. The callers' bounds leave one free. */
  take(envelope: Envelope, message: Message, process: ProcessIdentity): number {
    if (this.#freed === 0 && this.#used === this.capacity) throw new Error('no slot is free');
    const slot = this.#freed > 0 ? (this.#free[--this.#freed] as number) : this.#used++;
    const { words } = this;
    const at = slot * SLOT_WORDS;
    copyWords(envelope.words, envelope.at, words, at);
    words[at + SLOT.ID] = message.id;
    words[at + SLOT.CAPTURED] = message.captured;
    words[at + SLOT.LENGTH] = message.length;
    words[at + SLOT.QUESTIONS_END] = message.questionsEnd;
    words[at + SLOT.LOOKUP] = 0;
    words[at + SLOT.NEXT_ATTEMPT] = 0;
    words[at + SLOT.RETRIES] = 0;
    this.#putBytes(slot, message);
    this.owners[slot] = envelope.owner;
    this.traces[slot] = envelope.trace;
    this.processes[slot] = process;
    return slot;
  }

  free(slot: number): void {
    this.owners[slot] = undefined;
    this.traces[slot] = undefined;
    this.processes[slot] = undefined;
    if ((this.words[slot * SLOT_WORDS + SLOT.CAPTURED] as number) > MESSAGE_BYTES) this.#long.delete(slot);
    this.#free[this.#freed++] = slot;
  }

  /** Lets the view show the slot. */
  show(slot: number, envelope: Envelope): void {
    envelope.words = this.words;
    envelope.at = slot * SLOT_WORDS;
    envelope.owner = this.owners[slot];
    envelope.trace = this.traces[slot];
  }

  /** Reads the slot's request. */
  parse(slot: number, message: Message): void {
    const at = slot * SLOT_WORDS;
    const captured = this.words[at + SLOT.CAPTURED] as number;
    const length = this.words[at + SLOT.LENGTH] as number;
    const long = captured > MESSAGE_BYTES ? this.#long.get(slot) : undefined;
    if (long === undefined) message.parse(this.#bytes, slot * MESSAGE_BYTES, captured, length);
    else message.parse(long, 0, captured, length);
  }

  /** Whether the questions are the same byte for byte. */
  hasQuestions(slot: number, message: Message): boolean {
    const end = this.words[slot * SLOT_WORDS + SLOT.QUESTIONS_END] as number;
    if (end !== message.questionsEnd || end > MESSAGE_BYTES) return false;
    const { bytes, base } = message;
    const own = slot * MESSAGE_BYTES;
    for (let i = HEADER; i < end; i++) if (this.#bytes[own + i] !== bytes[base + i]) return false;
    return true;
  }

  /** Whether the request has a question that was read. */
  isQuestionRead(slot: number): boolean {
    return (this.words[slot * SLOT_WORDS + SLOT.QUESTIONS_END] as number) > HEADER;
  }

  #putBytes(slot: number, { bytes, base, captured }: Message): void {
    if (captured > MESSAGE_BYTES) {
      this.#long.set(slot, bytes.slice(base, base + captured));
      return;
    }
    const own = slot * MESSAGE_BYTES;
    for (let i = 0; i < captured; i++) this.#bytes[own + i] = bytes[base + i] as number;
  }
}

/** Bytes of a message header. */
const HEADER = 12;
