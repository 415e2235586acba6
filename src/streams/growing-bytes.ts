/** Bytes that arrive in pieces: memory grows with what has come, not with what was announced. */
export class GrowingBytes {
  #bytes: Buffer;
  #size = 0;
  readonly #limit: number;

  /** @param limit bytes at most; what is appended beyond is an error of the caller. */
  constructor(limit: number, expected: number) {
    this.#limit = limit;
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(limit, Math.max(expected, 64)));
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes of memory held. */
  get capacity(): number {
    return this.#bytes.length;
  }

  append(piece: Uint8Array): void {
    const size = this.#size + piece.length;
    if (size > this.#limit) throw new RangeError(`${size} bytes, at most ${this.#limit}`);
    if (size > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#limit, Math.max(size, this.#bytes.length * 2)));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#size);
    this.#size = size;
  }

  /** What has come; a view, valid until the next `append`. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }
}
