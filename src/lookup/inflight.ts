/**
 * Requests in flight are paired with their answers: every DNS request becomes exactly one Lookup, except that retransmissions are
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
import { Message } from '../dns/message.ts';
import type { Stage } from '../ledger.ts';
import { FairBound, Holding } from '../lib/fair-bound.ts';
import { Fairness, type HolderId } from '../lib/fairness.ts';
import { putUuidV7 } from '../lib/uuid.ts';
import type { Outcome, ProcessIdentity, UnknownReason } from '../model.ts';
import { OPCODES } from '../tables/classes.ts';
import { Attempts } from './attempts.ts';
import { Awaited, MAX_CANDIDATES } from './awaited.ts';
import { Envelope, nsBetween } from './envelope.ts';
import { FIELD, FIELD_BITS } from './fields.ts';
import { Finished } from './finished.ts';
import { Groups } from './groups.ts';
import { HeldAnswer, HeldAnswers } from './held-answers.ts';
import {
  answerDigest,
  answerKey,
  anyServerKey,
  exchangeKey,
  hasNoId,
  isMulticast,
  isSameProcess,
  isSameServer,
  isSameWay,
  MDNS_PORT,
  questionHash,
  retryKey,
  serverKey,
} from './keys.ts';
import type { Losses } from './losses.ts';
import { SLOT, SLOT_WORDS, Slab } from './slab.ts';
import { SlotIndex } from './slot-index.ts';
import { SlotQueue } from './slot-queue.ts';
import { asksTransfer, isTransferType, Transfer, Transfers } from './transfers.ts';
import { EventView, LookupView } from './view.ts';

/** Answers wait so long for their request (held-answers.ts). Longer waits are no race. */
const HOLD_NS = 50_000_000;
/** Slots for further attempts, as a part of those for lookups. */
const ATTEMPTS_SHARE = 1 / 4;
/**
 * Event time going back further than this is a step of the clock. Less is no news: rings of several CPUs, or events that
 * waited while this program did not run. The clock of the time-outs then stands still until time has caught up.
 */
const STEP_BACK_NS = 60_000_000_000;
const MAX_IN_FLIGHT = 65_536;
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

export class InFlight {
  /** Lookups finished as 'unknown' before their time because the table was full. */
  evicted = 0;

  readonly #options: InFlightOptions;
  readonly #fairness: Fairness;
  readonly #openShares: FairBound<SlotHolding>;
  readonly #timeout: number;
  readonly #slab: Slab;
  readonly #holdings: SlotHolding[] = [];
  /** Of `#clock()`. */
  readonly #deadlines: Float64Array;
  /** Open lookups; the time-out is the same for all, so the oldest is always the next to expire. */
  readonly #open: SlotQueue;
  /** Open lookups by what a retransmission has in common with them. */
  readonly #byRetry: SlotIndex;
  readonly #awaited: Awaited;
  readonly #groups: Groups;
  /** Lookups that are being answered by many messages; they are not among `#open`. */
  readonly #transfers: Transfers;
  readonly #finished = new Finished();
  readonly #held: HeldAnswers;
  readonly #attempts: Attempts;
  /** Of a lookup that ends; what is shown of a request at once is the caller's own. */
  readonly #request = new EventView();
  /** What candidates are looked at with. */
  readonly #seen = new Envelope();
  readonly #seenMessage = new Message();
  readonly #view: LookupView = new LookupView(NO_PROCESS);
  /** ns that event time has advanced since the first event: never goes back, whatever the wall clock does. */
  readonly #time = new Float64Array(1);
  #lastTime: number | undefined = undefined;

  constructor(options: InFlightOptions) {
    const { maxInFlight = MAX_IN_FLIGHT } = options;
    const furtherAttempts = Math.ceil(maxInFlight * ATTEMPTS_SHARE);
    const capacity = maxInFlight + furtherAttempts + 1;
    this.#options = options;
    this.#fairness = options.fairness ?? new Fairness();
    this.#openShares = new FairBound(maxInFlight, this.#fairness);
    this.#held = new HeldAnswers(this.#fairness);
    this.#timeout = Number(options.timeoutNs);
    this.#slab = new Slab(capacity);
    this.#attempts = new Attempts(this.#slab, furtherAttempts);
    this.#deadlines = new Float64Array(capacity);
    this.#open = new SlotQueue(capacity);
    this.#byRetry = new SlotIndex(capacity);
    this.#awaited = new Awaited(this.#slab, capacity);
    this.#groups = new Groups(this.#slab, this.#time, (slot, message) =>
      this.#awaited.asksTheSame(slot, message),
    );
    this.#transfers = new Transfers(this.#fairness);
    options.stage.held = () => this.#open.size + this.#transfers.size;
    options.answers.held = () => this.#held.size;
  }

  /** Something ends when time passes, though no message comes. */
  get isWaiting(): boolean {
    return this.#open.size + this.#transfers.size + this.#held.size > 0;
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
    if (!this.#isAwaited(raw)) return;
    const exchange = exchangeKey(raw, message);
    if (!this.#settle(raw, message, exchange)) this.#hold(raw, message, exchange);
  }

  /**
   * An ICMP error about a request: `message` is what it quotes of it, with its id and, if there is so much, its question. The lookup is
   * over if it was sent on no other way from which an answer may come.
   */
  unreachable(raw: Envelope, message: Message): void {
    if (!this.#isAwaited(raw)) return;
    const { answers } = this.#options;
    const attempt = this.#awaited.unreached(raw, message);
    if (attempt < 0) {
      answers.filter('late');
      return;
    }
    answers.out++;
    const { words } = this.#slab;
    this.#markUnreachable(attempt, true);
    const lookup = this.#attempts.lookupOf(attempt);
    for (let slot = lookup; slot >= 0; slot = this.#attempts.next(slot))
      if (((words[slot * SLOT_WORDS + FIELD.BITS] as number) & FIELD_BITS.UNREACHABLE) === 0) return;
    const sent = lookup * SLOT_WORDS + FIELD.TIME;
    this.#finish(lookup, attempt, raw.unreachable ?? 'connection_refused', undefined, {
      durationNs: Math.max(nsBetween(words, sent, raw.words, raw.at + FIELD.TIME), 0),
    });
  }

  #isAwaited(raw: Envelope): boolean {
    const { answers, emit } = this.#options;
    answers.in++;
    if (emit === 'request') answers.filter('not_awaited');
    else this.#advance(raw.timeNumber);
    return emit !== 'request';
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
    for (let next = this.#transfers.oldest; next !== undefined; next = this.#transfers.oldest)
      this.#endTransfer(next);
    for (let slot = this.#open.oldest; slot >= 0; slot = this.#open.oldest)
      this.#finish(slot, slot, 'sent', undefined);
  }

  #clock(): number {
    return this.#time[0] as number;
  }

  #advance(now: number): void {
    const elapsed = now - (this.#lastTime ?? now);
    if (elapsed >= 0 || elapsed < -STEP_BACK_NS) this.#lastTime = now;
    if (elapsed > 0) this.#time[0] = this.#clock() + elapsed;
    for (
      let slot = this.#open.oldest;
      slot >= 0 && (this.#deadlines[slot] as number) <= this.#clock();
      slot = this.#open.oldest
    )
      this.#timeOut(slot);
    for (
      let quiet = this.#transfers.oldest;
      quiet !== undefined && quiet.deadline <= this.#clock();
      quiet = this.#transfers.oldest
    )
      this.#endTransfer(quiet);
    for (
      let due = this.#held.oldest;
      due !== undefined && due.deadline <= this.#clock();
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
    this.#deadlines[slot] = this.#clock() + this.#timeout;
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
    for (let slot = lookup; slot >= 0; slot = this.#attempts.next(slot)) {
      this.#slab.show(slot, this.#seen);
      if (!isSameWay(this.#seen, raw)) continue;
      this.#markUnreachable(slot, false);
      return;
    }
    const slot = this.#attempts.add(lookup, raw, message, process);
    if (slot >= 0) this.#await(slot, raw, message, question);
  }

  #markUnreachable(slot: number, is: boolean): void {
    const { words } = this.#slab;
    const at = slot * SLOT_WORDS + FIELD.BITS;
    const others = (words[at] as number) & ~FIELD_BITS.UNREACHABLE;
    words[at] = is ? others | FIELD_BITS.UNREACHABLE : others;
  }

  /** An answer to this attempt is expected, or was read before it. */
  #await(slot: number, raw: Envelope, message: Message, question: number): void {
    const exchange = this.#awaited.add(slot, raw, message, question);
    if (this.#held.size > 0) this.#takeHeld(slot, exchange);
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
    if (!this.#awaited.asksTheSame(lookup, message)) return false;
    if (raw.owner !== undefined && raw.owner.tid === owner?.tid) return true;
    for (let slot = lookup; slot >= 0; slot = this.#attempts.next(slot)) {
      this.#slab.show(slot, this.#seen);
      if (isSameWay(this.#seen, raw)) return true;
    }
    return false;
  }

  /** Pairs the answer, or tells why it will never be. False: its request may still come. */
  #settle(raw: Envelope, message: Message, exchange: number): boolean {
    const key = answerKey(exchange, questionHash(message));
    const attempt = this.#awaited.withQuestion(key, raw, message);
    if (attempt >= 0) {
      this.#answer(attempt, raw, message);
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
    const awaited = this.#awaited;
    const fitting = awaited.withoutQuestion(exchange, raw, message);
    if (fitting === 0) return false;
    if (hasNoId(raw)) this.#answerAll(fitting, raw, message);
    else if (fitting === 1) this.#answer(awaited.fitting(0), raw, message);
    else this.#options.answers.drop('ambiguous');
    return true;
  }

  /** One message of multicast DNS may answer several questions, whoever asked them (RFC 6762 section 6). */
  #answerAll(count: number, raw: Envelope, message: Message): void {
    this.#options.answers.out++;
    for (let i = 0; i < count; i++) {
      const attempt = this.#awaited.fitting(i);
      // Another attempt of a lookup that has just ended.
      if (this.#slab.processes[attempt] !== undefined) this.#finishAnswered(attempt, raw, message);
    }
  }

  /** An answer that was read before this request. */
  #takeHeld(attempt: number, exchange: number): void {
    for (const held of this.#held.of(exchange, MAX_CANDIDATES)) {
      const { raw, message } = held;
      if (!this.#awaited.fits(attempt, raw, message)) continue;
      this.#held.release(held);
      this.#answer(attempt, raw, message);
      return;
    }
  }

  #hold(raw: Envelope, message: Message, exchange: number): void {
    const { inTheWay } = this.#held;
    if (inTheWay !== undefined) this.#giveWay(inTheWay);
    this.#held.hold(new HeldAnswer(raw, message, exchange, this.#clock() + HOLD_NS));
  }

  #giveUp(held: HeldAnswer): void {
    this.#held.release(held);
    const { raw, message, exchangeKey: exchange } = held;
    const isAsked = this.#awaited.isAsked(exchange, raw, message);
    this.#options.answers.filter(isAsked ? 'other_question' : 'unmatched');
  }

  #giveWay(held: HeldAnswer): void {
    const reason = 'answers_full' satisfies UnknownReason;
    if (held.holder !== undefined) this.#fairness.gaveWay(held.holder.owner, reason);
    this.#options.losses?.noteConnection(held.raw, reason);
    this.#held.release(held);
    this.#options.answers.drop(reason);
  }

  #answer(attempt: number, raw: Envelope, message: Message): void {
    this.#options.answers.out++;
    this.#finishAnswered(attempt, raw, message);
  }

  #finishAnswered(attempt: number, raw: Envelope, message: Message): void {
    const lookup = this.#attempts.lookupOf(attempt);
    if (raw.has(FIELD_BITS.TCP) && this.#isTransferred(lookup, attempt, raw, message)) return;
    const view = this.#view;
    view.answer.raw = raw;
    view.answer.message = message;
    this.#finish(lookup, attempt, 'answered', undefined);
  }

  /** A message of a zone transfer: the lookup ends with the last one. */
  #isTransferred(lookup: number, attempt: number, raw: Envelope, message: Message): boolean {
    const transfer = this.#transfers.of(lookup) ?? this.#beginTransfer(lookup, attempt, message);
    if (transfer === undefined) return false;
    transfer.add(raw, message, this.#clock());
    if (transfer.isComplete) this.#endTransfer(transfer);
    else this.#transfers.renew(transfer, this.#clock() + this.#timeout);
    return true;
  }

  #beginTransfer(lookup: number, attempt: number, message: Message): Transfer | undefined {
    if (message.questionsRead > 0 && !isTransferType(message.questionType)) return undefined;
    const request = this.#seenMessage;
    this.#slab.parse(attempt, request);
    if (!asksTransfer(request)) return undefined;
    const transfer = new Transfer(lookup, attempt, request, this.#clock());
    const inTheWay = this.#transfers.inTheWay;
    if (inTheWay !== undefined) this.#endTransfer(inTheWay);
    this.#slab.show(lookup, this.#seen);
    this.#transfers.begin(transfer, this.#ownerOf(this.#seen));
    // Its time-out begins again with each message, and it is answered: the same question is another lookup.
    this.#open.remove(lookup);
    this.#byRetry.remove(lookup);
    return transfer;
  }

  #endTransfer(transfer: Transfer): void {
    transfer.show(this.#view);
    this.#finish(transfer.lookup, transfer.attempt, 'answered', undefined);
  }

  #ownerOf(raw: Envelope): HolderId {
    return raw.owner ?? this.#fairness.unknown(raw.networkNamespace, raw.local.address);
  }

  #evict(): void {
    const holding = this.#openShares.largest();
    if (holding === undefined) return;
    const reason = 'requests_full' satisfies UnknownReason;
    if (holding.holder !== undefined) this.#fairness.gaveWay(holding.holder.owner, reason);
    const transfer = this.#transfers.of(holding.slot);
    if (transfer !== undefined) {
      this.#endTransfer(transfer);
      return;
    }
    this.evicted++;
    this.#finish(holding.slot, holding.slot, 'unknown', reason);
  }

  #timeOut(slot: number): void {
    const reason = this.#options.losses === undefined ? undefined : this.#lossOf(slot);
    this.#finish(slot, slot, reason === undefined ? 'timeout' : 'unknown', reason);
  }

  #lossOf(lookup: number): UnknownReason | undefined {
    const ways: Envelope[] = [];
    for (let slot = lookup; slot >= 0; slot = this.#attempts.next(slot)) {
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
    const { raw, message } = this.#request;
    slab.show(attempt, raw);
    slab.parse(attempt, message);
    view.request.raw = raw;
    view.request.message = message;
    this.#show(process, outcome, reason, words[lookup * SLOT_WORDS + SLOT.RETRIES] as number);
    if (failed !== undefined) view.durationNs = failed.durationNs;
    const transfer = this.#transfers.of(lookup);
    if (transfer === undefined) {
      this.#open.remove(lookup);
      this.#byRetry.remove(lookup);
    } else {
      this.#transfers.end(transfer);
      transfer.count(view);
    }
    this.#openShares.remove(this.#holdings[lookup] as SlotHolding);
    this.#groups.finish(lookup, view);
    const digest = view.hasResponse ? answerDigest(view.answer.message) : 0;
    for (let slot = lookup; slot >= 0; slot = this.#attempts.next(slot)) {
      this.#awaited.remove(slot);
      this.#remember(slot, digest);
    }
    this.#options.stage.out++;
    try {
      this.#options.onLookup(view);
    } finally {
      this.#attempts.free(lookup);
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
    view.answerMessages = 0;
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
    if (!this.#slab.isQuestionRead(attempt)) return;
    const seen = this.#seen;
    this.#slab.show(attempt, seen);
    const key = words[at + SLOT.ANSWER_KEY] as number;
    const server = isMulticast(seen) ? anyServerKey(seen) : serverKey(seen);
    // RFC 6762 section 6: whoever knows something answers, so that answers differ.
    const byMany = seen.remotePort === MDNS_PORT || this.#view.answerMessages > 0;
    this.#finished.remember(key, server, this.#view, digest, byMany);
    if (seen.has(FIELD_BITS.DIALED))
      this.#finished.remember(key, serverKey(seen, FIELD.DIALED), this.#view, digest, byMany);
  }
}

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
