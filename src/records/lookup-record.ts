/**
 * A lookup as a log event. Its bytes are written straight from the view of the lookup; body and attributes as values are read back
 * from them, for who wants to see them.
 */
import { forTerminal } from '../lib/escape.ts';
import { randomBytes } from '../lib/random-bytes.ts';
import { FIELD } from '../lookup/fields.ts';
import type { LookupView } from '../lookup/view.ts';
import type { Attributes, LogEvent, ProcessIdentity, TraceContext } from '../model.ts';
import { type DecodedRecord, decodeLogRecord } from '../otlp/decode-record.ts';
import { ProtobufWriter } from '../otlp/encode.ts';
import { LOG_RECORD, writeTrace } from '../otlp/encode-record.ts';
import { OPCODES } from '../tables/classes.ts';
import type { SamplerName } from '../tables/options.ts';
import { RCODES } from '../tables/rcodes.ts';
import { beginText, endText } from './attribute-writer.ts';
import { writeLatency } from './latency.ts';
import { RCODE_NAMES, writeLookupAttributes } from './lookup-attributes.ts';
import { FIRST_QUESTION, firstAddress, OPCODE_NAMES, TYPES } from './lookup-sections.ts';
import { bounded, MAX_CHARACTERS, SEVERITY } from './record-common.ts';
import { isSampled } from './sampler.ts';

export const EVENT_NAME = 'whodns.query';

export interface RecordOptions {
  /** NXDOMAIN is an error (error.type, severity); search lists make many of them. */
  readonly nxdomainError: boolean;
  /** Each lookup gets a span of its own (otlp-spans.ts), which the record names. */
  readonly traces?: boolean;
  /** Unless it is sampled out; default `always_on`. */
  readonly tracesSampler?: SamplerName;
  readonly tracesSamplerRatio?: number;
}

/** flags: sampled (W3C Trace Context level 1). */
const SAMPLED = 1;

/** Where body and attributes are read back from. Not state: it is written before it is read. */
const scratch = new ProtobufWriter(4096);

/** One serves for all lookups: it is the record of the lookup that it was last made of. */
export class LookupRecord implements LogEvent {
  readonly eventName = EVENT_NAME;
  observedTime = 0n;
  trace: TraceContext | undefined = undefined;
  hasSpan = false;
  parentSpanId: Uint8Array | undefined = undefined;
  readonly #options: RecordOptions;
  readonly #observed = new ObservedTail();
  #lookup: LookupView | undefined;
  #isError = false;
  #values: DecodedRecord | undefined;

  constructor(options: RecordOptions) {
    this.#options = options;
  }

  /** @param observedTime Unix ns at which user space has the finished lookup in hand */
  of(lookup: LookupView, observedTime: bigint): this {
    this.#lookup = lookup;
    this.observedTime = observedTime;
    this.#isError = isError(lookup, this.#options.nxdomainError);
    this.#values = undefined;
    const around = lookup.request.raw.trace;
    const own = this.#options.traces === true ? ownSpan(lookup, around, this.#options) : undefined;
    this.trace = own ?? around;
    this.hasSpan = own !== undefined;
    this.parentSpanId = own === undefined ? undefined : around?.spanId;
    return this;
  }

  get lookup(): LookupView {
    if (this.#lookup === undefined) throw new Error('the record of no lookup');
    return this.#lookup;
  }

  get time(): bigint {
    return this.lookup.request.raw.time;
  }

  get process(): ProcessIdentity {
    return this.lookup.process;
  }

  get severity(): number {
    return this.#isError ? SEVERITY.warn : SEVERITY.info;
  }

  get body(): string {
    return this.#decoded().body;
  }

  get attributes(): Attributes {
    return this.#decoded().attributes;
  }

  /** The fields of a LogRecord, without tag and length. */
  write(writer: ProtobufWriter): void {
    const { lookup } = this;
    const { words, at } = lookup.request.raw;
    writer.reserve(11);
    writer.byte(LOG_RECORD.time);
    writeWord(writer, words[at + FIELD.TIME] as number);
    writeWord(writer, words[at + FIELD.TIME + 1] as number);
    writer.byte(LOG_RECORD.severity);
    writer.byte(this.severity);
    writeBody(writer, lookup);
    this.writeAttributes(writer);
    this.#observed.write(writer, this.observedTime);
    if (this.trace !== undefined) writeTrace(writer, this.trace);
  }

  /** Each as the field `attributes` of a LogRecord. */
  writeAttributes(writer: ProtobufWriter): void {
    writeLookupAttributes(writer, this.lookup, this.#isError);
  }

  #decoded(): DecodedRecord {
    if (this.#values !== undefined) return this.#values;
    scratch.position = 0;
    this.write(scratch);
    this.#values = decodeLogRecord(scratch.bytes, scratch.position);
    return this.#values;
  }
}

/** The fields after the attributes: time of observation, which many records share, and name of the event. */
class ObservedTail {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #time = 0n;

  constructor() {
    const writer = new ProtobufWriter(64);
    writer.byte(LOG_RECORD.observedTime);
    writer.fixed64(0n);
    writer.byte(LOG_RECORD.eventName);
    writer.string(EVENT_NAME);
    this.#bytes = Uint8Array.from(writer.bytes.subarray(0, writer.position));
    this.#view = new DataView(this.#bytes.buffer);
  }

  write(writer: ProtobufWriter, time: bigint): void {
    if (time !== this.#time) {
      this.#time = time;
      this.#view.setBigUint64(1, time, true);
    }
    writer.raw(this.#bytes);
  }
}

/** A lookup that capturing did not see the end of has no span of its own, nor has one that is not sampled, nor a further answer. */
function ownSpan(
  { outcome, conflictsWith }: LookupView,
  around: TraceContext | undefined,
  { tracesSampler = 'always_on', tracesSamplerRatio = 1 }: RecordOptions,
): TraceContext | undefined {
  if (outcome === 'sent' || conflictsWith !== undefined) return undefined;
  const traceId = around?.traceId ?? randomBytes(16);
  if (!isSampled(tracesSampler, tracesSamplerRatio, traceId, around)) return undefined;
  return { traceId, spanId: randomBytes(8), flags: (around?.flags ?? 0) | SAMPLED };
}

/** A time-out, an error in place of an answer, or a response code that is an error. Of an answer whose header could not be read `whodns.malformed` tells. */
function isError({ outcome, hasResponse, answer }: LookupView, nxdomainError: boolean): boolean {
  if (!hasResponse) return outcome !== 'unknown' && outcome !== 'sent';
  const { rcode } = answer.message;
  return rcode > RCODES.NOERROR && (rcode !== RCODES.NXDOMAIN || nxdomainError);
}

function writeWord(writer: ProtobufWriter, word: number): void {
  writer.byte(word & 0xff);
  writer.byte((word >>> 8) & 0xff);
  writer.byte((word >>> 16) & 0xff);
  writer.byte(word >>> 24);
}

/** `A www.example.com: 192.0.2.1 +1 in 12.3ms (curl)`, `UPDATE SOA example.com: NOERROR`: one line for people, safe for a terminal. */
function writeBody(writer: ProtobufWriter, lookup: LookupView): void {
  const start = beginText(writer);
  const { asked, request } = lookup;
  const { opcode } = request.message;
  if (opcode > OPCODES.QUERY) {
    writer.raw(OPCODE_NAMES.of(opcode).text);
    writer.ascii(' ');
  }
  if (asked.questionsRead > 0) {
    writer.raw(TYPES.of(asked.questionType).text);
    writer.ascii(' ');
    asked.writeName(writer, FIRST_QUESTION);
  } else if (opcode <= OPCODES.QUERY) writer.ascii('(no question)');
  if (asked.questionsRead > 1) {
    writer.ascii(' +');
    writer.decimal(asked.questionsRead - 1);
  }
  writer.ascii(': ');
  writeResult(writer, lookup);
  if (lookup.conflictsWith !== undefined) writer.ascii(', conflicting');
  if (lookup.durationNs >= 0) {
    writer.ascii(' in ');
    writeLatency(writer, lookup.durationNs);
  }
  writer.raw(suffixOf(lookup.process));
  if (writer.position - start > MAX_CHARACTERS) cutBody(writer, start);
  endText(writer, start, LOG_RECORD.body);
}

function writeResult(writer: ProtobufWriter, { outcome, hasResponse, request, answer }: LookupView): void {
  const { message } = answer;
  const { rcode, answerCount } = message;
  if (!hasResponse) writer.ascii(outcome);
  else if (rcode < 0) writer.ascii('malformed answer');
  else if (rcode !== RCODES.NOERROR || request.message.opcode > OPCODES.QUERY)
    writer.raw(RCODE_NAMES.of(rcode).text);
  else if (answerCount === 0) writer.ascii('no data');
  else {
    message.writeRdata(writer, Math.max(firstAddress(message, answerCount), 0));
    if (answerCount === 1) return;
    writer.ascii(' +');
    writer.decimal(answerCount - 1);
  }
}

/** Bytes are not characters: only here it is looked at what they are. */
function cutBody(writer: ProtobufWriter, start: number): void {
  const text = bounded(writer.bytes.toString('utf8', start, writer.position));
  writer.position = start;
  writer.raw(Buffer.from(text));
}

const suffixes = new WeakMap<ProcessIdentity, Uint8Array>();
const NOTHING = new Uint8Array(0);

/** ` (curl)` */
function suffixOf(process: ProcessIdentity): Uint8Array {
  const { executableName } = process;
  if (executableName === '') return NOTHING;
  const known = suffixes.get(process);
  if (known !== undefined) return known;
  const suffix = Uint8Array.from(Buffer.from(forTerminal(` (${executableName})`)));
  suffixes.set(process, suffix);
  return suffix;
}
