/** The live table on the terminal. */
import type { Writable } from 'node:stream';
import type { Ledger } from '../../ledger.ts';
import type { LogEvent } from '../../model.ts';
import { cellsOf } from '../../records/cells.ts';
import { type Sink, stageName } from '../sink.ts';
import { type Layout, layoutFor, renderHeader, renderRow } from './layout.ts';
import { LineWriter } from './line-writer.ts';

/** A stream that may be a terminal (process.stdout). */
export interface TerminalStream extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface ConsoleTableOptions {
  readonly stream: TerminalStream;
  readonly ledger: Ledger;
  /** Colours; the caller looks at TTY and NO_COLOR (https://no-color.org). */
  readonly color: boolean;
  /** Called once when the reader has gone away (a closed pipe). */
  readonly onBroken?: () => void;
  readonly maxWaiting?: number;
}

const DEFAULT_ROWS = 24;

export class ConsoleTableSink implements Sink {
  readonly name = 'console';
  readonly #stream: TerminalStream;
  readonly #color: boolean;
  readonly #writer: LineWriter;
  #columns: number | undefined;
  #layout: Layout | undefined;
  /** Rows since the header: on a terminal it comes again before it would scroll away. */
  #rows = 0;
  #closed: Promise<void> | undefined;

  constructor(options: ConsoleTableOptions) {
    const { stream, ledger, color } = options;
    this.#stream = stream;
    this.#color = color;
    this.#writer = new LineWriter(stream, ledger.stage(stageName(this.name)), options);
  }

  /** Shows the header before the first event, so that the operator sees that the agent runs. */
  start(): void {
    this.#layoutNow();
  }

  accept(event: LogEvent): void {
    const layout = this.#layoutNow();
    const screen = Math.max((this.#stream.rows ?? DEFAULT_ROWS) - 1, 5);
    if (this.#stream.isTTY === true && this.#rows >= screen - 1) this.#header(layout);
    this.#rows++;
    this.#writer.write(`${renderRow(cellsOf(event), layout, this.#color)}\n`);
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#writer.close(deadlineMs);
    return this.#closed;
  }

  /** The layout for the present width; a new header when the terminal was resized. */
  #layoutNow(): Layout {
    const columns = this.#stream.isTTY === true ? (this.#stream.columns ?? 80) : undefined;
    if (this.#layout === undefined || columns !== this.#columns) {
      this.#columns = columns;
      this.#layout = layoutFor(columns);
      this.#header(this.#layout);
    }
    return this.#layout;
  }

  #header(layout: Layout): void {
    this.#rows = 0;
    this.#writer.decorate(`${renderHeader(layout, this.#color)}\n`);
  }
}
