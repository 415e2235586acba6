import type { ByteWriter } from '../lib/byte-writer.ts';
import { OPCODES } from '../tables/classes.ts';
import type { DecodeReason } from '../tables/decode-errors.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';
import { checkOptions } from './edns.ts';
import { skipName, writeName } from './name.ts';
import { checkRdata, writeRdata } from './rdata.ts';
import { writeUnknown } from './text.ts';
import { RECORD_LIMIT, readU16, readU32, Wire } from './wire.ts';

const HEADER = 12;
/** Bytes of a record between its owner and its RDATA. */
const RECORD_HEAD = 10;

/** Indices of the words of one record in `Message.records`. Offsets count from the start of the message. */
export const RECORD = {
  OWNER: 0,
  TYPE: 1,
  CLASS: 2,
  /** 32 bits, to be read by `>>> 0`. */
  TTL: 3,
  /** RDATA. */
  START: 4,
  END: 5,
  /** 1: RDATA breaks the rules of its type. */
  BITS: 6,
} as const;
export const RECORD_WORDS = 7;
export const RECORD_MALFORMED = 1;

/** Indices of the words of one question in `Message.questionWords`. */
export const QUESTION = { NAME: 0, TYPE: 1, CLASS: 2 } as const;
export const QUESTION_WORDS = 3;

/**
 * The frame of one DNS message (RFC 1035 section 4.1, without the length prefix of TCP): numbers of the header, and where its
 * questions, records and options are. `parse` checks everything and makes no garbage.
 *
 * Malformed bytes set `malformedReason` to the first thing that was wrong; what stands before it is framed, and records after
 * it too where only RDATA was wrong (its length keeps the framing). OPT records appear as EDNS, not among the additional
 * records. `rcode` has the extension bits only if the OPT record was reached. Work is bounded: RECORD_LIMIT, NAME_BUDGET,
 * PART_BUDGET.
 */
export class Frame extends Wire {
  /** Bytes captured from `base` on, at most 65 535, and bytes there were. */
  captured = 0;
  length = 0;

  /** Numbers of a header that was not read are -1, its flags 0. */
  id = -1;
  /** 16 bits as on the wire. */
  flags = 0;
  opcode = -1;
  /** With the EDNS extension bits. */
  rcode = -1;
  /** What the header says. */
  questionCount = -1;

  /** Questions framed, and QUESTION_WORDS for each of them. */
  questionsRead = 0;
  questionWords = new Int32Array(QUESTION_WORDS);
  /** Of the first question; -1: there is none. */
  questionType = -1;
  questionClass = -1;
  /** Offsets: after the name of the first question, after all questions. */
  questionNameEnd = HEADER;
  questionsEnd = HEADER;

  /** Records framed in each section, and RECORD_WORDS for each of them in this order. */
  answerCount = 0;
  authorityCount = 0;
  additionalCount = 0;
  records = new Int32Array(4 * RECORD_WORDS);

  hasEdns = false;
  ednsVersion = 0;
  ednsUdpSize = 0;
  /** 0 or 1. */
  ednsDo = 0;
  /** Offsets of the options that were read. */
  ednsStart = 0;
  ednsEnd = 0;
  /** The budget of names when they were reached, and the last target: they are read with the same each time. */
  ednsNameBudget = 0;
  ednsLastTarget = -1;

  /** Questions and records that may still be framed, and how many records are. */
  #left = 0;
  #framed = 0;

  /**
   * @param bytes the memory that holds the message from `base` on
   * @param captured bytes of it that are there
   * @param length bytes there were; more than `captured` when the copy was cut
   */
  parse(bytes: Uint8Array, base: number, captured: number, length: number): this {
    this.#reset(bytes, base, captured, length);
    const cut = this.cut;
    if (captured < HEADER) {
      this.#noHeader();
      this.fail(cut ? 'cut' : 'short_header', base + captured);
      return this;
    }
    this.id = readU16(bytes, base);
    this.flags = readU16(bytes, base + 2);
    this.opcode = (this.flags >> 11) & 15;
    this.rcode = this.flags & 15;
    this.questionCount = readU16(bytes, base + 4);
    let at = this.#frameQuestions(base + HEADER);
    at = this.#frameRecords(at, readU16(bytes, base + 6), false);
    this.answerCount = this.#framed;
    at = this.#frameRecords(at, readU16(bytes, base + 8), false);
    this.authorityCount = this.#framed - this.answerCount;
    at = this.#frameRecords(at, readU16(bytes, base + 10), true);
    this.additionalCount = this.#framed - this.answerCount - this.authorityCount;
    // DNS Stateful Operations have TLVs in place of the sections (RFC 8490 section 5.4).
    if (at >= 0 && at - base < length && this.opcode !== OPCODES.DSO) this.fail('trailing_bytes', at);
    return this;
  }

  #reset(bytes: Uint8Array, base: number, captured: number, length: number): void {
    this.bytes = bytes;
    this.base = base;
    this.captured = captured;
    this.length = length;
    this.limit = base + captured;
    this.cut = length > captured;
    this.refill();
    this.malformedReason = undefined;
    this.malformedOffset = -1;
    this.questionsRead = 0;
    this.questionType = -1;
    this.questionClass = -1;
    this.questionNameEnd = HEADER;
    this.questionsEnd = HEADER;
    this.answerCount = 0;
    this.authorityCount = 0;
    this.additionalCount = 0;
    this.hasEdns = false;
    this.ednsVersion = 0;
    this.ednsUdpSize = 0;
    this.ednsDo = 0;
    this.ednsStart = 0;
    this.ednsEnd = 0;
    this.#left = RECORD_LIMIT;
    this.#framed = 0;
  }

  #noHeader(): void {
    this.id = -1;
    this.flags = 0;
    this.opcode = -1;
    this.rcode = -1;
    this.questionCount = -1;
  }

  /** @returns the index after the questions; -1 where the framing is lost: nothing after that can be read. */
  #frameQuestions(start: number): number {
    const { bytes, base, limit } = this;
    let at = start;
    for (let i = 0; i < this.questionCount; i++) {
      if (this.#left-- === 0) return this.#lose('record_limit', at);
      const next = skipName(this, at, limit);
      if (next < 0) return -1;
      if (next + 4 > limit) return this.#lose(this.cut ? 'cut' : 'short_question', limit);
      const type = readU16(bytes, next);
      const questionClass = readU16(bytes, next + 2);
      const word = i * QUESTION_WORDS;
      if (word === this.questionWords.length) this.questionWords = doubled(this.questionWords);
      this.questionWords[word + QUESTION.NAME] = at - base;
      this.questionWords[word + QUESTION.TYPE] = type;
      this.questionWords[word + QUESTION.CLASS] = questionClass;
      at = next + 4;
      this.questionsRead = i + 1;
      this.questionsEnd = at - base;
      if (i > 0) continue;
      this.questionType = type;
      this.questionClass = questionClass;
      this.questionNameEnd = next - base;
    }
    return at;
  }

  /** @returns as #frameQuestions, which may be `start` already */
  #frameRecords(start: number, count: number, isAdditional: boolean): number {
    let at = start;
    for (let i = 0; i < count && at >= 0; i++) {
      if (this.#left-- === 0) return this.#lose('record_limit', at);
      at = this.#frameRecord(at, isAdditional);
    }
    return at;
  }

  #frameRecord(at: number, isAdditional: boolean): number {
    const { bytes, base, limit } = this;
    const head = skipName(this, at, limit);
    if (head < 0) return -1;
    const isRoot = this.nameOctets === 1;
    const start = head + RECORD_HEAD;
    const end = start > limit ? start : start + readU16(bytes, head + 8);
    if (end > limit) return this.#lose(this.cut ? 'cut' : 'short_record', limit);
    const type = readU16(bytes, head);
    const recordClass = readU16(bytes, head + 2);
    if (type === RR_TYPES.OPT) {
      if (!isAdditional || !isRoot) this.fail('opt_misplaced', at);
      else if (this.hasEdns) this.fail('opt_duplicate', at);
      else return this.#frameOptions(head, start, end);
    }
    const isValid = checkRdata(this, type, recordClass, start, end);
    const word = this.#framed++ * RECORD_WORDS;
    if (word === this.records.length) this.records = doubled(this.records);
    const { records } = this;
    records[word + RECORD.OWNER] = at - base;
    records[word + RECORD.TYPE] = type;
    records[word + RECORD.CLASS] = recordClass;
    records[word + RECORD.TTL] = readU32(bytes, head + 4);
    records[word + RECORD.START] = start - base;
    records[word + RECORD.END] = end - base;
    records[word + RECORD.BITS] = isValid ? 0 : RECORD_MALFORMED;
    return end;
  }

  #frameOptions(head: number, start: number, end: number): number {
    const { bytes, base } = this;
    this.hasEdns = true;
    this.ednsUdpSize = readU16(bytes, head + 2);
    this.rcode |= (bytes[head + 4] as number) << 4;
    this.ednsVersion = bytes[head + 5] as number;
    this.ednsDo = (bytes[head + 6] as number) >> 7;
    this.ednsNameBudget = this.nameBudget;
    this.ednsLastTarget = this.lastTarget;
    this.ednsStart = start - base;
    this.ednsEnd = checkOptions(this, start, end) - base;
    return end;
  }

  #lose(reason: DecodeReason, at: number): -1 {
    this.fail(reason, at);
    return -1;
  }

  /** Writes the name at an offset from QUESTION.NAME or RECORD.OWNER in presentation form. */
  writeName(out: ByteWriter, offset: number): void {
    writeName(this, out, this.base + offset);
  }

  /** Writes the RDATA of a record, by its index in `records`; in RFC 3597 form where it is malformed or its type not known. */
  writeRdata(out: ByteWriter, record: number): void {
    const { records, base } = this;
    const word = record * RECORD_WORDS;
    const start = base + (records[word + RECORD.START] as number);
    const end = base + (records[word + RECORD.END] as number);
    const type = records[word + RECORD.TYPE] as number;
    const recordClass = records[word + RECORD.CLASS] as number;
    if (records[word + RECORD.BITS] === RECORD_MALFORMED) writeUnknown(out, this.bytes, start, end);
    else writeRdata(this, out, type, recordClass, start, end);
  }
}

function doubled(words: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(words.length * 2);
  larger.set(words);
  return larger;
}
