/**
 * A lookup as everyone sees it who wants an object: a view of the slab, the request's bytes and the answer's bytes where they lie.
 * One view serves for all lookups of a run: it is valid during the call that hands it over, `keep` makes one that may be kept.
 * Whoever is on the hot path reads its numbers and bytes; the getters of `Lookup` decode what is asked.
 */
import { Message } from '../dns/message.ts';
import { uuidText } from '../lib/uuid.ts';
import type {
  DnsEvent,
  Lookup,
  Outcome,
  Owner,
  ProcessIdentity,
  SearchStep,
  UnknownReason,
} from '../model.ts';
import { RCODES } from '../tables/rcodes.ts';
import { Envelope } from './envelope.ts';

const UID_BYTES = 16;

/** A message with where it was seen. */
export class EventView implements DnsEvent {
  raw: Envelope;
  message: Message;

  constructor(raw = new Envelope(), message = new Message()) {
    this.raw = raw;
    this.message = message;
  }

  get length(): number {
    return this.message.length;
  }

  get captured(): number {
    return this.message.captured;
  }

  keep(): EventView {
    return new EventView(new Envelope().copy(this.raw), this.message.keep());
  }
}

export class LookupView implements Lookup {
  readonly request: EventView;
  /** The answer, when `hasResponse`. */
  readonly answer: EventView;
  hasResponse = false;
  process: ProcessIdentity;
  outcome: Outcome = 'sent';
  reason: UnknownReason | undefined = undefined;
  retries = 0;
  /** ns from the first request to the answer, or to the error in place of it; -1: there was none. */
  durationNs = -1;
  /** Messages of the answer, their bytes and answer records, where there may be several (transfers.ts); 0: it is one. */
  answerMessages = 0;
  answerBytes = 0;
  answerRecords = 0;
  search: SearchStep | undefined = undefined;
  conflictsWith: string | undefined = undefined;
  /** Several servers were asked, or may be, by one look-up of the program, which this is the id of (groups.ts). */
  hasLookupId = false;
  readonly lookupId = new Uint8Array(UID_BYTES);
  /** Of those the one with the answer that the program could use. */
  isFinal = false;
  /** `log.record.uid` of its record. */
  readonly uidBytes = new Uint8Array(UID_BYTES);

  constructor(process: ProcessIdentity, request = new EventView(), answer = new EventView()) {
    this.process = process;
    this.request = request;
    this.answer = answer;
  }

  get owner(): Owner | undefined {
    return this.request.raw.owner;
  }

  get response(): DnsEvent | undefined {
    return this.hasResponse ? this.answer : undefined;
  }

  /** The message whose questions count: the request, or the answer where they could not be read in the request. */
  get asked(): Message {
    const { message } = this.request;
    if (!this.hasResponse || message.questionsRead >= message.questionCount) return message;
    return this.answer.message.questionsRead > message.questionsRead ? this.answer.message : message;
  }

  get duration(): bigint | undefined {
    return this.durationNs < 0 ? undefined : BigInt(this.durationNs);
  }

  /** The program did not get what it asked for: an error in place of an answer, or a response code that is one. */
  get failed(): boolean {
    if (this.hasResponse) return this.answer.message.rcode > RCODES.NOERROR;
    return this.outcome !== 'unknown' && this.outcome !== 'sent';
  }

  get uid(): string {
    return uuidText(this.uidBytes);
  }

  /** One of its own, which may be kept. */
  keep(): LookupView {
    const answer = this.hasResponse ? this.answer.keep() : undefined;
    const kept = new LookupView(this.process, this.request.keep(), answer);
    kept.hasResponse = this.hasResponse;
    kept.outcome = this.outcome;
    kept.reason = this.reason;
    kept.retries = this.retries;
    kept.durationNs = this.durationNs;
    kept.answerMessages = this.answerMessages;
    kept.answerBytes = this.answerBytes;
    kept.answerRecords = this.answerRecords;
    kept.search = this.search;
    kept.conflictsWith = this.conflictsWith;
    kept.hasLookupId = this.hasLookupId;
    kept.lookupId.set(this.lookupId);
    kept.isFinal = this.isFinal;
    kept.uidBytes.set(this.uidBytes);
    return kept;
  }
}
