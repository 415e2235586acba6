import type { DecodeError, DnsMessage, Edns, Question, ResourceRecord } from '../model.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';
import { decodeEdns } from './edns.ts';
import { readName } from './name.ts';
import { renderRdata } from './rdata.ts';
import { unknownRdata } from './text.ts';
import { decodeError, makeWire, RECORD_LIMIT, readU16, readU32, type Wire } from './wire.ts';

const HEADER = 12;
const NO_QUESTIONS: readonly Question[] = Object.freeze([]);
const NO_RECORDS: readonly ResourceRecord[] = Object.freeze([]);

/** What the sections have given so far. */
interface Progress {
  offset: number;
  /** Questions and records that may still be decoded. */
  left: number;
  edns: Edns | undefined;
  malformed: DecodeError | undefined;
}

/**
 * One DNS message (RFC 1035 section 4.1, without the length prefix of TCP).
 *
 * @param bytes what was captured of it, at most 65 535 bytes.
 * @param length how many bytes there were; more than `bytes.length` when the copy was cut.
 *
 * Never throws. Malformed bytes set `malformed` to the first thing that was wrong; what stands before it is in the
 * result, and records after it too where only RDATA was wrong (its length keeps the framing). Numbers of a header that
 * was not read are -1. OPT records appear as `edns`, not among the additional records. `rcode` has the extension bits
 * only if the OPT record was reached. Work is bounded: RECORD_LIMIT, NAME_BUDGET.
 */
export function decodeMessage(bytes: Uint8Array, length: number = bytes.length): DnsMessage {
  const cut = length > bytes.length;
  if (bytes.length < HEADER) {
    return unreadable(decodeError(cut ? 'cut' : 'short_header', bytes.length));
  }
  const wire = makeWire(bytes, cut);
  const flags = readU16(bytes, 2);
  const progress: Progress = { offset: HEADER, left: RECORD_LIMIT, edns: undefined, malformed: undefined };
  const questionCount = readU16(bytes, 4);
  const questions = questionCount === 0 ? NO_QUESTIONS : readQuestions(wire, progress, questionCount);
  const answers = readRecords(wire, progress, readU16(bytes, 6), false);
  const authorities = readRecords(wire, progress, readU16(bytes, 8), false);
  const additionals = readRecords(wire, progress, readU16(bytes, 10), true);
  if (progress.offset >= 0 && progress.offset < length && progress.malformed === undefined) {
    progress.malformed = decodeError('trailing_bytes', progress.offset);
  }
  return {
    id: readU16(bytes, 0),
    response: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    authoritative: (flags & 0x0400) !== 0,
    truncated: (flags & 0x0200) !== 0,
    recursionDesired: (flags & 0x0100) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    authenticData: (flags & 0x0020) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    rcode: (flags & 15) | ((progress.edns?.extendedRcode ?? 0) << 4),
    questionCount,
    questions,
    answers,
    authorities,
    additionals,
    edns: progress.edns,
    malformed: progress.malformed,
  };
}

function unreadable(malformed: DecodeError): DnsMessage {
  return {
    id: -1,
    response: false,
    opcode: -1,
    authoritative: false,
    truncated: false,
    recursionDesired: false,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: -1,
    questionCount: -1,
    questions: NO_QUESTIONS,
    answers: NO_RECORDS,
    authorities: NO_RECORDS,
    additionals: NO_RECORDS,
    edns: undefined,
    malformed,
  };
}

/** The framing is lost: nothing after this can be read. */
function stop(progress: Progress, error: DecodeError): void {
  progress.malformed ??= error;
  progress.offset = -1;
}

function readQuestions(wire: Wire, progress: Progress, count: number): readonly Question[] {
  // Most have one: `push` onto an empty array makes room for 17.
  let questions: Question[] | undefined;
  for (let i = 0; i < count; i++) {
    if (progress.left-- === 0) {
      stop(progress, decodeError('record_limit', progress.offset));
      break;
    }
    const name = readName(wire, progress.offset, wire.bytes.length);
    if (name.reason !== undefined) {
      stop(progress, name);
      break;
    }
    if (name.next + 4 > wire.bytes.length) {
      stop(progress, decodeError(wire.cut ? 'cut' : 'short_question', wire.bytes.length));
      break;
    }
    const question = {
      name: name.value,
      type: readU16(wire.bytes, name.next),
      class: readU16(wire.bytes, name.next + 2),
    };
    if (questions === undefined) questions = [question];
    else questions.push(question);
    progress.offset = name.next + 4;
  }
  return questions ?? NO_QUESTIONS;
}

function readRecords(
  wire: Wire,
  progress: Progress,
  count: number,
  additional: boolean,
): readonly ResourceRecord[] {
  if (count === 0 || progress.offset < 0) return NO_RECORDS;
  let records: ResourceRecord[] | undefined; // as in readQuestions
  for (let i = 0; i < count && progress.offset >= 0; i++) {
    if (progress.left-- === 0) {
      stop(progress, decodeError('record_limit', progress.offset));
      break;
    }
    const record = readRecord(wire, progress, additional);
    if (record === undefined) continue;
    if (records === undefined) records = [record];
    else records.push(record);
  }
  return records ?? NO_RECORDS;
}

/** The record at `progress.offset`; undefined for an OPT record, and when the framing is lost. */
function readRecord(wire: Wire, progress: Progress, additional: boolean): ResourceRecord | undefined {
  const { bytes } = wire;
  const name = readName(wire, progress.offset, bytes.length);
  if (name.reason !== undefined) {
    stop(progress, name);
    return undefined;
  }
  const fixed = name.next;
  const start = fixed + 10;
  const end = start > bytes.length ? start : start + readU16(bytes, fixed + 8);
  if (end > bytes.length) {
    stop(progress, decodeError(wire.cut ? 'cut' : 'short_record', bytes.length));
    return undefined;
  }
  const recordOffset = progress.offset;
  progress.offset = end;
  const type = readU16(bytes, fixed);
  const recordClass = readU16(bytes, fixed + 2);
  if (type === RR_TYPES.OPT) {
    const misplaced = !additional || name.value !== '.';
    if (!misplaced && progress.edns === undefined) {
      const edns = decodeEdns(wire, fixed, start, end);
      progress.edns = edns.value;
      progress.malformed ??= edns.malformed;
      return undefined;
    }
    progress.malformed ??= decodeError(misplaced ? 'opt_misplaced' : 'opt_duplicate', recordOffset);
  }
  let data = renderRdata(wire, type, recordClass, start, end);
  if (typeof data !== 'string') {
    progress.malformed ??= data;
    data = unknownRdata(wire.buffer, start, end);
  }
  return { name: name.value, type, class: recordClass, ttl: readU32(bytes, fixed + 4), data };
}
