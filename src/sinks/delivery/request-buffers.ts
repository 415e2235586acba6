/**
 * Memory of requests, used again when a request is delivered: memory outside of the heap makes V8 collect the whole heap for each
 * some ten megabytes that come and go.
 */

/** Buffers kept for later. */
const MAX_FREE = 3;
/** One that is so many times larger than what is asked for is not taken for it: a request that waits must not hold the memory of many. */
const MAX_WASTE = 2;
/** Requests differ a little in size: so much more than asked, 1/16, is taken. */
const SPARE = 16;

export class RequestBuffers {
  readonly #free: Buffer[] = [];
  /** A spool gives bytes of others. */
  readonly #own = new WeakSet<ArrayBufferLike>();

  /** So many bytes with any content, a view of a buffer. */
  take(size: number): Buffer {
    const index = this.#free.findIndex(({ length }) => length >= size && length <= size * MAX_WASTE);
    const [found] = index < 0 ? [] : this.#free.splice(index, 1);
    const buffer = found ?? this.#create(size);
    return buffer.subarray(0, size);
  }

  /** Takes back what `take` gave: no one reads it any more. The smallest makes room for a larger one. */
  release({ buffer }: Uint8Array): void {
    if (!this.#own.has(buffer)) return;
    this.#free.push(Buffer.from(buffer));
    if (this.#free.length <= MAX_FREE) return;
    this.#free.sort((a, b) => b.length - a.length).pop();
  }

  #create(size: number): Buffer {
    const buffer = Buffer.allocUnsafeSlow(size + Math.floor(size / SPARE));
    this.#own.add(buffer.buffer);
    return buffer;
  }
}
