/**
 * Zone transfers over TCP: one request that is answered by many messages, of which only the first must repeat the question (AXFR,
 * RFC 5936 section 2.2; IXFR, RFC 1995). The lookup ends with the record that completes the transfer, with the connection, or
 * when no message has come for the time-out; an endless one after MAX_NS or MAX_MESSAGES. State is bounded in number; when
 * it is full the oldest transfer of who has most ends with what has come of it.
 */
import { RECORD, RECORD_WORDS } from '../dns/frame.ts';
import type { Message } from '../dns/message.ts';
import { readU16, readU32 } from '../dns/wire.ts';
import { FairBound, Holding } from '../lib/fair-bound.ts';
import type { Fairness, HolderId } from '../lib/fairness.ts';
import { type Linked, LinkedQueue } from '../lib/linked-queue.ts';
import { OPCODES } from '../tables/classes.ts';
import { RCODES } from '../tables/rcodes.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';
import { Envelope } from './envelope.ts';
import type { LookupView } from './view.ts';

/** Each keeps its first message, at most 64 KiB. */
const MAX_TRANSFERS = 128;
const MAX_MESSAGES = 1_000_000;
const MAX_NS = 600_000_000_000;
/** Offset of the number of answers in the header (RFC 1035 section 4.1.1). */
const ANSWER_COUNT = 6;
/** SERIAL and what follows it: five numbers of 32 bits at the end of an SOA (RFC 1035 section 3.3.13). */
const SOA_NUMBERS = 20;

/** Whether a request asks for a zone transfer. */
export function asksTransfer({ opcode, questionType }: Message): boolean {
  return opcode === OPCODES.QUERY && isTransferType(questionType);
}

export function isTransferType(type: number): boolean {
  return type === RR_TYPES.AXFR || type === RR_TYPES.IXFR;
}

export class Transfer extends Holding implements Linked<Transfer> {
  newer: Transfer | undefined = undefined;
  older: Transfer | undefined = undefined;
  /** Slots: the lookup, and the attempt that is answered. */
  readonly lookup: number;
  readonly attempt: number;
  /** Of the clock of requests in flight. */
  deadline = 0;
  readonly #began: number;
  /** Where the last message was seen. */
  readonly #raw = new Envelope();
  /** The first message, or the one that says that the transfer has failed. */
  #message: Message | undefined;
  #messages = 0;
  #bytes = 0;
  #records = 0;
  /** Records that were looked at, of them SOA of the new version, and the serial of that. */
  #looked = 0;
  #versions = 0;
  #serial = -1;
  /** Differences between versions, of which the last has an SOA of the new one too (RFC 1995 section 4). */
  #isIncremental = false;
  /** IXFR: the serial that the client has; -1: a whole zone is asked for, or it says none. */
  readonly #known: number;
  isComplete = false;

  constructor(lookup: number, attempt: number, request: Message, clock: number) {
    super();
    this.lookup = lookup;
    this.attempt = attempt;
    this.#began = clock;
    this.#known = knownSerial(request);
  }

  /** The next message. */
  add(raw: Envelope, message: Message, clock: number): void {
    const isFailure = message.rcode !== RCODES.NOERROR;
    if (this.#message === undefined || isFailure) this.#message = message.keep();
    this.#raw.copy(raw);
    this.#messages++;
    this.#bytes += message.length;
    const isHeader = message.captured >= 12;
    this.#records += isHeader ? readU16(message.bytes, message.base + ANSWER_COUNT) : 0;
    for (let record = 0; record < message.answerCount; record++) this.#look(message, record);
    const isEmpty = this.#messages === 1 && isHeader && this.#records === 0;
    const isEndless = this.#messages >= MAX_MESSAGES || clock - this.#began >= MAX_NS;
    if (isFailure || isEmpty || isEndless || raw.streamEnd || this.#isUpToDate()) this.isComplete = true;
  }

  show(view: LookupView): void {
    view.answer.raw = this.#raw;
    if (this.#message !== undefined) view.answer.message = this.#message;
  }

  /** What the record says beside the first message. */
  count(view: LookupView): void {
    view.answerMessages = this.#messages;
    view.answerBytes = this.#bytes;
    view.answerRecords = this.#records;
  }

  #look(message: Message, record: number): void {
    const index = this.#looked++;
    if (message.records[record * RECORD_WORDS + RECORD.TYPE] !== RR_TYPES.SOA) return;
    const serial = serialOf(message, record);
    if (index === 0) this.#serial = serial;
    // Another version: differences follow. The same: an empty zone.
    if (index === 1) this.#isIncremental = this.#known >= 0 && serial !== this.#serial;
    if (serial !== this.#serial) return;
    this.#versions++;
    if (this.#versions === (this.#isIncremental ? 3 : 2)) this.isComplete = true;
  }

  /** A single SOA, not newer than the client's (RFC 1995 section 2; RFC 1982 section 3.2). */
  #isUpToDate(): boolean {
    return this.#known >= 0 && this.#looked === 1 && ((this.#serial - this.#known) | 0) <= 0;
  }
}

/** The serial in the authority section of an IXFR (RFC 1995 section 3). */
function knownSerial(request: Message): number {
  const { questionType, answerCount, authorityCount, records } = request;
  if (questionType !== RR_TYPES.IXFR || authorityCount === 0) return -1;
  return records[answerCount * RECORD_WORDS + RECORD.TYPE] === RR_TYPES.SOA
    ? serialOf(request, answerCount)
    : -1;
}

/** -1: it is too short. */
function serialOf({ records, bytes, base }: Message, record: number): number {
  const word = record * RECORD_WORDS;
  const start = records[word + RECORD.START] as number;
  const end = records[word + RECORD.END] as number;
  return end - start < SOA_NUMBERS + 2 ? -1 : readU32(bytes, base + end - SOA_NUMBERS);
}

export class Transfers {
  readonly #byLookup = new Map<number, Transfer>();
  /** Those with the oldest message first. */
  readonly #queue = new LinkedQueue<Transfer>();
  readonly #shares: FairBound<Transfer>;

  constructor(fairness: Fairness) {
    this.#shares = new FairBound(MAX_TRANSFERS, fairness);
  }

  get size(): number {
    return this.#byLookup.size;
  }

  /** Whose messages have come longest ago. */
  get oldest(): Transfer | undefined {
    return this.#queue.oldest;
  }

  /** Which has to end before another may begin; undefined: there is room. */
  get inTheWay(): Transfer | undefined {
    return this.#shares.isFull ? this.#shares.largest() : undefined;
  }

  of(lookup: number): Transfer | undefined {
    return this.#byLookup.size === 0 ? undefined : this.#byLookup.get(lookup);
  }

  begin(transfer: Transfer, owner: HolderId): void {
    this.#byLookup.set(transfer.lookup, transfer);
    this.#queue.push(transfer);
    this.#shares.add(transfer, this.#shares.holderOf(owner));
  }

  /** A message has come. */
  renew(transfer: Transfer, deadline: number): void {
    this.#queue.remove(transfer);
    transfer.deadline = deadline;
    this.#queue.push(transfer);
  }

  end(transfer: Transfer): void {
    this.#byLookup.delete(transfer.lookup);
    this.#queue.remove(transfer);
    this.#shares.remove(transfer);
  }
}
