/**
 * Requests in flight: pairs requests with their answers: every DNS request becomes exactly one Lookup, except that retransmissions are
 * folded into the lookup they repeat (counted in `retries`). So at the end of a run
 *
 *   requests = lookups + sum(lookup.retries)
 *
 * and since a server logs each transmission, records plus retries is what the servers logged.
 *
 * A retransmission is a request of the same process to the same server with the same transport, id and question as one that is
 * still unanswered, if it also went the same way or came from the same thread (which opened another socket). The same question to
 * another server is a lookup of its own, of the same look-up (groups.ts). A resolver that retries with a new id makes a new request;
 * so does a retry over TCP after a truncated answer: the first was answered.
 *
 * The time-out runs from the first request. An answer after it is counted ('late') and changes nothing; a retry after it
 * is a new lookup. Nothing is ever invented: a lookup whose time had not passed when the run ended is 'sent', one whose answer
 * may have been lost by the agent itself (losses.ts, or given up here) is 'unknown'.
 *
 * A further answer that says something else than the first (keys.ts, answerDigest) is given out as the same lookup once
 * more, with what it conflicts with: the record of the first is out already.
 *
 * All state is bounded, by workload and process first (lib/fair-bound.ts); see the constants.
 */
import { answersQuestion, sameQuestions } from '../dns/compare.ts';
import { Message } from '../dns/message.ts';
import type { Stage } from '../health.ts';
import { FairBound, Holding } from '../lib/fair-bound.ts';
import { Fairness, type HolderId } from '../lib/fairness.ts';
import { type Linked, LinkedQueue } from '../lib/linked-queue.ts';
import { MultiMap } from '../lib/multi-map.ts';
import { putUuidV7 } from '../lib/uuid.ts';
import type { Outcome, ProcessIdentity, UnknownReason } from '../model.ts';
import { OPCODES } from '../tables/classes.ts';
import { Envelope, nsBetween } from './envelope.ts';
import { FIELD, FIELD_BITS } from './fields.ts';
import { Finished } from './finished.ts';
import { Groups } from './groups.ts';
import {
  answerDigest,
  answerKey,
  anyServerKey,
  exchangeKey,
  isMulticast,
  isOnSameWay,
  isSameProcess,
  isSameServer,
  isSameWay,
  questionHash,
  retryKey,
  serverKey,
} from './keys.ts';
import type { Losses } from './losses.ts';
import { SLOT, SLOT_WORDS, Slab } from './slab.ts';
import { SlotIndex, SlotQueue } from './slot-lists.ts';
import { LookupView } from './view.ts';

/** Answers that came before their request: rings of several CPUs are read in turn. Longer waits are no race. */
const HOLD_NS = 50_000_000;
/** Most answers held so; when full one of the server that has most is given up. */
const MAX_HELD = 4096;
/** mDNS (RFC 6762 section 6): whoever knows something answers, so that answers differ. */
const MDNS_PORT = 5353;
/** Ways (socket, server) one lookup is expected to be answered on; an answer to a further one is 'unmatched'. */
const MAX_ATTEMPTS = 8;
/** Slots for further attempts, as a part of those for lookups. */
const ATTEMPTS_SHARE = 1 / 4;
/** Candidates looked at under one key. Keys are seeded hashes, so only identical exchanges share one in number. */
const MAX_CANDIDATES = 64;
/** An answer may be stamped this much before its request (clocks of capture queues differ); its duration is then 0. */
const CLOCK_SLACK_NS = 1_000_000;
/**
 * Event time going back further than this is a step of the clock. Less is no news: rings of several CPUs, or events that
 * waited while this program did not run. The clock of the time-outs then stands still until time has caught up.
 */
const STEP_BACK_NS = 60_000_000_000;
const MAX_IN_FLIGHT = 65_536;
/** RFC 6762 section 5.4: the top bit of a question's class asks for an answer by unicast. */
const UNICAST_CLASS = 0x7fff;
const WHOLE_CLASS = 0xffff;

export interface InFlightOptions {
  readonly timeoutNs: bigint;
  /** Requests waiting for their answer; when full the oldest of who has most is finished as 'unknown' and counted in `evicted`. */
  readonly maxInFlight?: number;
  /** 'request': every request is a lookup of its own at once ('sent'), answers are left out. */
  readonly emit: 'lookup' | 'request';
  /**
   * Called synchronously, once for each lookup, and once for each answer that conflicts with the one it had. The view is valid during
   * the call.
   */
  readonly onLookup: (lookup: LookupView) => void;
  /** Requests: in = out + filtered 'retry' + held. */
  readonly stage: Stage<'correlate'>;
  /**
   * Answers: in = out (paired, or conflicting with the one that was) + filtered 'duplicate', 'late', 'other_question',
   * 'unmatched', 'not_awaited', 'conflicting' (beyond those with a record) + dropped 'ambiguous', 'answers_full' + held.
   */
  readonly answers: Stage<'answers'>;
  readonly fairness?: Fairness;
  /** What may have been lost of answers; undefined: nothing is. */
  readonly losses?: Losses | undefined;
}

/** A lookup's share of the bound. Made once for each slot. */
class SlotHolding extends Holding {
  readonly slot: number;

  constructor(slot: number) {
    super();
    this.slot = slot;
  }
}

class Held extends Holding implements Linked<Held> {
  newer: Held | undefined = undefined;
  older: Held | undefined = undefined;
  readonly raw: Envelope;
  readonly message: Message;
  readonly exchangeKey: number;
  readonly deadline: number;

  constructor(raw: Envelope, message: Message, exchangeKey: number, deadline: number) {
    super();
    this.raw = new Envelope().copy(raw);
    this.message = message.keep();
    this.exchangeKey = exchangeKey;
    this.deadline = deadline;
  }
}

export class InFlight {
  /** Lookups finished as 'unknown' before their time because the table was full. */
  evicted = 0;

  readonly #options: InFlightOptions;
  readonly #fairness: Fairness;
  readonly #openShares: FairBound<SlotHolding>;
  readonly #heldShares: FairBound<Held>;
  readonly #timeout: number;
  readonly #slab: Slab;
  readonly #holdings: SlotHolding[] = [];
  /** Of `#clock`. */
  readonly #deadlines: Float64Array;
  /** Open lookups; the time-out is the same for all, so the oldest is always the next to expire. */
  readonly #open: SlotQueue;
  /** Open lookups by what a retransmission has in common with them. */
  readonly #byRetry: SlotIndex;
  /** Open attempts by exchange and question. */
  readonly #byAnswer: SlotIndex;
  /** Open attempts by exchange alone: answers without a question, answers to another question. */
  readonly #byExchange: SlotIndex;
  readonly #groups: Groups;
  readonly #finished = new Finished();
  readonly #held = new LinkedQueue<Held>();
  readonly #heldByExchange = new MultiMap<Held>();
  /** What candidates are looked at with. */
  readonly #seen = new Envelope();
  readonly #seenMessage = new Message();
  readonly #view: LookupView = new LookupView(NO_PROCESS);
  /** ns that event time has advanced since the first event: never goes back, whatever the wall clock does. */
  readonly #time = new Float64Array(1);
  #lastTime: number | undefined = undefined;

  constructor(options: InFlightOptions) {
    const { maxInFlight = MAX_IN_FLIGHT } = options;
    const capacity = Math.ceil(maxInFlight * (1 + ATTEMPTS_SHARE)) + 1;
    this.#options = options;
    this.#fairness = options.fairness ?? new Fairness();
    this.#openShares = new FairBound(maxInFlight, this.#fairness);
    this.#heldShares = new FairBound(MAX_HELD, this.#fairness);
    this.#timeout = Number(options.timeoutNs);
    this.#slab = new Slab(capacity);
    this.#deadlines = new Float64Array(capacity);
    this.#open = new SlotQueue(capacity);
    this.#byRetry = new SlotIndex(capacity);
    this.#byAnswer = new SlotIndex(capacity);
    this.#byExchange = new SlotIndex(capacity);
    this.#groups = new Groups(
      this.#slab,
      this.#time,
      (slot, message) => this.#matchQuestions(slot, message, WHOLE_CLASS) > 0,
    );
    options.stage.held = () => this.#open.size;
    options.answers.held = () => this.#held.size;
  }

  request(raw: Envelope, message: Message, process: ProcessIdentity): void {
    const { stage, emit } = this.#options;
    stage.in++;
    if (emit === 'request' || isUnidirectional(message)) {
      this.#sent(raw, message, process);
      return;
    }
    this.#advance(raw.timeNumber);
    const question = questionHash(message);
    const retry = retryKey(raw.owner, message, question);
    const repeated = this.#repeated(raw, message, retry);
    if (repeated < 0) this.#begin(raw, message, process, question, retry);
    else {
      this.#count(repeated, SLOT.RETRIES);
      stage.filter('retry');
      this.#addAttempt(repeated, raw, message, process, question);
    }
  }

  response(raw: Envelope, message: Message): void {
    const { answers, emit } = this.#options;
    answers.in++;
    if (emit === 'request') {
      answers.filter('not_awaited');
      return;
    }
    this.#advance(raw.timeNumber);
    const exchange = exchangeKey(raw, message);
    if (!this.#settle(raw, message, exchange)) this.#hold(raw, message, exchange);
  }

  /**
   * An ICMP error about a request: `message` is what it quotes of it, with its id and, if there is so much, its question. The lookup is
   * over if it was sent on no other way from which an answer may come.
   */
  unreachable(raw: Envelope, message: Message): void {
    const { answers, emit } = this.#options;
    answers.in++;
    if (emit === 'request') {
      answers.filter('not_awaited');
      return;
    }
    this.#advance(raw.timeNumber);
    const attempt = this.#unreached(raw, message);
    if (attempt < 0) {
      answers.filter('late');
      return;
    }
    answers.out++;
    const { words } = this.#slab;
    const bits = attempt * SLOT_WORDS + FIELD.BITS;
    words[bits] = (words[bits] as number) | FIELD_BITS.UNREACHABLE;
    const lookup = this.#lookupOf(attempt);
    for (let slot = lookup; slot >= 0; slot = this.#nextAttempt(slot))
      if (((words[slot * SLOT_WORDS + FIELD.BITS] as number) & FIELD_BITS.UNREACHABLE) === 0) return;
    const sent = lookup * SLOT_WORDS + FIELD.TIME;
    this.#finish(lookup, attempt, raw.unreachable ?? 'connection_refused', undefined, {
      durationNs: Math.max(nsBetween(words, sent, raw.words, raw.at + FIELD.TIME), 0),
    });
  }

  /** The attempt that an error is about; -1: none is open. */
  #unreached(raw: Envelope, message: Message): number {
    if (message.id < 0) return -1;
    let looked = 0;
    const exchange = exchangeKey(raw, message);
    for (let slot = this.#byExchange.first(exchange); slot >= 0; slot = this.#byExchange.after(slot)) {
      if (looked++ === MAX_CANDIDATES) break;
      if (this.#slab.words[slot * SLOT_WORDS + SLOT.ID] !== message.id) continue;
      this.#slab.show(slot, this.#seen);
      if (isOnSameWay(this.#seen, raw)) return slot;
    }
    return -1;
  }

  /**
   * Finishes what is due at `nowUnixNs`. `request` and `response` do so with their event's time; call it as well
   * when nothing comes in, with a time up to which all events have been handed over (else answers that wait in the
   * ring come late).
   */
  expire(nowUnixNs: bigint): void {
    this.#advance(Number(nowUnixNs)); // rounds to 256 ns: enough for a time-out
  }

  /** End of the run: whatever is still open is emitted as 'sent', its time not having passed. Call `expire` before. */
  flush(): void {
    for (let held = this.#held.oldest; held !== undefined; held = this.#held.oldest) this.#giveUp(held);
    for (let slot = this.#open.oldest; slot >= 0; slot = this.#open.oldest)
      this.#finish(slot, slot, 'sent', undefined);
  }

  get #clock(): number {
    return this.#time[0] as number;
  }

  #advance(now: number): void {
    const elapsed = now - (this.#lastTime ?? now);
    if (elapsed >= 0 || elapsed < -STEP_BACK_NS) this.#lastTime = now;
    if (elapsed > 0) this.#time[0] = this.#clock + elapsed;
    for (
      let slot = this.#open.oldest;
      slot >= 0 && (this.#deadlines[slot] as number) <= this.#clock;
      slot = this.#open.oldest
    )
      this.#timeOut(slot);
    for (
      let due = this.#held.oldest;
      due !== undefined && due.deadline <= this.#clock;
      due = this.#held.oldest
    )
      this.#giveUp(due);
  }

  #sent(raw: Envelope, message: Message, process: ProcessIdentity): void {
    const view = this.#view;
    view.request.raw = raw;
    view.request.message = message;
    this.#show(process, 'sent', undefined, 0);
    this.#options.stage.out++;
    this.#options.onLookup(view);
  }

  #begin(raw: Envelope, message: Message, process: ProcessIdentity, question: number, retry: number): void {
    while (this.#openShares.isFull) this.#evict();
    const slot = this.#slab.take(raw, message, process);
    const holding = this.#holdings[slot] ?? this.#newHolding(slot);
    this.#deadlines[slot] = this.#clock + this.#timeout;
    this.#open.push(slot);
    this.#openShares.add(holding, this.#openShares.holderOf(this.#ownerOf(raw)));
    this.#byRetry.add(retry, slot);
    this.#groups.begin(slot, raw, message, question);
    this.#await(slot, raw, message, question);
  }

  #newHolding(slot: number): SlotHolding {
    const holding = new SlotHolding(slot);
    this.#holdings[slot] = holding;
    return holding;
  }

  /** Nothing is added where the lookup expects answers on this way already, or on too many. */
  #addAttempt(
    lookup: number,
    raw: Envelope,
    message: Message,
    process: ProcessIdentity,
    question: number,
  ): void {
    let last = lookup;
    let count = 0;
    for (let slot = lookup; slot >= 0; slot = this.#nextAttempt(slot)) {
      this.#slab.show(slot, this.#seen);
      if (isSameWay(this.#seen, raw)) {
        const bits = slot * SLOT_WORDS + FIELD.BITS;
        this.#slab.words[bits] = (this.#slab.words[bits] as number) & ~FIELD_BITS.UNREACHABLE;
        return;
      }
      last = slot;
      count++;
    }
    const slot = count < MAX_ATTEMPTS ? this.#slab.take(raw, message, process) : -1;
    if (slot < 0) return;
    const { words } = this.#slab;
    words[last * SLOT_WORDS + SLOT.NEXT_ATTEMPT] = slot + 1;
    words[slot * SLOT_WORDS + SLOT.LOOKUP] = lookup + 1;
    this.#await(slot, raw, message, question);
  }

  /** An answer to this attempt is expected, or was read before it. */
  #await(slot: number, raw: Envelope, message: Message, question: number): void {
    const exchange = exchangeKey(raw, message);
    const key = answerKey(exchange, question);
    this.#slab.words[slot * SLOT_WORDS + SLOT.ANSWER_KEY] = key;
    this.#byAnswer.add(key, slot);
    this.#byExchange.add(exchange, slot);
    if (this.#held.size > 0) this.#takeHeld(slot, exchange);
  }

  #nextAttempt(slot: number): number {
    return (this.#slab.words[slot * SLOT_WORDS + SLOT.NEXT_ATTEMPT] as number) - 1;
  }

  #lookupOf(attempt: number): number {
    const lookup = this.#slab.words[attempt * SLOT_WORDS + SLOT.LOOKUP] as number;
    return lookup === 0 ? attempt : lookup - 1;
  }

  #count(slot: number, word: number): void {
    const { words } = this.#slab;
    words[slot * SLOT_WORDS + word] = (words[slot * SLOT_WORDS + word] as number) + 1;
  }

  /** The open lookup that this request repeats; -1: none. */
  #repeated(raw: Envelope, message: Message, key: number): number {
    // Without id or question nothing says that it is the same.
    if (message.id < 0 || message.questionsRead === 0) return -1;
    let looked = 0;
    for (let slot = this.#byRetry.first(key); slot >= 0; slot = this.#byRetry.after(slot)) {
      if (looked++ === MAX_CANDIDATES) break;
      if (this.#isRepeated(slot, raw, message)) return slot;
    }
    return -1;
  }

  #isRepeated(lookup: number, raw: Envelope, message: Message): boolean {
    const { words, owners } = this.#slab;
    const at = lookup * SLOT_WORDS;
    const owner = owners[lookup];
    if (words[at + SLOT.ID] !== message.id || !isSameProcess(owner, raw.owner)) return false;
    const bits = (words[at + FIELD.BITS] as number) ^ (raw.words[raw.at + FIELD.BITS] as number);
    if ((bits & FIELD_BITS.TCP) !== 0) return false;
    if (words[at + FIELD.NETWORK_NAMESPACE] !== raw.words[raw.at + FIELD.NETWORK_NAMESPACE]) return false;
    this.#slab.show(lookup, this.#seen);
    if (!isSameServer(this.#seen, raw)) return false;
    if (this.#matchQuestions(lookup, message, WHOLE_CLASS) === 0) return false;
    if (raw.owner !== undefined && raw.owner.tid === owner?.tid) return true;
    for (let slot = lookup; slot >= 0; slot = this.#nextAttempt(slot)) {
      this.#slab.show(slot, this.#seen);
      if (isSameWay(this.#seen, raw)) return true;
    }
    return false;
  }

  /** 2: the same questions byte for byte; 1: but for the case of letters; 0: others. */
  #matchQuestions(slot: number, message: Message, classMask: number): 0 | 1 | 2 {
    if (this.#slab.hasQuestions(slot, message)) return 2;
    this.#slab.parse(slot, this.#seenMessage);
    return sameQuestions(this.#seenMessage, message, classMask);
  }

  /** Pairs the answer, or tells why it will never be. False: its request may still come. */
  #settle(raw: Envelope, message: Message, exchange: number): boolean {
    let best = -1;
    let bestMatch = 0;
    let looked = 0;
    const key = answerKey(exchange, questionHash(message));
    for (let slot = this.#byAnswer.first(key); slot >= 0; slot = this.#byAnswer.after(slot)) {
      if (looked++ === MAX_CANDIDATES) break;
      const match = this.#match(slot, raw, message);
      if (match <= bestMatch) continue;
      best = slot;
      bestMatch = match;
      if (match === 2) break;
    }
    if (best >= 0) {
      this.#answer(best, raw, message);
      return true;
    }
    const slot = this.#finished.find(key, raw);
    if (slot < 0) return this.#settleByExchange(raw, message, exchange);
    this.#further(slot, raw, message);
    return true;
  }

  /** An answer to a lookup that is finished. */
  #further(slot: number, raw: Envelope, message: Message): void {
    const { answers, onLookup } = this.#options;
    const verdict = this.#finished.judge(slot, () => answerDigest(message));
    if (verdict !== 'conflicting') {
      answers.filter(verdict === 'conflicting_again' ? 'conflicting' : verdict);
      return;
    }
    const view = new LookupView(NO_PROCESS);
    this.#finished.again(slot, raw, message, view);
    putUuidV7(view.uidBytes, 0, Date.now());
    answers.out++;
    onLookup(view);
  }

  /** Answers without a question (a server that could not read the request leaves it out), or to a request without one. */
  #settleByExchange(raw: Envelope, message: Message, exchange: number): boolean {
    let only = -1;
    let fitting = 0;
    let looked = 0;
    for (let slot = this.#byExchange.first(exchange); slot >= 0; slot = this.#byExchange.after(slot)) {
      // A table of more candidates than are looked at may hold another one that fits.
      if (looked++ === MAX_CANDIDATES) {
        fitting = fitting === 0 ? 0 : 2;
        break;
      }
      if (!this.#matchWithoutQuestion(slot, raw, message)) continue;
      if (fitting++ === 0) only = slot;
    }
    if (fitting === 0) return false;
    if (fitting === 1) this.#answer(only, raw, message);
    else this.#options.answers.drop('ambiguous');
    return true;
  }

  #match(slot: number, raw: Envelope, message: Message): 0 | 1 | 2 {
    const { words } = this.#slab;
    if (words[slot * SLOT_WORDS + SLOT.ID] !== message.id) return 0;
    // The header alone: no question was read.
    if ((words[slot * SLOT_WORDS + SLOT.QUESTIONS_END] as number) <= HEADER) return 0;
    if (!this.#isOnWay(slot, raw)) return 0;
    return this.#matchQuestions(slot, message, isMulticast(this.#seen) ? UNICAST_CLASS : WHOLE_CLASS);
  }

  /** Whether the answer came back on the way of this attempt, and not before it. Leaves the attempt in `#seen`. */
  #isOnWay(slot: number, raw: Envelope): boolean {
    const seen = this.#seen;
    this.#slab.show(slot, seen);
    const elapsed = nsBetween(seen.words, seen.at + FIELD.TIME, raw.words, raw.at + FIELD.TIME);
    return elapsed + CLOCK_SLACK_NS >= 0 && isOnSameWay(seen, raw);
  }

  #matchWithoutQuestion(slot: number, raw: Envelope, message: Message): boolean {
    // -1: too short to have an id
    if (message.id < 0 || this.#slab.words[slot * SLOT_WORDS + SLOT.ID] !== message.id) return false;
    const request = this.#seenMessage;
    this.#slab.parse(slot, request);
    if (request.questionsRead > 0 && message.questionsRead > 0) return false;
    return this.#isOnWay(slot, raw) && (!isMulticast(this.#seen) || answersQuestion(message, request));
  }

  /** An answer that was read before this request. */
  #takeHeld(attempt: number, exchange: number): void {
    for (const held of this.#heldByExchange.get(exchange, MAX_CANDIDATES)) {
      const { raw, message } = held;
      if (this.#match(attempt, raw, message) === 0 && !this.#matchWithoutQuestion(attempt, raw, message))
        continue;
      this.#release(held);
      this.#answer(attempt, raw, message);
      return;
    }
  }

  #hold(raw: Envelope, message: Message, exchange: number): void {
    while (this.#heldShares.isFull) this.#giveWay();
    const held = new Held(raw, message, exchange, this.#clock + HOLD_NS);
    this.#held.push(held);
    const sender = this.#fairness.unknown(raw.networkNamespace, raw.remote.address, raw.localPort);
    this.#heldShares.add(held, this.#heldShares.holderOf(sender));
    this.#heldByExchange.add(exchange, held);
  }

  #giveUp(held: Held): void {
    this.#release(held);
    const { raw, message, exchangeKey: exchange } = held;
    let isAsked = false;
    let looked = 0;
    for (let slot = this.#byExchange.first(exchange); slot >= 0; slot = this.#byExchange.after(slot)) {
      if (isAsked || looked++ === MAX_CANDIDATES) break;
      this.#slab.show(slot, this.#seen);
      const isId = this.#slab.words[slot * SLOT_WORDS + SLOT.ID] === message.id;
      isAsked = isId && isOnSameWay(this.#seen, raw);
    }
    this.#options.answers.filter(isAsked ? 'other_question' : 'unmatched');
  }

  /** When full: an answer of the server that has most of them. */
  #giveWay(): void {
    const held = this.#heldShares.largest();
    if (held === undefined) return;
    const reason = 'answers_full' satisfies UnknownReason;
    if (held.holder !== undefined) this.#fairness.gaveWay(held.holder.owner, reason);
    this.#options.losses?.noteConnection(held.raw, reason);
    this.#release(held);
    this.#options.answers.drop(reason);
  }

  #release(held: Held): void {
    this.#held.remove(held);
    this.#heldShares.remove(held);
    this.#heldByExchange.delete(held.exchangeKey, held);
  }

  #answer(attempt: number, raw: Envelope, message: Message): void {
    this.#options.answers.out++;
    const lookup = this.#lookupOf(attempt);
    const view = this.#view;
    view.answer.raw = raw;
    view.answer.message = message;
    this.#finish(lookup, attempt, 'answered', undefined);
  }

  #ownerOf(raw: Envelope): HolderId {
    return raw.owner ?? this.#fairness.unknown(raw.networkNamespace, raw.local.address);
  }

  #evict(): void {
    const holding = this.#openShares.largest();
    if (holding === undefined) return;
    const reason = 'requests_full' satisfies UnknownReason;
    if (holding.holder !== undefined) this.#fairness.gaveWay(holding.holder.owner, reason);
    this.evicted++;
    this.#finish(holding.slot, holding.slot, 'unknown', reason);
  }

  #timeOut(slot: number): void {
    const reason = this.#options.losses === undefined ? undefined : this.#lossOf(slot);
    this.#finish(slot, slot, reason === undefined ? 'timeout' : 'unknown', reason);
  }

  #lossOf(lookup: number): UnknownReason | undefined {
    const ways: Envelope[] = [];
    for (let slot = lookup; slot >= 0; slot = this.#nextAttempt(slot)) {
      const way = new Envelope();
      this.#slab.show(slot, way);
      ways.push(way);
    }
    const sent = ways[0]?.timeNumber ?? 0;
    return this.#options.losses?.of(ways, sent, sent + this.#timeout);
  }

  /** @param attempt the transmission that was answered; it says which server and port, the first one when it was asked */
  #finish(
    lookup: number,
    attempt: number,
    outcome: Outcome,
    reason: UnknownReason | undefined,
    failed?: { readonly durationNs: number },
  ): void {
    const slab = this.#slab;
    const { words } = slab;
    const view = this.#view;
    const process = slab.processes[lookup] as ProcessIdentity;
    if (attempt !== lookup)
      for (let i = FIELD.TIME; i < FIELD.TIME + 2; i++)
        words[attempt * SLOT_WORDS + i] = words[lookup * SLOT_WORDS + i] as number;
    slab.show(attempt, view.request.raw);
    slab.parse(attempt, view.request.message);
    this.#show(process, outcome, reason, words[lookup * SLOT_WORDS + SLOT.RETRIES] as number);
    if (failed !== undefined) view.durationNs = failed.durationNs;
    this.#open.remove(lookup);
    this.#openShares.remove(this.#holdings[lookup] as SlotHolding);
    this.#byRetry.remove(lookup);
    this.#groups.finish(lookup, view);
    const digest = view.hasResponse ? answerDigest(view.answer.message) : 0;
    for (let slot = lookup; slot >= 0; slot = this.#nextAttempt(slot)) {
      this.#byExchange.remove(slot);
      this.#byAnswer.remove(slot);
      this.#remember(slot, digest);
    }
    this.#options.stage.out++;
    try {
      this.#options.onLookup(view);
    } finally {
      for (let slot = lookup; slot >= 0; ) {
        const next = this.#nextAttempt(slot);
        slab.free(slot);
        slot = next;
      }
    }
  }

  /** What the view shows beside request and answer. */
  #show(
    process: ProcessIdentity,
    outcome: Outcome,
    reason: UnknownReason | undefined,
    retries: number,
  ): void {
    const view = this.#view;
    view.process = process;
    view.outcome = outcome;
    view.reason = reason;
    view.retries = retries;
    view.hasResponse = outcome === 'answered';
    view.search = undefined;
    view.hasLookupId = false;
    view.isFinal = false;
    view.conflictsWith = undefined;
    view.durationNs = view.hasResponse ? Math.max(elapsedBetween(view.request.raw, view.answer.raw), 0) : -1;
    putUuidV7(view.uidBytes, 0, Date.now());
  }

  #remember(attempt: number, digest: number): void {
    const { words } = this.#slab;
    const at = attempt * SLOT_WORDS;
    // An answer cannot be told to be to this one.
    if ((words[at + SLOT.QUESTIONS_END] as number) <= HEADER) return;
    const seen = this.#seen;
    this.#slab.show(attempt, seen);
    const key = words[at + SLOT.ANSWER_KEY] as number;
    const server = isMulticast(seen) ? anyServerKey(seen) : serverKey(seen);
    const byMany = seen.remotePort === MDNS_PORT;
    this.#finished.remember(key, server, this.#view, digest, byMany);
    if (seen.has(FIELD_BITS.DIALED))
      this.#finished.remember(key, serverKey(seen, FIELD.DIALED), this.#view, digest, byMany);
  }
}

/** Bytes of a message header; a message whose questions end there has none. */
const HEADER = 12;

/** Until a lookup is shown. */
const NO_PROCESS: ProcessIdentity = Object.freeze({
  pid: 0,
  startTime: 0n,
  attribution: 'none',
  executableName: '',
  containerId: undefined,
  workload: '',
  resource: Object.freeze({}),
});

/** No answer to it will ever come: a DSO message that is no request (RFC 8490 section 5.4). */
function isUnidirectional({ opcode, id }: Message): boolean {
  return opcode === OPCODES.DSO && id === 0;
}

function elapsedBetween(request: Envelope, response: Envelope): number {
  return nsBetween(request.words, request.at + FIELD.TIME, response.words, response.at + FIELD.TIME);
}
