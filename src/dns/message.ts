import { ByteWriter } from '../lib/byte-writer.ts';
import type { DecodeError, DnsMessage, Edns, Question, ResourceRecord } from '../model.ts';
import { answerDigest, hashName, labelsBelow } from './compare.ts';
import { readOptions } from './edns.ts';
import { Frame, QUESTION, QUESTION_WORDS, RECORD, RECORD_WORDS } from './frame.ts';
import { readU16 } from './wire.ts';

const FLAG = {
  RESPONSE: 0x8000,
  AUTHORITATIVE: 0x0400,
  TRUNCATED: 0x0200,
  RECURSION_DESIRED: 0x0100,
  RECURSION_AVAILABLE: 0x0080,
  AUTHENTIC_DATA: 0x0020,
  CHECKING_DISABLED: 0x0010,
} as const;

/** Where the first name of a message is, and a pointer to it (RFC 1035 section 4.1.4). */
const FIRST_NAME = 12;
const TO_FIRST_NAME = 0xc000 | FIRST_NAME;

/** Where names and RDATA become strings. Not state: it is written before it is read. */
const scratch = new ByteWriter(1024);

/**
 * One DNS message where it lies: a view that is used for one message after the other. `parse` frames it; questions, records and
 * EDNS are decoded when they are asked for, so the bytes must still be there then: `keep`.
 */
export class Message extends Frame implements DnsMessage {
  #questions: readonly Question[] | undefined;
  #answers: readonly ResourceRecord[] | undefined;
  #edns: Edns | undefined;
  /** The name that was asked for last by a pointer alone, and that pointer: most records share an owner, which is the question's name. */
  #pointer = -1;
  #pointed = '';

  override parse(bytes: Uint8Array, base: number, captured: number, length: number): this {
    this.#questions = undefined;
    this.#answers = undefined;
    this.#edns = undefined;
    this.#pointer = -1;
    return super.parse(bytes, base, captured, length);
  }

  /** The same with bytes of its own. */
  keep(): Message {
    const bytes = new Uint8Array(this.bytes.subarray(this.base, this.limit));
    return new Message().parse(bytes, 0, this.captured, this.length);
  }

  /** 32 bits of the first question's name, case folded; the seed where there is no question. */
  hashName(seed: number): number {
    if (this.questionsRead === 0) return seed;
    return hashName(this, seed, this.questionWords[QUESTION.NAME] as number);
  }

  /** Type of a question that was read. */
  typeAsked(question: number): number {
    return this.questionWords[question * QUESTION_WORDS + QUESTION.TYPE] as number;
  }

  /** Whether a question that was read is for the domain, or a name below it. @param domain labels in lower case, the last one first */
  asksBelow(question: number, domain: readonly Uint8Array[]): boolean {
    return this.labelsAskedBelow(question, domain) >= 0;
  }

  /** How many labels it has below the domain: 0 is the domain itself, -1 that it is not in it. */
  labelsAskedBelow(question: number, domain: readonly Uint8Array[]): number {
    const name = this.questionWords[question * QUESTION_WORDS + QUESTION.NAME] as number;
    return labelsBelow(this, name, domain);
  }

  /** The name of a question that was read; kept where it was decoded before. */
  nameAsked(question: number): string {
    return this.nameAt(this.questionWords[question * QUESTION_WORDS + QUESTION.NAME] as number);
  }

  /** 32 bits of what it answers: response code and answer records, in any order and without their TTLs. */
  digest(seed: number): number {
    return answerDigest(this, seed);
  }

  /** The name at an offset from QUESTION.NAME or RECORD.OWNER as a string. */
  nameAt(offset: number): string {
    const pointer = offset === FIRST_NAME ? TO_FIRST_NAME : readU16(this.bytes, this.base + offset);
    if (pointer === this.#pointer) return this.#pointed;
    scratch.position = 0;
    this.writeName(scratch, offset);
    const name = scratch.latin1();
    if (pointer >= 0xc000) {
      this.#pointer = pointer;
      this.#pointed = name;
    }
    return name;
  }

  get response(): boolean {
    return (this.flags & FLAG.RESPONSE) !== 0;
  }

  get authoritative(): boolean {
    return (this.flags & FLAG.AUTHORITATIVE) !== 0;
  }

  get truncated(): boolean {
    return (this.flags & FLAG.TRUNCATED) !== 0;
  }

  get recursionDesired(): boolean {
    return (this.flags & FLAG.RECURSION_DESIRED) !== 0;
  }

  get recursionAvailable(): boolean {
    return (this.flags & FLAG.RECURSION_AVAILABLE) !== 0;
  }

  get authenticData(): boolean {
    return (this.flags & FLAG.AUTHENTIC_DATA) !== 0;
  }

  get checkingDisabled(): boolean {
    return (this.flags & FLAG.CHECKING_DISABLED) !== 0;
  }

  get questions(): readonly Question[] {
    this.#questions ??= this.#decodeQuestions();
    return this.#questions;
  }

  get answers(): readonly ResourceRecord[] {
    this.#answers ??= this.#decodeRecords(0, this.answerCount);
    return this.#answers;
  }

  get authorities(): readonly ResourceRecord[] {
    return this.#decodeRecords(this.answerCount, this.authorityCount);
  }

  get additionals(): readonly ResourceRecord[] {
    return this.#decodeRecords(this.answerCount + this.authorityCount, this.additionalCount);
  }

  get edns(): Edns | undefined {
    if (!this.hasEdns) return undefined;
    this.nameBudget = this.ednsNameBudget;
    this.lastTarget = this.ednsLastTarget;
    this.#edns ??= {
      version: this.ednsVersion,
      udpSize: this.ednsUdpSize,
      do: this.ednsDo === 1,
      extendedRcode: this.rcode >> 4,
      ...readOptions(this, this.base + this.ednsStart, this.base + this.ednsEnd),
    };
    return this.#edns;
  }

  get malformed(): DecodeError | undefined {
    const { malformedReason: reason, malformedOffset: offset } = this;
    return reason === undefined ? undefined : { reason, offset };
  }

  #decodeQuestions(): readonly Question[] {
    const { questionWords: words } = this;
    const questions: Question[] = [];
    for (let i = 0; i < this.questionsRead; i++) {
      const word = i * QUESTION_WORDS;
      questions.push({
        name: this.nameAt(words[word + QUESTION.NAME] as number),
        type: words[word + QUESTION.TYPE] as number,
        class: words[word + QUESTION.CLASS] as number,
      });
    }
    return questions;
  }

  #decodeRecords(first: number, count: number): readonly ResourceRecord[] {
    const { records } = this;
    const decoded: ResourceRecord[] = [];
    for (let record = first; record < first + count; record++) {
      const word = record * RECORD_WORDS;
      const name = this.nameAt(records[word + RECORD.OWNER] as number);
      scratch.position = 0;
      this.writeRdata(scratch, record);
      decoded.push({
        name,
        type: records[word + RECORD.TYPE] as number,
        class: records[word + RECORD.CLASS] as number,
        ttl: (records[word + RECORD.TTL] as number) >>> 0,
        data: scratch.latin1(),
      });
    }
    return decoded;
  }
}

/**
 * A message on its own, for what is not hot. The result reads from `bytes`.
 *
 * @param length how many bytes there were; more than `bytes.length` when the copy was cut.
 */
export function decodeMessage(bytes: Uint8Array, length: number = bytes.length): Message {
  return new Message().parse(bytes, 0, bytes.length, length);
}
