/** What holds of every message, however hostile: judged by code of its own, not by src/dns. */
import assert from 'node:assert/strict';
import { sameName, sameQuestions } from '../../src/dns/compare.ts';
import { QUESTION, QUESTION_WORDS, RECORD, RECORD_MALFORMED, RECORD_WORDS } from '../../src/dns/frame.ts';
import { Message } from '../../src/dns/message.ts';
import { ByteWriter } from '../../src/lib/byte-writer.ts';
import type { DnsMessage } from '../../src/model.ts';
import { DECODE_ERRORS } from '../../src/tables/decode-errors.ts';
import { Random } from './mutate.ts';

/** Bytes of a message that is large. */
const LARGE = 10_000;
/** Bytes of others around the message. */
const MARGIN = 300;
/** Records of which the text is checked; of a message with more, some by chance. */
const CHECKED_RECORDS = 48;
/** Labels of 255 octets in all, each at most four characters. */
const MAX_CHARACTERS = 1016;

/** Asks for everything that is decoded when it is asked for. */
export function decodeAll<T extends DnsMessage>(message: T): T {
  const { questions, answers, authorities, additionals, edns } = message;
  if (questions.length + answers.length + authorities.length + additionals.length > 1024 || edns === null)
    assert.fail('more than the limit');
  return message;
}

/** Never makes more room than it was asked for: what is written beyond that is lost, and seen. */
class TightWriter extends ByteWriter {
  override reserve(count: number): void {
    const needed = this.position + count;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.alloc(needed);
    this.bytes.copy(larger, 0, 0, this.position);
    this.bytes = larger;
  }

  empty(): void {
    this.bytes = Buffer.alloc(0);
    this.position = 0;
  }
}

export class MessagePromises {
  readonly #random: Random;
  readonly #memory = new Uint8Array(0x10000 + 2 * MARGIN);
  readonly #view = new Message();
  readonly #alone = new Message();
  readonly #out = new ByteWriter(1024);
  readonly #tight = new TightWriter(0);
  #checked = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** Parses the bytes alone, and amid others in one large buffer: both must agree, and keep what is promised. */
  check(bytes: Uint8Array, length: number): void {
    const message = this.#alone.parse(bytes, 0, bytes.length, length);
    checkNumbers(message, bytes, length);
    const view = this.#amidOthers(bytes, length);
    checkSame(message, view);
    // The texts of large ones are long: of some only, and not by the careful writer.
    this.#checked++;
    const isLarge = bytes.length >= LARGE;
    if (isLarge && this.#checked % 8 > 0) return;
    this.#checkTexts(message, view);
    this.#checkComparisons(message, view);
    if (!isLarge && this.#checked % 16 === 0) this.#checkRoom(message);
  }

  #amidOthers(bytes: Uint8Array, length: number): Message {
    const base = this.#random.below(MARGIN);
    const end = base + bytes.length;
    this.#memory.fill(this.#random.of([0, 1, 0xc0, 0xff]), 0, base);
    this.#memory.set(bytes, base);
    this.#memory.fill(this.#random.of([0, 1, 0xc0, 0xff]), end, end + MARGIN);
    return this.#view.parse(this.#memory, base, bytes.length, length);
  }

  #checkTexts(message: Message, view: Message): void {
    for (let i = 0; i < Math.min(message.questionsRead, CHECKED_RECORDS); i++) {
      this.#checkName(message, view, message.questionWords[i * QUESTION_WORDS + QUESTION.NAME] as number);
    }
    const count = recordCount(message);
    for (let i = 0; i < Math.min(count, CHECKED_RECORDS); i++) {
      const record = count > CHECKED_RECORDS ? this.#random.below(count) : i;
      const word = record * RECORD_WORDS;
      this.#checkName(message, view, message.records[word + RECORD.OWNER] as number);
      const text = this.#text(() => message.writeRdata(this.#out, record));
      if (!isPrintable(text)) assert.fail(`not printable: ${JSON.stringify(text)}`);
      if (text !== this.#text(() => view.writeRdata(this.#out, record))) assert.fail('others changed RDATA');
      if (message.records[word + RECORD.BITS] !== RECORD_MALFORMED) continue;
      const rdata = message.bytes.subarray(
        message.records[word + RECORD.START],
        message.records[word + RECORD.END],
      );
      assert.equal(text, `\\# ${rdata.length} ${Buffer.from(rdata).toString('hex')}`.trimEnd());
    }
    for (const { data } of message.edns?.options ?? []) {
      if (!isPrintable(data)) assert.fail(`not printable: ${JSON.stringify(data)}`);
    }
  }

  /** What is written means the name that is on the wire. */
  #checkName(message: Message, view: Message, offset: number): void {
    const text = this.#text(() => message.writeName(this.#out, offset));
    if (text.length === 0 || text.length > MAX_CHARACTERS) assert.fail(`a name of ${text.length}`);
    if (text !== this.#text(() => view.writeName(this.#out, offset))) assert.fail('others changed a name');
    if (encoded(text) !== expanded(message.bytes, offset)) assert.fail(`not the name: ${text}`);
    assert.equal(sameName(message, offset, view, offset), 2);
  }

  #checkComparisons(message: Message, view: Message): void {
    assert.equal(sameQuestions(message, view, 0xffff), 2);
    assert.equal(message.hashName(7), view.hashName(7));
    assert.equal(message.digest(7), view.digest(7));
  }

  /** Everything that is written was reserved. */
  #checkRoom(message: Message): void {
    for (let record = 0; record < recordCount(message); record++) {
      for (const write of [
        (out: ByteWriter) => message.writeName(out, message.records[record * RECORD_WORDS] as number),
        (out: ByteWriter) => message.writeRdata(out, record),
      ]) {
        this.#tight.empty();
        write(this.#tight);
        const text = this.#text(() => write(this.#out));
        if (this.#tight.position > this.#tight.bytes.length || this.#tight.latin1() !== text)
          assert.fail(`written beyond what was reserved: ${text}`);
      }
    }
  }

  #text(write: () => void): string {
    this.#out.position = 0;
    write();
    return this.#out.latin1();
  }
}

function recordCount(message: Message): number {
  return message.answerCount + message.authorityCount + message.additionalCount;
}

function checkNumbers(message: Message, bytes: Uint8Array, length: number): void {
  const { malformed, questionsRead, questionsEnd, records } = message;
  if (malformed !== undefined) {
    if (!(malformed.reason in DECODE_ERRORS)) assert.fail(`reason ${malformed.reason}`);
    if (malformed.offset < 0 || malformed.offset > bytes.length) assert.fail(`offset ${malformed.offset}`);
    if (malformed.reason === 'cut' && length <= bytes.length) assert.fail('cut, but it is whole');
  }
  if (questionsRead > Math.max(message.questionCount, 0)) assert.fail('more questions than counted');
  if (questionsRead > 0 && questionsEnd > bytes.length) assert.fail(`questions end at ${questionsEnd}`);
  for (let record = 0; record < recordCount(message); record++) {
    const word = record * RECORD_WORDS;
    const [owner = 0, , , , start = 0, end = 0] = records.subarray(word, word + RECORD_WORDS);
    if (owner < questionsEnd || start < owner + 11 || end < start || end > bytes.length)
      assert.fail(`record at ${owner}, ${start} to ${end}`);
  }
  if (message.ednsStart > message.ednsEnd || message.ednsEnd > bytes.length) assert.fail('options beyond');
}

function checkSame(a: Message, b: Message): void {
  const numbers = (message: Message) => [
    message.id,
    message.flags,
    message.opcode,
    message.rcode,
    message.questionCount,
    message.questionsRead,
    message.questionType,
    message.questionClass,
    message.questionNameEnd,
    message.questionsEnd,
    message.answerCount,
    message.authorityCount,
    message.additionalCount,
    message.ednsUdpSize,
    message.ednsStart,
    message.ednsEnd,
    message.malformedReason,
    message.malformedOffset,
  ];
  const others = numbers(b);
  for (const [i, number] of numbers(a).entries())
    if (number !== others[i]) assert.fail('others changed numbers');
  for (let i = 0; i < a.questionsRead * QUESTION_WORDS; i++)
    if (a.questionWords[i] !== b.questionWords[i]) assert.fail('others changed questions');
  for (let i = 0; i < recordCount(a) * RECORD_WORDS; i++)
    if (a.records[i] !== b.records[i]) assert.fail('others changed records');
  if (a.hasEdns && JSON.stringify(a.edns) !== JSON.stringify(b.edns)) assert.fail('others changed options');
}

/** Text of a name back to labels, each with its length (RFC 1035 section 5.1). */
function encoded(text: string): string {
  if (text === '.') return '';
  let name = '';
  let label = '';
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string;
    if (character === '.') {
      name += String.fromCharCode(label.length) + label;
      label = '';
    } else if (character !== '\\') {
      label += character;
    } else if (/\d/.test(text[i + 1] as string)) {
      label += String.fromCharCode(Number(text.slice(i + 1, i + 4)));
      i += 3;
    } else {
      label += text[++i] as string;
    }
  }
  return name + String.fromCharCode(label.length) + label;
}

/** Labels with their lengths, pointers followed. */
function expanded(bytes: Uint8Array, offset: number): string {
  let name = '';
  for (let at = offset; bytes[at] !== 0; ) {
    const length = bytes[at] as number;
    if (length >= 0xc0) {
      at = (length & 0x3f) * 256 + (bytes[at + 1] as number);
    } else {
      name += Buffer.from(bytes.subarray(at, at + length + 1)).toString('latin1');
      at += length + 1;
    }
  }
  return name;
}

function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}
