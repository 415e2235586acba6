/**
 * Pairs requests with their answers: every DNS request becomes exactly one Lookup, except that retransmissions are
 * folded into the lookup they repeat (counted in `retries`). So at the end of a run
 *
 *   requests = lookups + sum(lookup.retries)
 *
 * and since a server logs each transmission, records plus retries is what the servers logged.
 *
 * A retransmission is a request of the same process with the same transport, id and question as one that is still
 * unanswered, if it also went the same way or came from the same thread. The second covers glibc, which asks the next
 * server of resolv.conf with the very same message from another socket (resolv/res_send.c, __res_context_send sends one
 * `buf`, id included, for every `try` and every `ns`; seen on the wire with glibc 2.36: one id, one port per server). A
 * program that asks several servers at once with one id looks the same and is counted the same. A resolver that retries
 * with a new id makes a new request; so does a retry over TCP after a truncated answer: the first was answered.
 *
 * The time-out runs from the first request. An answer after it is counted ('late') and changes nothing; a retry after it
 * is a new lookup. Nothing is ever invented: a lookup whose time had not passed when the run ended is 'sent'.
 *
 * All state is bounded; see the constants.
 */
import {
  answerKey,
  answersQuestion,
  anyServerKey,
  exchangeKey,
  isMulticast,
  isOnSameWay,
  isSameProcess,
  isSameWay,
  questionHash,
  questionMatch,
  retryKey,
  serverKey,
} from './exchange.ts';
import type { Stage } from './health.ts';
import { type Linked, LinkedQueue } from './lib/linked-queue.ts';
import { MultiMap } from './lib/multi-map.ts';
import { RecentKeys } from './lib/recent-keys.ts';
import type { DnsEvent, Lookup, Outcome, ProcessIdentity } from './model.ts';

/** Answers that came before their request: rings of several CPUs are read in turn. Longer waits are no race. */
const HOLD_NS = 50_000_000;
/** Most answers held so; the oldest is given up when full. */
const MOST_HELD = 4096;
/**
 * Finished lookups remembered, to tell duplicate and late answers from unasked ones: by hashes, not by the events. Kept as
 * objects they outlive the young generation of the collector, which cost 10 % of the agent's time and 30 MB. A newer one
 * takes the slot of an older one.
 */
const REMEMBERED_SLOTS = 16_384;
const REMEMBERED_ANSWERED = 1;
const REMEMBERED_UNANSWERED = 2;
/** Ways (socket, server) one lookup is expected to be answered on; an answer to a further one is 'unmatched'. */
const MOST_ATTEMPTS = 8;
/** Candidates looked at under one key. Keys are seeded hashes, so only identical exchanges share one in number. */
const MOST_CANDIDATES = 64;
/** An answer may be stamped this much before its request (clocks of capture queues differ); its duration is then 0. */
const CLOCK_SLACK_NS = 1_000_000n;
/**
 * Event time going back further than this is a step of the clock. Less is no news: rings of several CPUs, or events that
 * waited while this program did not run. The clock of the time-outs then stands still until time has caught up.
 */
const STEP_BACK_NS = 60_000_000_000;

export interface CorrelatorOptions {
  readonly timeoutNs: bigint;
  /** Requests waiting for their answer; when full the oldest is finished as 'timeout' and counted in `evicted`. */
  readonly maxInFlight?: number;
  /** 'request': every request is a lookup of its own at once ('sent'), answers are left out. */
  readonly emit: 'lookup' | 'request';
  /** Called synchronously, once for each lookup. */
  readonly onLookup: (lookup: Lookup) => void;
  /** Requests: in = out + filtered 'retry' + held. */
  readonly stage: Stage;
  /** Answers: in = out (paired) + filtered 'duplicate', 'late', 'other-question', 'not-awaited' + dropped 'unmatched', 'ambiguous' + held. */
  readonly answers: Stage;
}

/** One way on which a lookup was sent. */
interface Attempt {
  readonly lookup: Pending;
  readonly event: DnsEvent;
  readonly exchangeKey: number;
  readonly answerKey: number;
}

const NO_ATTEMPTS: readonly Attempt[] = Object.freeze([]);

class Pending implements Linked<Pending> {
  newer: Pending | undefined = undefined;
  older: Pending | undefined = undefined;
  retries = 0;
  /** Mostly one: made anew for a further one, since `push` onto an empty array makes room for 17. */
  attempts: readonly Attempt[] = NO_ATTEMPTS;
  request: DnsEvent;
  readonly process: ProcessIdentity;
  readonly deadline: number;
  readonly retryKey: number;

  constructor(request: DnsEvent, process: ProcessIdentity, deadline: number, retryKey: number) {
    this.request = request;
    this.process = process;
    this.deadline = deadline;
    this.retryKey = retryKey;
  }
}

class Held implements Linked<Held> {
  newer: Held | undefined = undefined;
  older: Held | undefined = undefined;
  readonly response: DnsEvent;
  readonly exchangeKey: number;
  readonly deadline: number;

  constructor(response: DnsEvent, exchangeKey: number, deadline: number) {
    this.response = response;
    this.exchangeKey = exchangeKey;
    this.deadline = deadline;
  }
}

export class Correlator {
  /** Lookups finished as 'timeout' before their time because the table was full. */
  evicted = 0;

  readonly #options: CorrelatorOptions;
  readonly #maxInFlight: number;
  readonly #timeout: number;
  /** Open lookups; the time-out is the same for all, so the oldest is always the next to expire. */
  readonly #open = new LinkedQueue<Pending>();
  readonly #finished = new RecentKeys(REMEMBERED_SLOTS);
  readonly #held = new LinkedQueue<Held>();
  /** Open lookups by what a retransmission has in common with them. */
  readonly #byRetry = new MultiMap<Pending>();
  /** Open attempts by exchange and question. */
  readonly #byAnswer = new MultiMap<Attempt>();
  /** Open attempts by exchange alone: answers without a question, answers to another question. */
  readonly #byExchange = new MultiMap<Attempt>();
  readonly #heldByExchange = new MultiMap<Held>();
  /** ns that event time has advanced since the first event: never goes back, whatever the wall clock does. */
  #clock = 0;
  #lastTime: number | undefined = undefined;

  constructor(options: CorrelatorOptions) {
    this.#options = options;
    this.#maxInFlight = options.maxInFlight ?? 65_536;
    this.#timeout = Number(options.timeoutNs);
    options.stage.held = () => this.#open.size;
    options.answers.held = () => this.#held.size;
  }

  request(event: DnsEvent, process: ProcessIdentity): void {
    const { stage, emit, onLookup } = this.#options;
    stage.in++;
    if (emit === 'request') {
      stage.out++;
      onLookup({
        request: event,
        response: undefined,
        outcome: 'sent',
        retries: 0,
        duration: undefined,
        process,
      });
      return;
    }
    this.expire(event.raw.time);
    const question = questionHash(event.message);
    const retry = retryKey(event, question);
    let lookup = this.#repeated(event, retry);
    if (lookup === undefined) {
      if (this.#open.size >= this.#maxInFlight) this.#evict();
      lookup = new Pending(event, process, this.#clock + this.#timeout, retry);
      this.#open.push(lookup);
      this.#byRetry.add(retry, lookup);
    } else {
      lookup.retries++;
      stage.filter('retry');
    }
    const attempt = this.#addAttempt(lookup, event, question);
    if (attempt !== undefined && this.#held.size > 0) this.#takeHeld(attempt);
  }

  response(event: DnsEvent): void {
    const { answers, emit } = this.#options;
    answers.in++;
    if (emit === 'request') {
      answers.filter('not-awaited');
      return;
    }
    this.expire(event.raw.time);
    const exchange = exchangeKey(event);
    if (this.#settle(event, exchange)) return;
    if (this.#held.size >= MOST_HELD && this.#held.oldest !== undefined) this.#giveUp(this.#held.oldest);
    const held = new Held(event, exchange, this.#clock + HOLD_NS);
    this.#held.push(held);
    this.#heldByExchange.add(exchange, held);
  }

  /**
   * Finishes what is due at `nowUnixNs`. Called by `request` and `response` with their event's time; call it as well
   * when nothing comes in, with a time up to which all events have been handed over (else answers that wait in the
   * ring come late).
   */
  expire(nowUnixNs: bigint): void {
    const now = Number(nowUnixNs); // rounds to 256 ns: enough for a time-out
    const elapsed = now - (this.#lastTime ?? now);
    if (elapsed >= 0 || elapsed < -STEP_BACK_NS) this.#lastTime = now;
    if (elapsed > 0) this.#clock += elapsed;
    for (
      let due = this.#open.oldest;
      due !== undefined && due.deadline <= this.#clock;
      due = this.#open.oldest
    )
      this.#finish(due, 'timeout', undefined, undefined);
    for (
      let due = this.#held.oldest;
      due !== undefined && due.deadline <= this.#clock;
      due = this.#held.oldest
    )
      this.#giveUp(due);
  }

  /** End of the run: whatever is still open is emitted as 'sent', its time not having passed. Call `expire` before. */
  flush(): void {
    for (let held = this.#held.oldest; held !== undefined; held = this.#held.oldest) this.#giveUp(held);
    for (let open = this.#open.oldest; open !== undefined; open = this.#open.oldest)
      this.#finish(open, 'sent', undefined, undefined);
  }

  /** The open lookup that this request repeats. */
  #repeated(event: DnsEvent, key: number): Pending | undefined {
    const { raw, message } = event;
    // Without id or question nothing says that it is the same.
    if (message.id < 0 || message.questions.length === 0) return undefined;
    for (const lookup of this.#byRetry.get(key, MOST_CANDIDATES)) {
      const first = lookup.request;
      const isSame =
        first.message.id === message.id &&
        first.raw.transport === raw.transport &&
        first.raw.networkNamespace === raw.networkNamespace &&
        isSameProcess(first.raw.owner, raw.owner) &&
        questionMatch(first.message, message) !== 0;
      if (!isSame) continue;
      if (raw.owner !== undefined && raw.owner.tid === first.raw.owner?.tid) return lookup;
      if (lookup.attempts.some((attempt) => isSameWay(attempt.event.raw, raw))) return lookup;
    }
    return undefined;
  }

  /** undefined: the lookup expects answers on this way already, or on too many. */
  #addAttempt(lookup: Pending, event: DnsEvent, question: number): Attempt | undefined {
    if (lookup.attempts.length >= MOST_ATTEMPTS) return undefined;
    if (lookup.attempts.some((attempt) => isSameWay(attempt.event.raw, event.raw))) return undefined;
    const exchange = exchangeKey(event);
    const attempt = { lookup, event, exchangeKey: exchange, answerKey: answerKey(exchange, question) };
    lookup.attempts = lookup.attempts.length === 0 ? [attempt] : [...lookup.attempts, attempt];
    this.#byAnswer.add(attempt.answerKey, attempt);
    this.#byExchange.add(exchange, attempt);
    return attempt;
  }

  /** Pairs the answer, or tells why it will never be. False: its request may still come. */
  #settle(response: DnsEvent, exchange: number): boolean {
    let best: Attempt | undefined;
    let bestMatch = 0;
    const key = answerKey(exchange, questionHash(response.message));
    for (const attempt of this.#byAnswer.get(key, MOST_CANDIDATES)) {
      const match = this.#match(attempt, response);
      if (match > bestMatch) {
        best = attempt;
        bestMatch = match;
      }
    }
    if (best !== undefined) {
      this.#answer(best, response);
      return true;
    }
    const { remote } = response.raw;
    const remembered =
      this.#finished.get(key, serverKey(remote)) || this.#finished.get(key, anyServerKey(remote));
    if (remembered === 0) return this.#settleByExchange(response, exchange);
    this.#options.answers.filter(remembered === REMEMBERED_ANSWERED ? 'duplicate' : 'late');
    return true;
  }

  /** Answers without a question (a server that could not read the request leaves it out), or to a request without one. */
  #settleByExchange(response: DnsEvent, exchange: number): boolean {
    const candidates = this.#byExchange.get(exchange, MOST_CANDIDATES);
    const fitting = candidates.filter((attempt) => this.#matchWithoutQuestion(attempt, response));
    const [only, second] = fitting;
    if (only === undefined) return false;
    // A table of more candidates than are looked at may hold another one that fits.
    if (second === undefined && candidates.length < MOST_CANDIDATES) this.#answer(only, response);
    else this.#options.answers.drop('ambiguous');
    return true;
  }

  #match(attempt: Attempt, response: DnsEvent): 0 | 1 | 2 {
    const { raw, message } = attempt.event;
    if (message.id !== response.message.id || message.questions.length === 0) return 0;
    if (response.raw.time + CLOCK_SLACK_NS < raw.time || !isOnSameWay(raw, response.raw)) return 0;
    return questionMatch(message, response.message, isMulticast(raw));
  }

  #matchWithoutQuestion(attempt: Attempt, response: DnsEvent): boolean {
    const { raw, message } = attempt.event;
    // -1: too short to have an id
    if (message.id !== response.message.id || message.id < 0) return false;
    if (message.questions.length > 0 && response.message.questions.length > 0) return false;
    if (response.raw.time + CLOCK_SLACK_NS < raw.time || !isOnSameWay(raw, response.raw)) return false;
    return !isMulticast(raw) || answersQuestion(response.message, message);
  }

  /** An answer that was read before this request. */
  #takeHeld(attempt: Attempt): void {
    for (const held of this.#heldByExchange.get(attempt.exchangeKey, MOST_CANDIDATES)) {
      if (this.#match(attempt, held.response) === 0 && !this.#matchWithoutQuestion(attempt, held.response))
        continue;
      this.#release(held);
      this.#answer(attempt, held.response);
      return;
    }
  }

  #giveUp(held: Held): void {
    this.#release(held);
    const { raw, message } = held.response;
    const isAsked = this.#byExchange
      .get(held.exchangeKey, MOST_CANDIDATES)
      .some((attempt) => attempt.event.message.id === message.id && isOnSameWay(attempt.event.raw, raw));
    if (isAsked) this.#options.answers.filter('other-question');
    else this.#options.answers.drop('unmatched');
  }

  #release(held: Held): void {
    this.#held.remove(held);
    this.#heldByExchange.delete(held.exchangeKey, held);
  }

  #answer(attempt: Attempt, response: DnsEvent): void {
    this.#options.answers.out++;
    const { lookup, event } = attempt;
    const { time } = lookup.request.raw;
    // The transmission that was answered says which server and port, the first one when it was asked.
    if (event !== lookup.request) lookup.request = { ...event, raw: { ...event.raw, time } };
    const elapsed = response.raw.time - time;
    this.#finish(lookup, 'answered', response, elapsed > 0n ? elapsed : 0n);
  }

  #evict(): void {
    if (this.#open.oldest === undefined) return;
    this.evicted++;
    this.#finish(this.#open.oldest, 'timeout', undefined, undefined);
  }

  #finish(
    lookup: Pending,
    outcome: Outcome,
    response: DnsEvent | undefined,
    duration: bigint | undefined,
  ): void {
    this.#open.remove(lookup);
    this.#byRetry.delete(lookup.retryKey, lookup);
    for (const attempt of lookup.attempts) {
      this.#byExchange.delete(attempt.exchangeKey, attempt);
      this.#byAnswer.delete(attempt.answerKey, attempt);
      this.#remember(attempt, outcome === 'answered' ? REMEMBERED_ANSWERED : REMEMBERED_UNANSWERED);
    }
    this.#options.stage.out++;
    const { request, retries, process } = lookup;
    this.#options.onLookup({ request, response, outcome, retries, duration, process });
  }

  #remember({ event, answerKey }: Attempt, value: number): void {
    const { raw, message } = event;
    if (message.questions.length === 0) return; // an answer cannot be told to be to this one
    this.#finished.set(answerKey, isMulticast(raw) ? anyServerKey(raw.remote) : serverKey(raw.remote), value);
    if (raw.dialed !== undefined) this.#finished.set(answerKey, serverKey(raw.dialed), value);
  }
}
