/**
 * Comparing messages by their bytes, without strings. Names that differ only in how they are compressed are the same name; the
 * case of ASCII letters is folded where it says so (RFC 4343 section 3).
 */
import { ByteWriter } from '../lib/byte-writer.ts';
import { CLASSES } from '../tables/classes.ts';
import { isAddressType, RR_TYPES } from '../tables/rrtypes.ts';
import { type Frame, QUESTION, QUESTION_WORDS, RECORD, RECORD_MALFORMED, RECORD_WORDS } from './frame.ts';
import { labelAt, MAX_NAME } from './name.ts';

/** 2: byte for byte; 1: but for the case of letters; 0: others. */
export type Match = 0 | 1 | 2;

/** Octets with ASCII letters in lower case. */
const FOLDED = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet,
);

const AS_IS = Uint8Array.from({ length: 256 }, (_, octet) => octet);

/** Where RDATA with names in it is rendered to be hashed. Not state: it is written before it is read. */
const scratch = new ByteWriter(1024);

/** Compares the names at two offsets that `parse` has found. */
export function sameName(a: Frame, offsetA: number, b: Frame, offsetB: number): Match {
  const bytesA = a.bytes;
  const bytesB = b.bytes;
  let match: Match = 2;
  let atA = labelAt(a, a.base + offsetA);
  let atB = labelAt(b, b.base + offsetB);
  for (let left = MAX_NAME; left > 0 && atA < a.limit && atB < b.limit; ) {
    const length = bytesA[atA] as number;
    if (length !== bytesB[atB]) return 0;
    left -= length + 1;
    if (length === 0) return match;
    for (let i = 1; i <= length; i++) {
      const one = bytesA[atA + i] as number;
      const other = bytesB[atB + i] as number;
      if (one === other) continue;
      if (FOLDED[one] !== FOLDED[other]) return 0;
      match = 1;
    }
    atA = labelAt(a, atA + length + 1);
    atB = labelAt(b, atB + length + 1);
  }
  return 0;
}

/** Where the labels of the name at hand begin. Not state: it is written before it is read. */
const labelStarts = new Int32Array(MAX_NAME);

/**
 * How many labels the name at an offset has below the domain: 0 is the domain itself, -1 that it is not in it.
 *
 * @param domain its labels in lower case, the last one first
 */
export function labelsBelow(message: Frame, offset: number, domain: readonly Uint8Array[]): number {
  const { bytes, base, limit } = message;
  let count = 0;
  let left = MAX_NAME;
  for (let at = labelAt(message, base + offset); at < limit && left > 0; ) {
    const length = bytes[at] as number;
    if (length === 0) break;
    left -= length + 1;
    labelStarts[count++] = at;
    at = labelAt(message, at + length + 1);
  }
  if (count < domain.length) return -1;
  for (let i = 0; i < domain.length; i++)
    if (!isLabel(bytes, labelStarts[count - 1 - i] as number, domain[i] as Uint8Array)) return -1;
  return count - domain.length;
}

function isLabel(bytes: Uint8Array, at: number, label: Uint8Array): boolean {
  if (bytes[at] !== label.length) return false;
  for (let i = 0; i < label.length; i++) if (FOLDED[bytes[at + 1 + i] as number] !== label[i]) return false;
  return true;
}

/**
 * Compares the questions that were framed: their names, types and classes, in order.
 *
 * @param classMask bits of the class that count: 0x7fff leaves out the top bit, which mDNS uses (RFC 6762 section 5.4)
 */
export function sameQuestions(a: Frame, b: Frame, classMask: number): Match {
  if (a.questionsRead !== b.questionsRead) return 0;
  const wordsA = a.questionWords;
  const wordsB = b.questionWords;
  let match: Match = 2;
  for (let i = 0; i < a.questionsRead; i++) {
    const at = i * QUESTION_WORDS;
    if (wordsA[at + QUESTION.TYPE] !== wordsB[at + QUESTION.TYPE]) return 0;
    const classes = (wordsA[at + QUESTION.CLASS] as number) ^ (wordsB[at + QUESTION.CLASS] as number);
    if ((classes & classMask) !== 0) return 0;
    const names = sameName(a, wordsA[at + QUESTION.NAME] as number, b, wordsB[at + QUESTION.NAME] as number);
    if (names === 0) return 0;
    if (names === 1) match = 1;
  }
  return match;
}

/** Records looked at for one request: an honest request has some ten questions, its answer some ten records. */
const MAX_COMPARED = 4096;

/**
 * The names in the answer section of one message, read once for all requests that it may be to: multicast answers carry no question
 * (RFC 6762 section 6).
 */
export class AnswerNames {
  #response: Frame | undefined;
  #seed = 0;
  /** Of the owner of each answer record. */
  #hashes = new Int32Array(64);

  /** @param seed as of hashName */
  read(response: Frame, seed: number): void {
    const { answerCount, records } = response;
    this.#response = response;
    this.#seed = seed;
    if (this.#hashes.length < answerCount) this.#hashes = new Int32Array(answerCount);
    for (let record = 0; record < answerCount; record++)
      this.#hashes[record] = hashName(
        response,
        seed,
        records[record * RECORD_WORDS + RECORD.OWNER] as number,
      );
  }

  /** Whether an answer record bears the name and type of a question. False where that is not found in time. */
  answer(request: Frame): boolean {
    const response = this.#response;
    if (response === undefined) return false;
    const { questionWords } = request;
    const { records } = response;
    let left = MAX_COMPARED;
    for (let question = 0; question < request.questionsRead; question++) {
      const at = question * QUESTION_WORDS;
      const type = questionWords[at + QUESTION.TYPE] as number;
      const name = questionWords[at + QUESTION.NAME] as number;
      const hash = hashName(request, this.#seed, name);
      for (let record = 0; record < response.answerCount; record++) {
        if (left-- === 0) return false;
        if (this.#hashes[record] !== hash) continue;
        const word = record * RECORD_WORDS;
        if (type !== records[word + RECORD.TYPE] && type !== RR_TYPES.ANY) continue;
        if (sameName(request, name, response, records[word + RECORD.OWNER] as number) > 0) return true;
      }
    }
    return false;
  }
}

/** One step of FNV-1a. */
function step(hash: number, octet: number): number {
  return Math.imul(hash ^ octet, 0x01000193);
}

/** One round of MurmurHash3's finalizer over a 32-bit value. */
function mix(hash: number, value: number): number {
  const product = Math.imul(hash ^ value, 0x85ebca6b);
  return product ^ (product >>> 13);
}

/**
 * 32 bits of the name at an offset, case folded.
 *
 * @param seed of this start of the program: names come from the network, no one shall be able to aim for collisions
 */
export function hashName(message: Frame, seed: number, offset: number): number {
  return hashLabels(message, message.base + offset, seed, FOLDED);
}

/** @param letters what each octet counts as */
function hashLabels(message: Frame, start: number, seed: number, letters: Uint8Array): number {
  const { bytes, limit } = message;
  let hash = seed;
  let left = MAX_NAME;
  for (let at = labelAt(message, start); at < limit && left > 0; ) {
    const length = bytes[at] as number;
    if (length === 0) break;
    left -= length + 1;
    hash = step(hash, length);
    for (let i = at + 1; i <= at + length; i++) hash = step(hash, letters[bytes[i] as number] as number);
    at = labelAt(message, at + length + 1);
  }
  return mix(hash, 0);
}

/**
 * 32 bits of what an answer says: response code and answer records by type and RDATA, in any order and without their TTLs, which
 * differ between answers of one server that mean the same.
 */
export function answerDigest(message: Frame, seed: number): number {
  let sum = mix(seed, message.rcode + 1);
  for (let record = 0; record < message.answerCount; record++) {
    sum = (sum + hashRecord(message, record, seed)) | 0;
  }
  return sum;
}

function hashRecord(message: Frame, record: number, seed: number): number {
  const { records, base } = message;
  const word = record * RECORD_WORDS;
  const type = records[word + RECORD.TYPE] as number;
  const start = base + (records[word + RECORD.START] as number);
  const end = base + (records[word + RECORD.END] as number);
  const hash = mix(seed, type);
  if (
    isPlain(type, records[word + RECORD.CLASS] as number) ||
    records[word + RECORD.BITS] === RECORD_MALFORMED
  ) {
    return hashRange(message.bytes, start, end, hash);
  }
  // Of the others a name may be compressed in another way.
  if (type === RR_TYPES.CNAME && start < end) return hashLabels(message, start, hash, AS_IS);
  scratch.position = 0;
  message.writeRdata(scratch, record);
  return hashRange(scratch.bytes, 0, scratch.position, hash);
}

/** Common types whose RDATA holds no name, and in the class where they mean what they are. */
function isPlain(type: number, recordClass: number): boolean {
  if (type === RR_TYPES.TXT) return true;
  return isAddressType(type) && (recordClass & 0x7fff) === CLASSES.IN;
}

function hashRange(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed;
  for (let i = start; i < end; i++) hash = step(hash, bytes[i] as number);
  return mix(hash, end - start);
}
