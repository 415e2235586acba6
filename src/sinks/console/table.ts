/** The live table on the terminal. */
import type { Writable } from 'node:stream';
import type { Ledger } from '../../ledger.ts';
import type { LogEvent } from '../../model.ts';
import { cellsOf } from '../../records/cells.ts';
import type { TableColumn } from '../../tables/table-columns.ts';
import { type Sink, stageName } from '../sink.ts';
import { EmptyColumns } from './empty-columns.ts';
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
  /** `--columns`; none: what fits. */
  readonly columns?: readonly TableColumn[];
  /** `--wide`. */
  readonly wide?: boolean;
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
  readonly #asked: Pick<ConsoleTableOptions, 'columns' | 'wide'>;
  /** On a terminal only: in a file columns stay where they are. */
  readonly #empty: EmptyColumns | undefined;
  #width: number | undefined;
  #layout: Layout | undefined;
  /** That the last header is of. */
  #shown: Layout | undefined;
  /** Rows since the header: on a terminal it comes again before it would scroll away. */
  #rows = 0;
  #closed: Promise<void> | undefined;

  constructor(options: ConsoleTableOptions) {
    const { stream, ledger, color } = options;
    this.#stream = stream;
    this.#color = color;
    this.#asked = { columns: options.columns ?? [], wide: options.wide === true };
    this.#empty = stream.isTTY === true && options.wide !== true ? new EmptyColumns() : undefined;
    this.#writer = new LineWriter(stream, ledger.stage(stageName(this.name)), options);
  }

  /** Shows the header before the first event, so that the operator sees that the agent runs. */
  start(): void {
    this.#layoutNow();
  }

  accept(event: LogEvent): void {
    const cells = cellsOf(event);
    const comesBack = this.#empty?.saw(cells, event.process) === true;
    const screen = Math.max((this.#stream.rows ?? DEFAULT_ROWS) - 1, 5);
    const isFull = this.#stream.isTTY === true && this.#rows >= screen - 1;
    if (isFull) this.#empty?.judge();
    const layout = this.#layoutNow(comesBack || isFull);
    if (isFull) this.#header(layout);
    this.#rows++;
    this.#writer.write(`${renderRow(cells, event.process, layout, this.#color)}\n`);
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#writer.close(deadlineMs);
    return this.#closed;
  }

  /** The layout for the present width and columns; a new header where it differs. @param isAgain columns may have come or gone */
  #layoutNow(isAgain = false): Layout {
    const width = this.#stream.isTTY === true ? (this.#stream.columns ?? 80) : undefined;
    if (this.#layout !== undefined && width === this.#width && !isAgain) return this.#layout;
    const empty = this.#empty === undefined ? {} : { empty: this.#empty.hidden };
    const layout = layoutFor({ ...this.#asked, width, ...empty });
    const isOther = width !== this.#width || !isSameLayout(layout, this.#layout);
    this.#width = width;
    this.#layout = layout;
    if (isOther) this.#header(layout);
    return layout;
  }

  #header(layout: Layout): void {
    // It has just been shown.
    if (this.#rows === 0 && layout === this.#shown) return;
    this.#shown = layout;
    this.#rows = 0;
    this.#writer.decorate(`${renderHeader(layout, this.#color)}\n`);
  }
}

function isSameLayout(a: Layout, b: Layout | undefined): boolean {
  return (
    a.columns.length === b?.columns.length &&
    a.columns.every(({ column }, i) => column === b.columns[i]?.column)
  );
}
