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
 * is a new lookup. Nothing is ever invented: a lookup whose time had not passed when the run ended is 'sent', one whose answer
 * may have been lost by the agent itself (losses.ts, or given up here) is 'unknown'.
 *
 * A further answer that says something else than the first (exchange.ts, answerDigest) is given out as the same lookup once
 * more, with what it conflicts with: the record of the first is out already.
 *
 * All state is bounded, by workload and process first (lib/fair-bound.ts); see the constants.
 */
import {
  answerDigest,
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
import { Finished } from './finished.ts';
import type { Stage } from './health.ts';
import { FairBound, Holding } from './lib/fair-bound.ts';
import { Fairness, type HolderId } from './lib/fairness.ts';
import { type Linked, LinkedQueue } from './lib/linked-queue.ts';
import { MultiMap } from './lib/multi-map.ts';
import type { Losses } from './losses.ts';
import type { DnsEvent, Lookup, Outcome, ProcessIdentity, UnknownReason, Unreachable } from './model.ts';

/** Answers that came before their request: rings of several CPUs are read in turn. Longer waits are no race. */
const HOLD_NS = 50_000_000;
/** Most answers held so; when full one of the server that has most is given up. */
const MOST_HELD = 4096;
/** mDNS (RFC 6762 section 6): whoever knows something answers, so that answers differ. */
const MDNS_PORT = 5353;
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
  /** Requests waiting for their answer; when full the oldest of who has most is finished as 'unknown' and counted in `evicted`. */
  readonly maxInFlight?: number;
  /** 'request': every request is a lookup of its own at once ('sent'), answers are left out. */
  readonly emit: 'lookup' | 'request';
  /** Called synchronously, once for each lookup, and once for each answer that conflicts with the one it had. */
  readonly onLookup: (lookup: Lookup) => void;
  /** Requests: in = out + filtered 'retry' + held. */
  readonly stage: Stage;
  /**
   * Answers: in = out (paired, or conflicting with the one that was) + filtered 'duplicate', 'late', 'other-question',
   * 'not-awaited', 'conflicting' (beyond those with a record) + dropped 'unmatched', 'ambiguous', 'answers-full' + held.
   */
  readonly answers: Stage;
  readonly fairness?: Fairness;
  /** What may have been lost of answers; undefined: nothing is. */
  readonly losses?: Losses | undefined;
  /** Makes the uid of a record beforehand, so that a conflicting answer can name it. */
  readonly newUid?: () => string;
}

/** One way on which a lookup was sent. */
interface Attempt {
  readonly lookup: Pending;
  readonly event: DnsEvent;
  readonly exchangeKey: number;
  readonly answerKey: number;
}

const NO_ATTEMPTS: readonly Attempt[] = Object.freeze([]);

class Pending extends Holding implements Linked<Pending> {
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
    super();
    this.request = request;
    this.process = process;
    this.deadline = deadline;
    this.retryKey = retryKey;
  }
}

class Held extends Holding implements Linked<Held> {
  newer: Held | undefined = undefined;
  older: Held | undefined = undefined;
  readonly response: DnsEvent;
  readonly exchangeKey: number;
  readonly deadline: number;

  constructor(response: DnsEvent, exchangeKey: number, deadline: number) {
    super();
    this.response = response;
    this.exchangeKey = exchangeKey;
    this.deadline = deadline;
  }
}

export class Correlator {
  /** Lookups finished as 'unknown' before their time because the table was full. */
  evicted = 0;

  readonly #options: CorrelatorOptions;
  readonly #fairness: Fairness;
  readonly #openShares: FairBound<Pending>;
  readonly #heldShares: FairBound<Held>;
  readonly #timeout: number;
  /** Open lookups; the time-out is the same for all, so the oldest is always the next to expire. */
  readonly #open = new LinkedQueue<Pending>();
  readonly #finished = new Finished();
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
    this.#fairness = options.fairness ?? new Fairness();
    this.#openShares = new FairBound(options.maxInFlight ?? 65_536, this.#fairness);
    this.#heldShares = new FairBound(MOST_HELD, this.#fairness);
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
      while (this.#openShares.isFull) this.#evict();
      lookup = new Pending(event, process, this.#clock + this.#timeout, retry);
      this.#open.push(lookup);
      this.#openShares.add(lookup, this.#openShares.holderOf(this.#ownerOf(event)));
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
    while (this.#heldShares.isFull) this.#giveWay();
    const held = new Held(event, exchange, this.#clock + HOLD_NS);
    this.#held.push(held);
    const { networkNamespace, remote, local } = event.raw;
    const sender = this.#fairness.unknown(networkNamespace, remote.address, local.port);
    this.#heldShares.add(held, this.#heldShares.holderOf(sender));
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
      this.#timeOut(due);
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

  /**
   * An ICMP error about a request: what it quotes has the request's id and, if there is so much, its question. The lookup is over if this
   * was the only way it was sent on; else another server may answer.
   */
  unreachable(event: DnsEvent, what: Unreachable): void {
    const { answers, emit } = this.#options;
    answers.in++;
    if (emit === 'request') {
      answers.filter('not-awaited');
      return;
    }
    this.expire(event.raw.time);
    const attempt = this.#byExchange
      .get(exchangeKey(event), MOST_CANDIDATES)
      .find(({ event: { raw, message } }) => message.id === event.message.id && isOnSameWay(raw, event.raw));
    if (attempt === undefined) {
      answers.filter('late');
      return;
    }
    answers.out++;
    const { lookup } = attempt;
    if (lookup.attempts.length > 1) {
      this.#withdraw(attempt);
      return;
    }
    const elapsed = event.raw.time - lookup.request.raw.time;
    this.#finish(lookup, what, undefined, elapsed > 0n ? elapsed : 0n);
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
    const slot = this.#finished.find(key, response.raw.remote);
    if (slot < 0) return this.#settleByExchange(response, exchange);
    this.#further(slot, response);
    return true;
  }

  /** An answer to a lookup that is finished. */
  #further(slot: number, response: DnsEvent): void {
    const { answers, onLookup } = this.#options;
    const verdict = this.#finished.judge(slot, () => answerDigest(response.message));
    if (verdict === 'conflicting') {
      answers.out++;
      onLookup(this.#finished.again(slot, response));
    } else answers.filter(verdict === 'conflicting-again' ? 'conflicting' : verdict);
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

  /** Nothing comes on this way any more. */
  #withdraw(attempt: Attempt): void {
    const { lookup } = attempt;
    lookup.attempts = lookup.attempts.filter((other) => other !== attempt);
    this.#byExchange.delete(attempt.exchangeKey, attempt);
    this.#byAnswer.delete(attempt.answerKey, attempt);
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

  /** When full: an answer of the server that has most of them. */
  #giveWay(): void {
    const held = this.#heldShares.largest();
    if (held === undefined) return;
    const reason = 'answers-full' satisfies UnknownReason;
    if (held.holder !== undefined) this.#fairness.gaveWay(held.holder.owner, reason);
    this.#options.losses?.noteConnection(held.response.raw, reason);
    this.#release(held);
    this.#options.answers.drop(reason);
  }

  #release(held: Held): void {
    this.#held.remove(held);
    this.#heldShares.remove(held);
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

  #ownerOf({ raw }: DnsEvent): HolderId {
    return raw.owner ?? this.#fairness.unknown(raw.networkNamespace, raw.local.address);
  }

  #evict(): void {
    const lookup = this.#openShares.largest();
    if (lookup === undefined) return;
    const reason = 'requests-full' satisfies UnknownReason;
    if (lookup.holder !== undefined) this.#fairness.gaveWay(lookup.holder.owner, reason);
    this.evicted++;
    this.#finish(lookup, 'unknown', undefined, undefined, reason);
  }

  #timeOut(lookup: Pending): void {
    const sent = Number(lookup.request.raw.time);
    const reason = this.#options.losses?.of(lookup.attempts, sent, sent + this.#timeout);
    this.#finish(lookup, reason === undefined ? 'timeout' : 'unknown', undefined, undefined, reason);
  }

  #finish(
    lookup: Pending,
    outcome: Outcome,
    response: DnsEvent | undefined,
    duration: bigint | undefined,
    reason?: UnknownReason,
  ): void {
    this.#open.remove(lookup);
    this.#openShares.remove(lookup);
    this.#byRetry.delete(lookup.retryKey, lookup);
    const { request, retries, process } = lookup;
    const uid = this.#options.newUid?.();
    const finished = { request, response, outcome, retries, duration, process, uid, reason };
    const digest = response === undefined ? undefined : answerDigest(response.message);
    for (const attempt of lookup.attempts) {
      this.#byExchange.delete(attempt.exchangeKey, attempt);
      this.#byAnswer.delete(attempt.answerKey, attempt);
      this.#remember(attempt, finished, digest);
    }
    this.#options.stage.out++;
    this.#options.onLookup(finished);
  }

  #remember({ event, answerKey }: Attempt, finished: Lookup, digest: number | undefined): void {
    const { raw, message } = event;
    if (message.questions.length === 0) return; // an answer cannot be told to be to this one
    const server = isMulticast(raw) ? anyServerKey(raw.remote) : serverKey(raw.remote);
    const byMany = raw.remote.port === MDNS_PORT;
    this.#finished.remember(answerKey, server, finished, digest, byMany);
    if (raw.dialed !== undefined)
      this.#finished.remember(answerKey, serverKey(raw.dialed), finished, digest, byMany);
  }
}
