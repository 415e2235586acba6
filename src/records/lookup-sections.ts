/** The sections of a message as attributes: questions, answers, and what an UPDATE or NOTIFY has in their place. */
import { QUESTION, QUESTION_WORDS, RECORD, RECORD_MALFORMED, RECORD_WORDS } from '../dns/frame.ts';
import type { Message } from '../dns/message.ts';
import type { LookupView } from '../lookup/view.ts';
import type { ProtobufWriter } from '../otlp/encode.ts';
import { CLASSES, className, OPCODES, opcodeName } from '../tables/classes.ts';
import { isAddressType, typeName } from '../tables/rrtypes.ts';
import { AttributeKey, beginText, endText } from './attribute-writer.ts';
import { Mnemonics } from './mnemonics.ts';
import { MAX_CHARACTERS } from './record-common.ts';

/** Questions, or records of a section. */
export const MAX_LISTED = 100;

/** Where the first question's name begins. */
export const FIRST_QUESTION = 12;
export const TYPES = new Mnemonics('dns.question.type', typeName);
export const OPCODE_NAMES = new Mnemonics('dns.op_code', opcodeName);
const QUESTION_CLASSES = new Mnemonics('dns.question.class', className);

const SPACE = 0x20;
const ELLIPSIS = Uint8Array.from(Buffer.from('…'));

const QUESTION_NAME = new AttributeKey('dns.question.name');
const QUESTIONS = new AttributeKey('whodns.questions');
const QUESTIONS_OMITTED = new AttributeKey('whodns.questions.omitted');
const ADDRESSES = new AttributeKey('dns.answers');
const ANSWERS = new AttributeKey('whodns.answers');
const ANSWERS_OMITTED = new AttributeKey('whodns.answers.omitted');
const MESSAGES = new AttributeKey('whodns.answers.messages');
const BYTES = new AttributeKey('whodns.answers.bytes');
const RECORDS = new AttributeKey('whodns.answers.records');
const PREREQUISITES = new AttributeKey('whodns.update.prerequisites');
const UPDATES = new AttributeKey('whodns.update.updates');
const UPDATES_OMITTED = new AttributeKey('whodns.update.omitted');
const NOTIFIED = new AttributeKey('whodns.notify.records');

/** The first question by its parts; all of them where there are more. */
export function writeQuestions(writer: ProtobufWriter, message: Message): void {
  const { questionsRead } = message;
  if (questionsRead === 0) return;
  const name = QUESTION_NAME.begin(writer);
  message.writeName(writer, FIRST_QUESTION);
  QUESTION_NAME.endText(writer, name);
  writer.raw(TYPES.of(message.questionType).attribute);
  if (message.questionClass !== CLASSES.IN) writer.raw(QUESTION_CLASSES.of(message.questionClass).attribute);
  if (questionsRead > 1) writeAll(writer, message);
}

function writeAll(writer: ProtobufWriter, message: Message): void {
  const { questionsRead } = message;
  const kept = Math.min(questionsRead, MAX_LISTED);
  const list = QUESTIONS.begin(writer);
  for (let question = 0; question < kept; question++) {
    const item = beginText(writer);
    writeQuestion(writer, message, question * QUESTION_WORDS);
    cutText(writer, item);
    endText(writer, item);
  }
  QUESTIONS.endList(writer, list);
  if (kept < questionsRead) QUESTIONS_OMITTED.integer(writer, questionsRead - kept);
}

/** Name, type, and the class where it is not IN. */
function writeQuestion(writer: ProtobufWriter, message: Message, word: number): void {
  const { questionWords } = message;
  message.writeName(writer, questionWords[word + QUESTION.NAME] as number);
  writeSpace(writer);
  writer.raw(TYPES.of(questionWords[word + QUESTION.TYPE] as number).text);
  writeClass(writer, questionWords[word + QUESTION.CLASS] as number);
}

/** The answer section of a QUERY; of a zone transfer that of its first message, and how much there was. */
export function writeAnswers(writer: ProtobufWriter, lookup: LookupView): void {
  const { message } = lookup.answer;
  if (lookup.answerMessages > 0) writeTransfer(writer, lookup);
  const { answerCount } = message;
  if (answerCount === 0) return;
  const kept = Math.min(answerCount, MAX_LISTED);
  if (firstAddress(message, kept) >= 0) {
    const list = ADDRESSES.begin(writer);
    for (let record = 0; record < kept; record++) {
      if (!isAddress(message, record)) continue;
      const item = beginText(writer);
      message.writeRdata(writer, record);
      endText(writer, item);
    }
    ADDRESSES.endList(writer, list);
  }
  const list = ANSWERS.begin(writer);
  for (let record = 0; record < kept; record++) {
    const item = beginText(writer);
    writeRecord(writer, message, record);
    cutText(writer, item);
    endText(writer, item);
  }
  ANSWERS.endList(writer, list);
  const all = Math.max(answerCount, lookup.answerMessages > 0 ? lookup.answerRecords : 0);
  if (kept < all) ANSWERS_OMITTED.integer(writer, all - kept);
}

function writeTransfer(writer: ProtobufWriter, lookup: LookupView): void {
  MESSAGES.integer(writer, lookup.answerMessages);
  BYTES.integer(writer, lookup.answerBytes);
  RECORDS.integer(writer, lookup.answerRecords);
}

/**
 * What a request that is no QUERY says: prerequisites stand in the answer section of an UPDATE, updates in its authority section
 * (RFC 2136 section 2); a NOTIFY may tell the new records in its answer section (RFC 1996 section 3.7).
 */
export function writeUpdate(writer: ProtobufWriter, message: Message): void {
  const { opcode, answerCount, authorityCount } = message;
  if (opcode === OPCODES.NOTIFY) writeSection(writer, NOTIFIED, message, 0, answerCount);
  if (opcode !== OPCODES.UPDATE) return;
  const left =
    writeSection(writer, PREREQUISITES, message, 0, answerCount) +
    writeSection(writer, UPDATES, message, answerCount, authorityCount);
  if (left > 0) UPDATES_OMITTED.integer(writer, left);
}

/** @returns how many were left out */
function writeSection(
  writer: ProtobufWriter,
  key: AttributeKey,
  message: Message,
  first: number,
  count: number,
): number {
  if (count === 0) return 0;
  const kept = Math.min(count, MAX_LISTED);
  const list = key.begin(writer);
  for (let record = first; record < first + kept; record++) {
    const item = beginText(writer);
    writeChange(writer, message, record);
    cutText(writer, item);
    endText(writer, item);
  }
  key.endList(writer, list);
  return count - kept;
}

/** Name, TTL, type, data. */
function writeRecord(writer: ProtobufWriter, message: Message, record: number): void {
  writeHead(writer, message, record);
  writeSpace(writer);
  message.writeRdata(writer, record);
}

function writeHead(writer: ProtobufWriter, message: Message, record: number): void {
  const { records } = message;
  const word = record * RECORD_WORDS;
  message.writeName(writer, records[word + RECORD.OWNER] as number);
  writeSpace(writer);
  writer.decimal((records[word + RECORD.TTL] as number) >>> 0);
  writeSpace(writer);
  writer.raw(TYPES.of(records[word + RECORD.TYPE] as number).text);
}

/** Name, TTL, type, the class, which says what is meant, unless it is IN, and data if there is some. */
function writeChange(writer: ProtobufWriter, message: Message, record: number): void {
  const { records } = message;
  const word = record * RECORD_WORDS;
  writeHead(writer, message, record);
  writeClass(writer, records[word + RECORD.CLASS] as number);
  if (records[word + RECORD.START] === records[word + RECORD.END]) return;
  writeSpace(writer);
  message.writeRdata(writer, record);
}

function writeClass(writer: ProtobufWriter, value: number): void {
  if (value === CLASSES.IN) return;
  writeSpace(writer);
  writer.raw(QUESTION_CLASSES.of(value).text);
}

/** The top bit of a class is another thing in multicast DNS (RFC 6762 section 10.2). */
const CLASS_BITS = 0x7fff;

/** An address record whose RDATA was read. */
function isAddress({ records }: Message, record: number): boolean {
  const word = record * RECORD_WORDS;
  return (
    isAddressType(records[word + RECORD.TYPE] as number) &&
    ((records[word + RECORD.CLASS] as number) & CLASS_BITS) === CLASSES.IN &&
    records[word + RECORD.BITS] !== RECORD_MALFORMED
  );
}

/** The first of so many answers that is an address; -1: none is. */
export function firstAddress(message: Message, answers: number): number {
  for (let record = 0; record < answers; record++) if (isAddress(message, record)) return record;
  return -1;
}

function writeSpace(writer: ProtobufWriter): void {
  writer.reserve(1);
  writer.byte(SPACE);
}

/** `bounded` (record-common.ts) of ASCII text that was written since `start`. */
function cutText(writer: ProtobufWriter, start: number): void {
  if (writer.position - start <= MAX_CHARACTERS) return;
  writer.position = start + MAX_CHARACTERS - 1;
  writer.raw(ELLIPSIS);
}
