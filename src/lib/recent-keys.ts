/**
 * Remembers small numbers under 64-bit keys (two 32-bit hashes), for a while, in fixed memory and without an object each: a
 * key that falls into a taken slot replaces what was there. With seeded hashes nobody can aim, and two keys that agree in all
 * 64 bits do not happen.
 */
export class RecentKeys {
  readonly #mask: number;
  readonly #first: Int32Array;
  readonly #second: Int32Array;
  readonly #values: Uint8Array;

  /** @param slots a power of two */
  constructor(slots: number) {
    this.#mask = slots - 1;
    this.#first = new Int32Array(slots);
    this.#second = new Int32Array(slots);
    this.#values = new Uint8Array(slots);
  }

  /** @param value 1 to 255 */
  set(first: number, second: number, value: number): void {
    const slot = this.#slot(first, second);
    this.#first[slot] = first;
    this.#second[slot] = second;
    this.#values[slot] = value;
  }

  /** 0 = not remembered. */
  get(first: number, second: number): number {
    const slot = this.#slot(first, second);
    const isSame = this.#first[slot] === (first | 0) && this.#second[slot] === (second | 0);
    return isSame ? (this.#values[slot] as number) : 0;
  }

  #slot(first: number, second: number): number {
    const hash = Math.imul(first ^ (second >>> 15), 0x9e3779b1);
    return (hash ^ (hash >>> 15)) & this.#mask;
  }
}
