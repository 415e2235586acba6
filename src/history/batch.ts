/**
 * Lookups as bytes for the thread that keeps them: numbers, the question and the answer as they were on the wire. What writes it is on
 * the hot path and makes no object; what reads it decodes.
 */
import { Message } from '../dns/message.ts';
import { FIELD, FIELD_BITS } from '../lookup/fields.ts';
import type { LookupView } from '../lookup/view.ts';
import type { Outcome, UnknownReason } from '../model.ts';
import { UNKNOWN_REASONS } from '../tables/unknown-reasons.ts';
import { OUTCOMES } from './schema.ts';

/** Of one buffer. */
export const BATCH_BYTES = 256 * 1024;
/** Of one message, more is cut: a long zone transfer is no answer to search in. */
const MAX_ASKED = 512;
const MAX_ANSWER = 16 * 1024;

export const REASONS = Object.keys(UNKNOWN_REASONS) as readonly UnknownReason[];

/** Words of a record's head; 64-bit numbers are two words, the lower first. Both messages follow, each padded to whole words. */
const HEAD = {
  /** Words of the record. */
  SIZE: 0,
  /** Index of OUTCOMES, index of REASONS + 1 << 4, BIT. */
  BITS: 1,
  PROCESS: 2,
  TIME: 3,
  /** ns; both -1: none. */
  DURATION: 5,
  /** Port of the server, retries << 16. */
  PORT: 7,
  SERVER: 8,
  /** Bytes of the message with the question, of the answer, and what there were of the answer. */
  ASKED: 12,
  ANSWER: 13,
  LENGTH: 14,
  /** Answer records of all messages where there may be several; 0: count. */
  RECORDS: 15,
} as const;
const HEAD_WORDS = 16;
const BIT = { TCP: 256, RESPONSE: 512, CONFLICTING: 1024 } as const;
const MAX_RETRIES = 255;
const HIGH = 0x1_0000_0000;
const WORD = 4;
/** Bytes up to which a loop is cheaper than the object that `subarray` makes. */
const SHORT = 256;
/** A buffer with less room than this is full. */
const MAX_RECORD = HEAD_WORDS * WORD + MAX_ASKED + MAX_ANSWER + 2 * WORD;

/** Fills one buffer. */
export class BatchWriter {
  readonly buffer: ArrayBuffer;
  count = 0;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #word = 0;

  constructor(buffer: ArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
  }

  get isFull(): boolean {
    return this.#bytes.length - this.#word * WORD < MAX_RECORD;
  }

  /** Only where it is not full. @param process the number that its identity was sent under */
  add(view: LookupView, process: number): void {
    const words = this.#words;
    const start = this.#word;
    const { request, answer, hasResponse, durationNs, asked } = view;
    const { raw } = request;
    const isDialed = (raw.words[raw.at + FIELD.BITS] as number) & FIELD_BITS.DIALED;
    const server = raw.at + (isDialed ? FIELD.DIALED : FIELD.REMOTE);
    const port = isDialed ? raw.dialedPort : raw.remotePort;
    const reason = view.reason === undefined ? 0 : REASONS.indexOf(view.reason) + 1;
    words[start + HEAD.BITS] =
      OUTCOMES.indexOf(view.outcome) |
      (reason << 4) |
      ((raw.words[raw.at + FIELD.BITS] as number) & FIELD_BITS.TCP ? BIT.TCP : 0) |
      (hasResponse ? BIT.RESPONSE : 0) |
      (view.conflictsWith === undefined ? 0 : BIT.CONFLICTING);
    words[start + HEAD.PROCESS] = process;
    words[start + HEAD.TIME] = raw.words[raw.at + FIELD.TIME] as number;
    words[start + HEAD.TIME + 1] = raw.words[raw.at + FIELD.TIME + 1] as number;
    words[start + HEAD.DURATION] = durationNs < 0 ? -1 : durationNs | 0;
    words[start + HEAD.DURATION + 1] = durationNs < 0 ? -1 : Math.floor(durationNs / HIGH);
    words[start + HEAD.PORT] = port | (Math.min(view.retries, MAX_RETRIES) << 16);
    for (let i = 0; i < 4; i++) words[start + HEAD.SERVER + i] = raw.words[server + i] as number;
    this.#word = start + HEAD_WORDS;
    words[start + HEAD.ASKED] = this.#copy(asked, Math.min(asked.questionsEnd, MAX_ASKED));
    words[start + HEAD.ANSWER] = hasResponse ? this.#copy(answer.message, MAX_ANSWER) : 0;
    words[start + HEAD.LENGTH] = hasResponse ? answer.message.length : 0;
    words[start + HEAD.RECORDS] = view.answerRecords;
    words[start + HEAD.SIZE] = this.#word - start;
    this.count++;
  }

  #copy({ bytes, base, captured }: Message, most: number): number {
    const length = Math.min(captured, most);
    const at = this.#word * WORD;
    if (length > SHORT) this.#bytes.set(bytes.subarray(base, base + length), at);
    else for (let i = 0; i < length; i++) this.#bytes[at + i] = bytes[base + i] as number;
    this.#word += (length + WORD - 1) >>> 2;
    return length;
  }
}

/** Reads what a BatchWriter wrote, one record after the other: what its fields say is of the record that `next` went to. */
export class BatchReader {
  /** The message with the question, and the answer where `hasResponse`. */
  readonly asked = new Message();
  readonly answer = new Message();
  hasResponse = false;
  outcome: Outcome = 'sent';
  /** Index of REASONS + 1; 0: none. */
  reason = 0;
  isTcp = false;
  isConflicting = false;
  process = 0;
  /** Unix µs, the fraction cut. */
  time = 0;
  /** µs; -1: none. */
  duration = -1;
  retries = 0;
  serverPort = 0;
  /** Words of the server's address in `words`. */
  server = 0;
  records = 0;
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  #word = 0;

  constructor(buffer: ArrayBuffer) {
    this.words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
  }

  next(): void {
    const { words } = this;
    const at = this.#word;
    const bits = words[at + HEAD.BITS] as number;
    this.outcome = OUTCOMES[bits & 15] ?? 'unknown';
    this.reason = (bits >> 4) & 15;
    this.isTcp = (bits & BIT.TCP) !== 0;
    this.hasResponse = (bits & BIT.RESPONSE) !== 0;
    this.isConflicting = (bits & BIT.CONFLICTING) !== 0;
    this.process = words[at + HEAD.PROCESS] as number;
    this.time = Math.floor(this.#number(at + HEAD.TIME) / 1000);
    const duration = this.#number(at + HEAD.DURATION);
    this.duration = duration < 0 ? -1 : Math.round(duration / 1000);
    const port = words[at + HEAD.PORT] as number;
    this.serverPort = port & 0xffff;
    this.retries = port >>> 16;
    this.server = at + HEAD.SERVER;
    const asked = words[at + HEAD.ASKED] as number;
    const answer = words[at + HEAD.ANSWER] as number;
    const base = (at + HEAD_WORDS) * WORD;
    // Cut, not malformed: the records behind the question were left out.
    this.asked.parse(this.#bytes, base, asked, asked + 1);
    if (this.hasResponse) {
      const behind = base + ((asked + WORD - 1) & ~(WORD - 1));
      this.answer.parse(this.#bytes, behind, answer, words[at + HEAD.LENGTH] as number);
    }
    this.records = words[at + HEAD.RECORDS] as number;
    this.#word += words[at + HEAD.SIZE] as number;
  }

  /** Exact to 256 ns for the time of day. */
  #number(at: number): number {
    return (this.words[at + 1] as number) * HIGH + ((this.words[at] as number) >>> 0);
  }
}
