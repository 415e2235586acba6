/**
 * A cache of texts made from 16 bytes (addresses, task names): direct-mapped, so bounded by construction. A collision
 * overwrites, and costs one more formatting.
 */
export class Slots {
  readonly #format: (bytes: Uint8Array, offset: number) => string;
  readonly #mask: number;
  readonly #keys: Uint32Array;
  readonly #texts: string[];

  /** @param size slots, a power of two. */
  constructor(size: number, format: (bytes: Uint8Array, offset: number) => string) {
    this.#format = format;
    this.#mask = size - 1;
    this.#keys = new Uint32Array(4 * size);
    // sixteen zero bytes are the key of every fresh slot
    this.#texts = new Array<string>(size).fill(format(new Uint8Array(16), 0));
  }

  /** The text of the sixteen bytes at `offset` of `bytes`, which `view` shows too. */
  text(view: DataView, bytes: Uint8Array, offset: number): string {
    const a = view.getUint32(offset, true);
    const b = view.getUint32(offset + 4, true);
    const c = view.getUint32(offset + 8, true);
    const d = view.getUint32(offset + 12, true);
    let hash = Math.imul(
      a ^ Math.imul(b ^ Math.imul(c ^ Math.imul(d, 0x9e3779b1), 0x85ebca6b), 0xc2b2ae35),
      0x27d4eb2f,
    );
    hash ^= hash >>> 15;
    const slot = hash & this.#mask;
    const keys = this.#keys;
    const at = 4 * slot;
    if (keys[at] !== a || keys[at + 1] !== b || keys[at + 2] !== c || keys[at + 3] !== d) {
      keys[at] = a;
      keys[at + 1] = b;
      keys[at + 2] = c;
      keys[at + 3] = d;
      this.#texts[slot] = this.#format(bytes, offset);
    }
    return this.#texts[slot] as string;
  }
}

/** The same for texts made from 4 bytes. */
export class WordSlots {
  readonly #format: (bytes: Uint8Array, offset: number) => string;
  readonly #keys: Uint32Array;
  readonly #texts: string[];

  /** @param size slots, a power of two. */
  constructor(size: number, format: (bytes: Uint8Array, offset: number) => string) {
    this.#format = format;
    this.#keys = new Uint32Array(size);
    this.#texts = new Array<string>(size).fill(format(new Uint8Array(4), 0));
  }

  text(view: DataView, bytes: Uint8Array, offset: number): string {
    const word = view.getUint32(offset, true);
    const hash = Math.imul(word, 0x9e3779b1);
    const slot = (hash ^ (hash >>> 15)) & (this.#keys.length - 1);
    if (this.#keys[slot] !== word) {
      this.#keys[slot] = word;
      this.#texts[slot] = this.#format(bytes, offset);
    }
    return this.#texts[slot] as string;
  }
}
