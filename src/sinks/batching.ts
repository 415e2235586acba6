/**
 * The queue in front of a destination that takes batches. It stands where the SDK's BatchLogRecordProcessor would,
 * with its knobs, because that one has a single export in flight, drops silently when full and loses a failed batch
 * uncounted; here every record ends as delivered, as dropped with a reason, or as held.
 */
import type { Ledger, Stage } from '../health.ts';
import { BoundedQueue } from '../lib/bounded-queue.ts';
import type { LogEvent } from '../model.ts';
import type { SinkDrop } from '../tables/sink-drops.ts';
import { FailureReporter } from './failure-reporter.ts';
import { type Notices, type Sink, stageName } from './sink.ts';

/** What became of a batch: all delivered but `rejected`, or, with `failure`, nothing. */
export interface BatchResult {
  readonly rejected: number;
  readonly failure: { readonly reason: SinkDrop; readonly message: string } | undefined;
  /** The destination took the batch but had something to say (OTLP partial success message). */
  readonly warning: string | undefined;
}

/** Encodes and sends. The seam for another encoder, another transport, retries. */
export interface BatchExporter {
  /** Sends the events as one request. Starts at once, never rejects. */
  export(events: readonly LogEvent[]): Promise<BatchResult>;
  /** Upper bound of the encoded bytes that the event adds to a batch that holds `others`' resources already. */
  size(event: LogEvent, resourceSeen: boolean): number;
  /** Releases connections and files; in-flight exports may be cut. */
  shutdown(): Promise<void>;
}

export interface BatchOptions {
  /** Records that may wait; further ones are dropped as `queue_full`. */
  readonly queueSize: number;
  /** Records in one export. */
  readonly batchSize: number;
  /** ms a record waits at most for its batch to fill. */
  readonly delayMs: number;
  /** ms one export may take; later its records count as `timeout`, whatever becomes of them. */
  readonly timeoutMs: number;
  /** Exports under way at the same time. */
  readonly maxInFlight: number;
  /** Bytes of one request: gRPC servers refuse more than 4 MiB unless configured. */
  readonly maxBytes: number;
}

/** Defaults of the OpenTelemetry specification (batching processor), but for queue, batch size and parallel exports. */
export const BATCH_DEFAULTS: BatchOptions = {
  queueSize: 65536,
  batchSize: 2048,
  delayMs: 1000,
  timeoutMs: 30_000,
  maxInFlight: 4,
  maxBytes: 3_500_000,
};

export class BatchingSink implements Sink {
  readonly name: string;
  readonly #exporter: BatchExporter;
  readonly #options: BatchOptions;
  readonly #stage: Stage;
  readonly #queue: BoundedQueue<LogEvent>;
  readonly #reporter: FailureReporter;
  readonly #inFlight = new Map<Promise<void>, number>();
  #inFlightRecords = 0;
  /** Events that entered and left the queue since the start: tells `flush` when its events are on their way. */
  #entered = 0;
  #left = 0;
  /** Everything up to this one goes out without waiting for a full batch. */
  #flushUpTo = 0;
  #delay: NodeJS.Timeout | undefined;
  #scheduled: NodeJS.Immediate | undefined;
  #progress = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;
  #closed = false;

  constructor(
    name: string,
    exporter: BatchExporter,
    ledger: Ledger,
    notices: Notices,
    options: Partial<BatchOptions> = {},
  ) {
    this.name = name;
    this.#exporter = exporter;
    this.#options = { ...BATCH_DEFAULTS, ...options };
    this.#queue = new BoundedQueue(this.#options.queueSize);
    this.#reporter = new FailureReporter(name, notices);
    this.#stage = ledger.stage(stageName(name));
    this.#stage.held = () => this.#queue.length + this.#inFlightRecords;
  }

  /** Records waiting now, not counting those in flight. */
  get queued(): number {
    return this.#queue.length;
  }

  accept(event: LogEvent): void {
    this.#stage.in++;
    if (this.#closing !== undefined) {
      this.#drop('closed', 1);
      return;
    }
    // The decoded messages are not needed any more: a full queue must not keep them alive.
    if (!this.#queue.push(event.lookup === undefined ? event : { ...event, lookup: undefined })) {
      this.#drop('queue_full', 1);
      this.#reporter.failed(1, 'the queue is full, the destination is too slow');
      return;
    }
    this.#entered++;
    if (this.#queue.length >= this.#options.batchSize) this.#schedule();
    else this.#delay ??= setTimeout(() => this.#delayPassed(), this.#options.delayMs).unref();
  }

  async flush(): Promise<void> {
    const target = this.#entered;
    this.#flushUpTo = Math.max(this.#flushUpTo, target);
    this.#schedule();
    while (this.#left < target && !this.#closed) await this.#progress.promise;
    await Promise.all(this.#inFlight.keys());
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    const deadline = Promise.withResolvers<void>();
    const handle = setTimeout(deadline.resolve, deadlineMs);
    await Promise.race([this.flush(), deadline.promise]);
    clearTimeout(handle);
    clearTimeout(this.#delay);
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled);
    this.#closed = true;
    const left = this.#queue.clear() + this.#inFlightRecords;
    this.#inFlightRecords = 0;
    this.#inFlight.clear();
    this.#drop('shutdown', left);
    this.#advance();
    this.#reporter.finish(left);
    await Promise.race([this.#exporter.shutdown().catch(() => undefined), pause(100)]);
  }

  #delayPassed(): void {
    this.#delay = undefined;
    this.#flushUpTo = this.#entered;
    this.#schedule();
  }

  /** One batch a turn of the event loop, so that capturing goes on between two encodings. */
  #schedule(): void {
    if (this.#scheduled !== undefined || this.#closed || !this.#ready()) return;
    this.#scheduled = setImmediate(() => {
      this.#scheduled = undefined;
      this.#send();
      this.#schedule();
    });
  }

  #ready(): boolean {
    if (this.#queue.length === 0 || this.#inFlight.size >= this.#options.maxInFlight) return false;
    return this.#queue.length >= this.#options.batchSize || this.#left < this.#flushUpTo;
  }

  #send(): void {
    const batch = this.#take();
    this.#inFlightRecords += batch.length;
    const sent = this.#exportWithin(batch).then((result) => {
      this.#inFlight.delete(sent);
      if (this.#closed) return; // already counted as `shutdown`
      this.#inFlightRecords -= batch.length;
      this.#settle(batch.length, result);
      this.#schedule();
    });
    this.#inFlight.set(sent, batch.length);
    this.#advance();
  }

  /** Up to a full batch, cut where the request would grow too large. At least one. */
  #take(): LogEvent[] {
    const batch: LogEvent[] = [];
    const resources = new Set<object>();
    let bytes = 0;
    while (batch.length < this.#options.batchSize) {
      const next = this.#queue.peek();
      if (next === undefined) break;
      bytes += this.#exporter.size(next, resources.has(next.process));
      if (bytes > this.#options.maxBytes && batch.length > 0) break;
      this.#queue.shift();
      resources.add(next.process);
      batch.push(next);
    }
    this.#left += batch.length;
    return batch;
  }

  async #exportWithin(batch: readonly LogEvent[]): Promise<BatchResult> {
    const late = Promise.withResolvers<BatchResult>();
    const message = `no answer within ${this.#options.timeoutMs} ms`;
    const handle = setTimeout(
      () => late.resolve({ rejected: 0, failure: { reason: 'timeout', message }, warning: undefined }),
      this.#options.timeoutMs,
    );
    try {
      return await Promise.race([this.#exporter.export(batch), late.promise]);
    } catch (error) {
      return { rejected: 0, failure: { reason: 'error', message: String(error) }, warning: undefined };
    } finally {
      clearTimeout(handle);
    }
  }

  #settle(count: number, { rejected, failure, warning }: BatchResult): void {
    if (failure !== undefined) {
      this.#drop(failure.reason, count);
      this.#reporter.failed(count, failure.message);
      return;
    }
    // A destination that claims to have rejected more than it was given cannot make the books wrong.
    const refused = Math.min(Math.max(rejected, 0), count);
    this.#stage.out += count - refused;
    this.#drop('rejected', refused);
    if (refused > 0 || warning !== undefined) this.#reporter.failed(refused, warning ?? 'rejected');
    else this.#reporter.succeeded();
  }

  #drop(reason: SinkDrop, count: number): void {
    this.#stage.drop(reason, count);
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
