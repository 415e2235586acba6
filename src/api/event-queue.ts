/**
 * Between the capture, which cannot wait, and a program, which may be slow: a queue with a bound, and the sink that fills it. What finds
 * it full is dropped and counted. A capture file waits instead (`room`).
 */
import { type Ledger, Stage } from '../ledger.ts';
import { LookupView } from '../lookup/view.ts';
import type { LogEvent } from '../model.ts';
import { SEVERITY } from '../records/record-common.ts';
import { type Sink, stageName } from '../sinks/sink.ts';
import type { LookupEvent } from './event.ts';
import { makeEvent } from './make-event.ts';

const API_SINK = 'api';
const API_STAGE = stageName(API_SINK);

export interface EventQueueOptions {
  /** Events that may wait; Infinity: the source waits for `room`. */
  readonly limit: number;
  /** Nothing is kept before the first `next`: someone else is given the lookups too, and it may be never called. */
  readonly waitsForReader: boolean;
}

type Reader = PromiseWithResolvers<IteratorResult<LookupEvent, undefined>>;

const DONE: IteratorResult<LookupEvent, undefined> = { done: true, value: undefined };

export class EventQueue implements Sink {
  readonly name = API_SINK;
  readonly #options: EventQueueOptions;
  #stage = new Stage(API_STAGE);
  #events: LookupEvent[] = [];
  /** Of `#events`: before it they were given out. */
  #first = 0;
  readonly #readers: Reader[] = [];
  #isWanted: boolean;
  #isClosed = false;
  #isEnded = false;
  #failure: { readonly error: unknown } | undefined;
  #progress = Promise.withResolvers<void>();

  constructor(options: EventQueueOptions) {
    this.#options = options;
    this.#isWanted = !options.waitsForReader;
  }

  /** Begins to take lookups. */
  sink(ledger: Ledger): Sink {
    this.#stage = ledger.stage(API_STAGE);
    this.#stage.held = () => this.waiting;
    return this;
  }

  get given(): number {
    return this.#stage.out;
  }

  get dropped(): number {
    return this.#stage.dropped.get('queue_full') ?? 0;
  }

  get waiting(): number {
    return this.#events.length - this.#first;
  }

  accept({ lookup, severity }: LogEvent): void {
    const stage = this.#stage;
    stage.in++;
    if (!(lookup instanceof LookupView) || !this.#isWanted) stage.filter('not_asked');
    else if (this.#isClosed) stage.drop('closed');
    else if (this.waiting >= this.#options.limit) stage.drop('queue_full');
    else this.#push(makeEvent(lookup, severity === SEVERITY.warn));
  }

  #push(event: LookupEvent): void {
    const reader = this.#readers.shift();
    if (reader === undefined) {
      this.#events.push(event);
      return;
    }
    this.#stage.out++;
    reader.resolve({ done: false, value: event });
  }

  /** The next event, when there is one. After the last: the failure, once, then that it is done. */
  next(): Promise<IteratorResult<LookupEvent, undefined>> {
    this.#isWanted = true;
    const event = this.#events[this.#first];
    if (event !== undefined) {
      this.#first++;
      this.#stage.out++;
      this.#compact();
      return Promise.resolve({ done: false, value: event });
    }
    if (!this.#isEnded) {
      const reader: Reader = Promise.withResolvers();
      this.#readers.push(reader);
      return reader.promise;
    }
    const failure = this.#failure;
    this.#failure = undefined;
    return failure === undefined ? Promise.resolve(DONE) : Promise.reject(failure.error);
  }

  /** Nothing more comes; what waits is still given out. */
  end(failure?: { readonly error: unknown }): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#isClosed = true;
    this.#failure = failure;
    const [first, ...others] = this.#readers.splice(0);
    if (first === undefined) return;
    this.#failure = undefined;
    if (failure === undefined) first.resolve(DONE);
    else first.reject(failure.error);
    for (const reader of others) reader.resolve(DONE);
  }

  /** No one wants what waits, or what comes. */
  discard(): void {
    this.#isClosed = true;
    this.#stage.drop('closed', this.waiting);
    this.#events = [];
    this.#first = 0;
    this.#advance();
  }

  /** Until all is given out. */
  async flush(): Promise<void> {
    while (this.waiting > 0) await this.#progress.promise;
  }

  room(): Promise<void> {
    return this.flush();
  }

  /** What waits stays: the program may still come for it. */
  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #compact(): void {
    if (this.#first === this.#events.length) {
      this.#events = [];
      this.#first = 0;
      this.#advance();
    } else if (this.#first >= 1024) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
  }

  #advance(): void {
    const { resolve } = this.#progress;
    this.#progress = Promise.withResolvers();
    resolve();
  }
}
