/**
 * What is remembered of finished lookups, for a while and in flat memory: to tell duplicate, late and conflicting answers from
 * unasked ones. By hashes, not by the events. What is referred to (process, thread) is there anyway.
 */

import type { Message } from '../dns/message.ts';
import { RecentKeys } from '../lib/recent-keys.ts';
import { uuidText } from '../lib/uuid.ts';
import type { Owner, ProcessIdentity } from '../model.ts';
import { type Envelope, nsBetween } from './envelope.ts';
import { FIELD, FIELD_BITS } from './fields.ts';
import { anyServerKey, serverKey } from './keys.ts';
import type { LookupView } from './view.ts';

const SLOTS = 8192;
const UNANSWERED = 0;
const ANSWERED = 1;
/** Answered on a way on which many may answer: what differs is no conflict. */
const ANSWERED_BY_MANY = 2;
/** Further answers to one lookup that get a record each. */
export const MAX_CONFLICTS = 4;

export type Verdict = 'duplicate' | 'late' | 'conflicting' | 'conflicting_again';

/** Words of a slot: digest of the first answer, how it ended with how many conflicts, time of the first request, id of its record. */
const WORDS = 8;
const STATE = 1;
const TIME = 2;
const UID = 4;
const UID_BYTES = 16;
const HEADER = 12;

export class Finished {
  readonly #keys = new RecentKeys(SLOTS);
  readonly #words = new Int32Array(SLOTS * WORDS);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  /** Process and thread of each slot, side by side: slots are filled in no order, and no cache holds them. */
  readonly #askers = new Array<ProcessIdentity | Owner | undefined>(2 * SLOTS).fill(undefined);
  /** The question of a further answer, as a request. */
  #question = new Uint8Array(512);

  /**
   * @param answerKey of exchange and question; @param server serverKey or anyServerKey
   * @param digest of its first answer (keys.ts), counts only where there is one; @param byMany on its way many may answer
   */
  remember(answerKey: number, server: number, lookup: LookupView, digest: number, byMany: boolean): void {
    const { process, uidBytes, request, hasResponse } = lookup;
    const { owner, words, at } = request.raw;
    const slot = this.#keys.set(answerKey, server, ownerHash(owner));
    const word = slot * WORDS;
    this.#words[word] = digest;
    this.#words[word + STATE] = !hasResponse ? UNANSWERED : byMany ? ANSWERED_BY_MANY : ANSWERED;
    this.#words[word + TIME] = words[at + FIELD.TIME] as number;
    this.#words[word + TIME + 1] = words[at + FIELD.TIME + 1] as number;
    const uid = uidAt(slot);
    for (let i = 0; i < UID_BYTES; i++) this.#bytes[uid + i] = uidBytes[i] as number;
    this.#askers[2 * slot] = process;
    this.#askers[2 * slot + 1] = owner;
  }

  /** The slot of the lookup that an answer is to; -1: none is remembered. */
  find(answerKey: number, response: Envelope): number {
    const slot = this.#keys.find(answerKey, serverKey(response));
    return slot >= 0 ? slot : this.#keys.find(answerKey, anyServerKey(response));
  }

  /** What a further answer is. @param digest is called only for what was answered */
  judge(slot: number, digest: () => number): Verdict {
    const word = slot * WORDS;
    const state = this.#words[word + STATE] as number;
    const kind = state & 3;
    if (kind === UNANSWERED) return 'late';
    if (kind === ANSWERED_BY_MANY || this.#words[word] === digest()) return 'duplicate';
    const before = state >>> 2;
    if (before >= MAX_CONFLICTS) return 'conflicting_again';
    this.#words[word + STATE] = ((before + 1) << 2) | kind;
    return 'conflicting';
  }

  /** Makes the view the same lookup with a further answer. Of the request only what the answer repeats is known. */
  again(slot: number, response: Envelope, message: Message, view: LookupView): void {
    const { raw } = view.request;
    raw.copy(response);
    raw.words[raw.at + FIELD.BITS] = (raw.words[raw.at + FIELD.BITS] as number) & ~FIELD_BITS.RESPONSE;
    for (let i = 0; i < 2; i++)
      raw.words[raw.at + FIELD.TIME + i] = this.#words[slot * WORDS + TIME + i] as number;
    raw.owner = this.#askers[2 * slot + 1] as Owner | undefined;
    this.#putQuestion(message, view.request.message);
    view.answer.raw = response;
    view.answer.message = message;
    view.hasResponse = true;
    view.process = this.#askers[2 * slot] as ProcessIdentity;
    view.outcome = 'answered';
    view.reason = undefined;
    view.retries = 0;
    view.search = undefined;
    view.hasLookupId = false;
    view.isFinal = false;
    view.conflictsWith = uuidText(this.#bytes.subarray(uidAt(slot), uidAt(slot) + UID_BYTES));
    view.durationNs = Math.max(
      nsBetween(raw.words, raw.at + FIELD.TIME, response.words, response.at + FIELD.TIME),
      0,
    );
  }

  #putQuestion({ bytes, base, questionsEnd }: Message, into: Message): void {
    if (this.#question.length < questionsEnd) this.#question = new Uint8Array(questionsEnd);
    const question = this.#question;
    question.set(bytes.subarray(base, base + questionsEnd));
    // No answer, no records.
    question[2] = (question[2] as number) & 0x7f;
    question.fill(0, 6, HEADER);
    into.parse(question, 0, questionsEnd, questionsEnd);
  }
}

/** Where the id of a slot's record is, in bytes. */
function uidAt(slot: number): number {
  return 4 * (slot * WORDS + UID);
}

/** Upper half of the workload, lower half of the process. */
function ownerHash(owner: Owner | undefined): number {
  if (owner === undefined) return 0;
  const workload = Number(owner.cgroupId) ^ owner.uid;
  return (workload << 16) | (owner.pid & 0xffff);
}
