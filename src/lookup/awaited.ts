/**
 * Which open attempt an answer is to. An attempt is one transmission that may be answered: by exchange (addresses, ports, transport) and
 * question, or by exchange alone, where the answer holds no question. Nothing is changed here but the two indexes.
 */
import { AnswerNames, sameQuestions } from '../dns/compare.ts';
import { Message } from '../dns/message.ts';
import { Envelope, nsBetween } from './envelope.ts';
import { FIELD } from './fields.ts';
import { answerKey, exchangeKey, hasNoId, isMulticast, isOnSameWay, readAnswerNames } from './keys.ts';
import { SLOT, SLOT_WORDS, type Slab } from './slab.ts';
import { SlotIndex } from './slot-index.ts';

/** Candidates looked at under one key. Keys are seeded hashes, so only identical exchanges share one in number. */
export const MAX_CANDIDATES = 64;
/** An answer may be stamped this much before its request (clocks of capture queues differ); its duration is then 0. */
const CLOCK_SLACK_NS = 1_000_000;
/** RFC 6762 section 5.4: the top bit of a question's class asks for an answer by unicast. */
const UNICAST_CLASS = 0x7fff;
const WHOLE_CLASS = 0xffff;

export class Awaited {
  readonly #slab: Slab;
  readonly #byQuestion: SlotIndex;
  /** By exchange alone: answers without a question, answers to another question. */
  readonly #byExchange: SlotIndex;
  /** What candidates are looked at with. */
  readonly #seen = new Envelope();
  readonly #seenMessage = new Message();
  /** Of the answer that is looked at, once it is asked for them. */
  readonly #answerNames = new AnswerNames();
  #isAnswerRead = false;
  readonly #fitting = new Int32Array(MAX_CANDIDATES);

  constructor(slab: Slab, capacity: number) {
    this.#slab = slab;
    this.#byQuestion = new SlotIndex(capacity);
    this.#byExchange = new SlotIndex(capacity);
  }

  /** An answer to this attempt is expected from now on. Gives the key of its exchange. */
  add(slot: number, raw: Envelope, message: Message, question: number): number {
    const exchange = exchangeKey(raw, message);
    const key = answerKey(exchange, question);
    this.#slab.words[slot * SLOT_WORDS + SLOT.ANSWER_KEY] = key;
    this.#byQuestion.add(key, slot);
    this.#byExchange.add(exchange, slot);
    return exchange;
  }

  remove(slot: number): void {
    this.#byExchange.remove(slot);
    this.#byQuestion.remove(slot);
  }

  /** The attempt whose question the answer repeats, best byte for byte; -1: none. `key`: answerKey. */
  withQuestion(key: number, raw: Envelope, message: Message): number {
    let best = -1;
    let bestMatch = 0;
    let looked = 0;
    for (let slot = this.#byQuestion.first(key); slot >= 0; slot = this.#byQuestion.after(slot)) {
      if (looked++ === MAX_CANDIDATES) break;
      const match = this.#match(slot, raw, message);
      if (match <= bestMatch) continue;
      best = slot;
      bestMatch = match;
      if (match === 2) break;
    }
    return best;
  }

  /**
   * How many attempts the answer may be to, if it or they have no question: 2 means at least two. `fitting` gives them; of answers with an
   * id the first alone is of use.
   */
  withoutQuestion(exchange: number, raw: Envelope, message: Message): number {
    let count = 0;
    let looked = 0;
    this.#isAnswerRead = false;
    for (let slot = this.#byExchange.first(exchange); slot >= 0; slot = this.#byExchange.after(slot)) {
      // A table of more candidates than are looked at may hold another one that fits.
      if (looked++ === MAX_CANDIDATES) return count > 0 && !hasNoId(raw) ? 2 : count;
      if (this.#matchWithoutQuestion(slot, raw, message)) this.#fitting[count++] = slot;
    }
    return count;
  }

  /** One of those that `withoutQuestion` found last. */
  fitting(index: number): number {
    return this.#fitting[index] as number;
  }

  /** Whether the answer is to this attempt. */
  fits(attempt: number, raw: Envelope, message: Message): boolean {
    this.#isAnswerRead = false;
    return this.#match(attempt, raw, message) > 0 || this.#matchWithoutQuestion(attempt, raw, message);
  }

  /** The attempt that an ICMP error is about, which quotes `message`; -1: none is open. */
  unreached(raw: Envelope, message: Message): number {
    return message.id < 0 ? -1 : this.#withId(exchangeKey(raw, message), raw, message);
  }

  /** Whether an attempt with the answer's id is open there, though with another question. */
  isAsked(exchange: number, raw: Envelope, message: Message): boolean {
    return this.#withId(exchange, raw, message) >= 0;
  }

  /** Whether the request in the slot has the same questions, but for the case of letters. */
  asksTheSame(slot: number, message: Message): boolean {
    return this.#matchQuestions(slot, message, WHOLE_CLASS) > 0;
  }

  #withId(exchange: number, raw: Envelope, message: Message): number {
    let looked = 0;
    for (let slot = this.#byExchange.first(exchange); slot >= 0; slot = this.#byExchange.after(slot)) {
      if (looked++ === MAX_CANDIDATES) break;
      if (this.#slab.words[slot * SLOT_WORDS + SLOT.ID] !== message.id) continue;
      this.#slab.show(slot, this.#seen);
      if (isOnSameWay(this.#seen, raw)) return slot;
    }
    return -1;
  }

  /** 2: the same questions byte for byte; 1: but for the case of letters; 0: others. */
  #matchQuestions(slot: number, message: Message, classMask: number): 0 | 1 | 2 {
    if (this.#slab.hasQuestions(slot, message)) return 2;
    this.#slab.parse(slot, this.#seenMessage);
    return sameQuestions(this.#seenMessage, message, classMask);
  }

  #match(slot: number, raw: Envelope, message: Message): 0 | 1 | 2 {
    if (!this.#hasId(slot, raw, message) || !this.#slab.isQuestionRead(slot)) return 0;
    if (!this.#isOnWay(slot, raw)) return 0;
    return this.#matchQuestions(slot, message, isMulticast(this.#seen) ? UNICAST_CLASS : WHOLE_CLASS);
  }

  #matchWithoutQuestion(slot: number, raw: Envelope, message: Message): boolean {
    // -1: too short to have an id
    if (message.id < 0 || !this.#hasId(slot, raw, message)) return false;
    const request = this.#seenMessage;
    this.#slab.parse(slot, request);
    if (request.questionsRead > 0 && message.questionsRead > 0) return false;
    if (!this.#isOnWay(slot, raw)) return false;
    if (!isMulticast(this.#seen)) return true;
    if (!this.#isAnswerRead) readAnswerNames(this.#answerNames, message);
    this.#isAnswerRead = true;
    return this.#answerNames.answer(request);
  }

  #hasId(slot: number, raw: Envelope, message: Message): boolean {
    return this.#slab.words[slot * SLOT_WORDS + SLOT.ID] === message.id || hasNoId(raw);
  }

  /** Whether the answer came back on the way of this attempt, and not before it. Leaves the attempt in `#seen`. */
  #isOnWay(slot: number, raw: Envelope): boolean {
    const seen = this.#seen;
    this.#slab.show(slot, seen);
    const elapsed = nsBetween(seen.words, seen.at + FIELD.TIME, raw.words, raw.at + FIELD.TIME);
    return elapsed + CLOCK_SLACK_NS >= 0 && isOnSameWay(seen, raw);
  }
}
