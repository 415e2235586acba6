/**
 * Lines to a stream (standard output) with a bound: lines are gathered for a turn of the event loop and written
 * together; when the reader is slow, what is beyond the bound is dropped and counted. A broken pipe ends it quietly.
 * A terminal or a file is written synchronously by Node: there, a terminal stopped by Ctrl-S stops the agent too.
 */
import type { Writable } from 'node:stream';
import type { Stage } from '../../ledger.ts';
import type { SinkDrop } from '../../tables/drops-sinks.ts';

/** Bytes (UTF-16 units, in truth) that may wait for the reader. */
const MAX_WAITING = 4 * 1024 * 1024;

export interface LineWriterOptions {
  /** Bound of what may wait for the reader. */
  readonly maxWaiting?: number;
  /** Called once when the stream fails: nobody reads any more (EPIPE), or the disk is full. */
  readonly onBroken?: () => void;
}

export class LineWriter {
  readonly #stream: Writable;
  readonly #stage: Stage<`sink:${string}`>;
  readonly #maxWaiting: number;
  readonly #onBroken: (() => void) | undefined;
  #text = '';
  #records = 0;
  #inFlight = 0;
  #waiting = 0;
  #scheduled: NodeJS.Immediate | undefined;
  #closed = false;
  #idle = Promise.withResolvers<void>();

  constructor(stream: Writable, stage: Stage<`sink:${string}`>, options: LineWriterOptions = {}) {
    this.#stream = stream;
    this.#stage = stage;
    this.#maxWaiting = options.maxWaiting ?? MAX_WAITING;
    this.#onBroken = options.onBroken;
    stage.held = () => this.#records + this.#inFlight;
    stream.on('error', () => this.#broken());
  }

  /** Writes a record: one or more lines with their line breaks. Counts it as `in`. */
  write(lines: string): void {
    this.#stage.in++;
    if (this.#closed) this.#drop('closed', 1);
    else if (this.#waiting + lines.length > this.#maxWaiting) this.#drop('queue_full', 1);
    else {
      this.#records++;
      this.decorate(lines);
    }
  }

  /** Writes lines that are no record (a header). */
  decorate(lines: string): void {
    if (this.#closed) return;
    this.#waiting += lines.length;
    this.#text += lines;
    this.#scheduled ??= setImmediate(() => this.#writeOut());
  }

  /** Resolves when all that was written before is with the reader, or dropped. */
  async flush(): Promise<void> {
    this.#writeOut();
    while (this.#waiting > 0 && !this.#closed) await this.#idle.promise;
  }

  /** Waits for the reader at most `deadlineMs`; what is left then is dropped. */
  async close(deadlineMs: number): Promise<void> {
    if (this.#closed) return;
    const deadline = Promise.withResolvers<void>();
    const handle = setTimeout(deadline.resolve, deadlineMs);
    await Promise.race([this.flush(), deadline.promise]);
    clearTimeout(handle);
    this.#end('shutdown');
  }

  #writeOut(): void {
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#text === '' || this.#closed) return;
    const text = this.#text;
    const records = this.#records;
    this.#text = '';
    this.#records = 0;
    this.#inFlight += records;
    this.#stream.write(text, (error) => {
      if (this.#closed) return; // counted already
      if (error) return this.#broken();
      this.#inFlight -= records;
      this.#stage.out += records;
      this.#waiting -= text.length;
      if (this.#waiting === 0) this.#release();
    });
  }

  #broken(): void {
    if (this.#closed) return;
    this.#end('closed');
    this.#onBroken?.();
  }

  #end(reason: SinkDrop): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled);
    this.#drop(reason, this.#records + this.#inFlight);
    this.#records = 0;
    this.#inFlight = 0;
    this.#waiting = 0;
    this.#text = '';
    this.#release();
    // The error listener stays: a late EPIPE of a write under way must not become an uncaught exception.
  }

  #drop(reason: SinkDrop, count: number): void {
    this.#stage.drop(reason, count);
  }

  #release(): void {
    const { resolve } = this.#idle;
    this.#idle = Promise.withResolvers();
    resolve();
  }
}
