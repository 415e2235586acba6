/**
 * Encodes events when they come, keeps the requests until they are delivered and sends several at a time. Every record
 * ends as delivered, as dropped with a reason, or as held: in the request being built, or in the store.
 */
import type { Ledger, Stage } from '../../ledger.ts';
import type { LogEvent } from '../../model.ts';
import type { SinkDrop } from '../../tables/drops-sinks.ts';
import { type Sink, stageName } from '../sink.ts';
import type { FailureReporter } from './failure-reporter.ts';
import type { RequestStore, SealedRequest } from './request-store.ts';

/** Builds one request at a time. */
export interface RequestEncoder {
  /** In the request being built. */
  readonly records: number;
  /**
   * Adds the event to the request being built. When it throws nothing was added.
   * @returns the request that had no room for it, sealed; the event is in the next one then
   */
  add(event: LogEvent): SealedRequest | undefined;
  /** Ends the request being built; undefined when it is empty. */
  seal(): SealedRequest | undefined;
  /** The request is delivered: its memory may be used for another one. */
  release?(request: SealedRequest): void;
}

/** What became of a request. */
export type SendResult =
  /** All but `rejected` records are delivered; `warning` is what the destination had to say about it. */
  | { readonly kind: 'delivered'; readonly rejected: number; readonly warning: string | undefined }
  /** Never to be sent again. */
  | { readonly kind: 'refused'; readonly reason: SinkDrop; readonly message: string }
  /** Could be sent again later, but the sender has stopped doing so. */
  | { readonly kind: 'undelivered'; readonly message: string };

export interface RequestSender {
  /** Sends, again and again where that may help. Never rejects. */
  send(request: SealedRequest): Promise<SendResult>;
  /** From now on each request has one attempt left; those that wait for their next one make it now. */
  drain(): void;
  /** Cuts what is under way; releases connections and files. */
  shutdown(): Promise<void>;
}

export interface DeliveryLimits {
  /** Records in one request. */
  readonly batchSize: number;
  /** ms a record waits at most for its request to fill. */
  readonly delayMs: number;
  /** Requests under way at the same time. */
  readonly concurrency: number;
}

export interface DeliveryParts {
  readonly name: string;
  readonly encoder: RequestEncoder;
  readonly store: RequestStore;
  readonly sender: RequestSender;
  readonly ledger: Ledger;
  readonly reporter: FailureReporter;
  readonly limits: DeliveryLimits;
  /** Called once, when the destination has taken its first records. */
  readonly onAccepted?: (() => void) | undefined;
}

export class DeliverySink implements Sink {
  readonly name: string;
  readonly #encoder: RequestEncoder;
  readonly #store: RequestStore;
  readonly #sender: RequestSender;
  readonly #limits: DeliveryLimits;
  readonly #stage: Stage<`sink:${string}`>;
  readonly #reporter: FailureReporter;
  #onAccepted: (() => void) | undefined;
  readonly #inFlight = new Set<Promise<void>>();
  /** Records that entered the store, those of an earlier run among them. */
  #stored: number;
  #delay: NodeJS.Timeout | undefined;
  #progress = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;
  /** Nothing more is taken from the store. */
  #stopped = false;
  #closed = false;

  constructor({ name, encoder, store, sender, ledger, reporter, limits, onAccepted }: DeliveryParts) {
    this.#onAccepted = onAccepted;
    this.name = name;
    this.#encoder = encoder;
    this.#store = store;
    this.#sender = sender;
    this.#limits = limits;
    this.#reporter = reporter;
    this.#stage = ledger.stage(stageName(name));
    this.#stage.held = () => this.#encoder.records + this.#store.heldRecords;
    // A spool may bring what an earlier run could not deliver.
    this.#stored = store.heldRecords;
    this.#stage.in += this.#stored;
    this.#pump();
  }

  accept(event: LogEvent): void {
    this.#stage.in++;
    if (this.#closing !== undefined) {
      this.#stage.drop('closed');
      return;
    }
    this.#enqueue(this.#encoder.add(event));
    if (this.#encoder.records >= this.#limits.batchSize) this.#enqueue(this.#encoder.seal());
    else this.#delay ??= setTimeout(() => this.#sealNow(), this.#limits.delayMs).unref();
  }

  async flush(): Promise<void> {
    this.#sealNow();
    const target = this.#stored;
    // With several requests under way a newer one may be done before an older one.
    while (!this.#closed && this.#stored - this.#store.heldRecords < target) await this.#progress.promise;
    if (!this.#closed) await Promise.all(this.#inFlight);
  }

  /** What is sealed is delivered; the request being built goes on filling. */
  async room(): Promise<void> {
    while (!this.#stopped && this.#store.heldRecords > 0) await this.#progress.promise;
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#sealNow();
    this.#sender.drain();
    const deadline = Promise.withResolvers<void>();
    const handle = setTimeout(deadline.resolve, deadlineMs);
    await Promise.race([this.#drained(), deadline.promise]);
    clearTimeout(handle);
    this.#stopped = true;
    // What answers from here on changes nothing: its records are counted as what they are now.
    this.#closed = true;
    await Promise.race([this.#sender.shutdown().catch(() => undefined), pause(100)]);
    const held = this.#store.heldRecords;
    await this.#store.close();
    const lost = held - this.#store.heldRecords;
    this.#stage.drop('shutdown', lost);
    this.#advance();
    this.#reporter.finish(lost);
  }

  /** Until nothing is left, or a last attempt has failed: then the others would fail too. */
  async #drained(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
  }

  #sealNow(): void {
    clearTimeout(this.#delay);
    this.#delay = undefined;
    this.#enqueue(this.#encoder.seal());
  }

  #enqueue(request: SealedRequest | undefined): void {
    if (request === undefined) return;
    const { droppedRecords, damagedRecords = 0 } = this.#store.push(request);
    this.#stored += request.records;
    // The spool itself says where.
    this.#stage.drop('spool_damaged', damagedRecords);
    if (droppedRecords > 0) {
      this.#stage.drop('queue_full', droppedRecords);
      this.#reporter.failed(droppedRecords, 'the queue is full, the destination is too slow or away');
    }
    this.#pump();
  }

  #pump(): void {
    while (!this.#stopped && this.#inFlight.size < this.#limits.concurrency) {
      const request = this.#store.take();
      if (request === undefined) return;
      const sent = this.#send(request).finally(() => {
        this.#inFlight.delete(sent);
        this.#pump();
        this.#advance();
      });
      this.#inFlight.add(sent);
    }
  }

  async #send(request: SealedRequest): Promise<void> {
    const result = await this.#sender.send(request);
    if (this.#closed) return;
    if (result.kind === 'undelivered') {
      this.#store.requeue(request);
      this.#stopped = true;
      this.#reporter.failed(0, result.message);
      return;
    }
    this.#store.done(request);
    if (result.kind === 'refused') {
      this.#stage.drop(result.reason, request.records);
      this.#reporter.failed(request.records, result.message);
      return;
    }
    this.#encoder.release?.(request);
    // A destination that claims to have rejected more than it was given cannot make the books wrong.
    const rejected = Math.min(Math.max(result.rejected, 0), request.records);
    this.#stage.out += request.records - rejected;
    if (rejected < request.records) this.#accepted();
    this.#stage.drop('rejected', rejected);
    if (rejected > 0 || result.warning !== undefined)
      this.#reporter.failed(rejected, result.warning ?? 'rejected');
    else this.#reporter.succeeded();
  }

  #accepted(): void {
    this.#onAccepted?.();
    this.#onAccepted = undefined;
  }

  #advance(): void {
    const { resolve } = this.#progress;
    this.#progress = Promise.withResolvers();
    resolve();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}
