/** Bytes in pieces -> lines. A line above the bound is given up, and the memory with it. */
const NEWLINE = 0x0a;

export class LineSplitter {
  readonly #max: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Bytes of the line that has not ended. */
  get pending(): number {
    return this.#length;
  }

  /** The lines that this piece ends; undefined for one above the bound, after which nothing more is to be read. */
  *push(chunk: Buffer): Generator<string | undefined> {
    let start = 0;
    while (start < chunk.length) {
      const end = chunk.indexOf(NEWLINE, start);
      const part = chunk.subarray(start, end < 0 ? chunk.length : end);
      this.#length += part.length;
      if (this.#length > this.#max) {
        this.#parts = [];
        yield undefined;
        return;
      }
      this.#parts.push(part);
      if (end < 0) return;
      const line = Buffer.concat(this.#parts, this.#length).toString('utf8');
      this.#parts = [];
      this.#length = 0;
      start = end + 1;
      if (line.trim() !== '') yield line;
    }
  }
}
