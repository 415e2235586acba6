/**
 * A terminal that another program writes to as well: what is written waits until that program has ended, so that neither breaks the
 * other's lines. Bounded: when too much waits, the writer is not told that it was written, and counts what does not fit (LineWriter).
 */
import { Writable } from 'node:stream';
import type { TerminalStream } from '../sinks/console/table.ts';

const MAX_HELD = 16 * 1024 * 1024;

export class HeldStream extends Writable implements TerminalStream {
  readonly #to: TerminalStream;
  #held: Buffer[] = [];
  #bytes = 0;
  #isOpen = false;
  #waiting: (() => void) | undefined;

  constructor(to: TerminalStream) {
    super();
    this.#to = to;
    to.on('error', (error) => this.destroy(error));
  }

  get isTTY(): boolean {
    return this.#to.isTTY === true;
  }

  get columns(): number {
    return this.#to.columns ?? 80;
  }

  get rows(): number {
    return this.#to.rows ?? 24;
  }

  /** The other program has ended. */
  release(): void {
    this.#isOpen = true;
    for (const chunk of this.#held.splice(0)) this.#to.write(chunk);
    this.#waiting?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#isOpen) {
      this.#to.write(chunk, (error) => done(error));
      return;
    }
    this.#held.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < MAX_HELD) done();
    else this.#waiting = () => done();
  }
}
