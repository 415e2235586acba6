/**
 * Answers that were read before their request: rings of several CPUs are read in turn. They wait for it for a moment. Bounded; when
 * full one of the server that has most is given up.
 */
import type { Message } from '../dns/message.ts';
import { FairBound, Holding } from '../lib/fair-bound.ts';
import type { Fairness } from '../lib/fairness.ts';
import { type Linked, LinkedQueue } from '../lib/linked-queue.ts';
import { MultiMap } from '../lib/multi-map.ts';
import { Envelope } from './envelope.ts';

const MAX_HELD = 4096;

export class HeldAnswer extends Holding implements Linked<HeldAnswer> {
  newer: HeldAnswer | undefined = undefined;
  older: HeldAnswer | undefined = undefined;
  readonly raw: Envelope;
  readonly message: Message;
  readonly exchangeKey: number;
  /** Of the clock of requests in flight. */
  readonly deadline: number;

  constructor(raw: Envelope, message: Message, exchangeKey: number, deadline: number) {
    super();
    this.raw = new Envelope().copy(raw);
    this.message = message.keep();
    this.exchangeKey = exchangeKey;
    this.deadline = deadline;
  }
}

export class HeldAnswers {
  readonly #fairness: Fairness;
  readonly #shares: FairBound<HeldAnswer>;
  readonly #queue = new LinkedQueue<HeldAnswer>();
  readonly #byExchange = new MultiMap<HeldAnswer>();

  constructor(fairness: Fairness) {
    this.#fairness = fairness;
    this.#shares = new FairBound(MAX_HELD, fairness);
  }

  get size(): number {
    return this.#queue.size;
  }

  get oldest(): HeldAnswer | undefined {
    return this.#queue.oldest;
  }

  /** One that has to go for another to be held: the caller lets go of it; undefined: there is room. */
  get inTheWay(): HeldAnswer | undefined {
    return this.#shares.isFull ? this.#shares.largest() : undefined;
  }

  hold(answer: HeldAnswer): void {
    const { raw } = answer;
    const sender = this.#fairness.unknown(raw.networkNamespace, raw.remote.address, raw.localPort);
    this.#queue.push(answer);
    this.#shares.add(answer, this.#shares.holderOf(sender));
    this.#byExchange.add(answer.exchangeKey, answer);
  }

  /** At most so many of this exchange. */
  of(exchangeKey: number, limit: number): readonly HeldAnswer[] {
    return this.#byExchange.get(exchangeKey, limit);
  }

  release(answer: HeldAnswer): void {
    this.#queue.remove(answer);
    this.#shares.remove(answer);
    this.#byExchange.delete(answer.exchangeKey, answer);
  }
}
