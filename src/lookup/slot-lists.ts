/** Lists of slots of a slab in flat memory: no object for an entry, none for a list. */

/** Slots in the order they were added; each is in it at most once. */
export class SlotQueue {
  /** Slot + 1, 0: none. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #oldest = 0;
  #newest = 0;
  size = 0;

  constructor(capacity: number) {
    this.#next = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
  }

  /** -1: there is none. */
  get oldest(): number {
    return this.#oldest - 1;
  }

  push(slot: number): void {
    this.#next[slot] = 0;
    this.#previous[slot] = this.#newest;
    if (this.#newest === 0) this.#oldest = slot + 1;
    else this.#next[this.#newest - 1] = slot + 1;
    this.#newest = slot + 1;
    this.size++;
  }

  remove(slot: number): void {
    const next = this.#next[slot] as number;
    const previous = this.#previous[slot] as number;
    if (previous === 0) this.#oldest = next;
    else this.#next[previous - 1] = next;
    if (next === 0) this.#newest = previous;
    else this.#previous[next - 1] = previous;
    this.size--;
  }
}

/** Slots by a 32-bit key, those of one key in the order they were added. Open chains, twice as many heads as slots at least. */
export class SlotIndex {
  readonly #mask: number;
  readonly #keys: Int32Array;
  /** Slot + 1, 0: none. Memory that is never touched takes none. */
  readonly #heads: Int32Array;
  readonly #tails: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  constructor(capacity: number) {
    const heads = 2 ** Math.ceil(Math.log2(Math.max(capacity, 2) * 2));
    this.#mask = heads - 1;
    this.#keys = new Int32Array(capacity);
    this.#heads = new Int32Array(heads);
    this.#tails = new Int32Array(heads);
    this.#next = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
  }

  add(key: number, slot: number): void {
    const head = this.#headOf(key);
    const tail = this.#tails[head] as number;
    this.#keys[slot] = key;
    this.#next[slot] = 0;
    this.#previous[slot] = tail;
    if (tail === 0) this.#heads[head] = slot + 1;
    else this.#next[tail - 1] = slot + 1;
    this.#tails[head] = slot + 1;
  }

  remove(slot: number): void {
    const head = this.#headOf(this.#keys[slot] as number);
    const next = this.#next[slot] as number;
    const previous = this.#previous[slot] as number;
    if (previous === 0) this.#heads[head] = next;
    else this.#next[previous - 1] = next;
    if (next === 0) this.#tails[head] = previous;
    else this.#previous[next - 1] = previous;
  }

  /** The oldest slot of this key; -1: none. */
  first(key: number): number {
    return this.#seek(this.#heads[this.#headOf(key)] as number, key);
  }

  /** The one after it of the same key; -1: none. */
  after(slot: number): number {
    return this.#seek(this.#next[slot] as number, this.#keys[slot] as number);
  }

  /** The youngest slot of this key; -1: none. */
  last(key: number): number {
    return this.#seekBack(this.#tails[this.#headOf(key)] as number, key);
  }

  /** The one before it of the same key; -1: none. */
  before(slot: number): number {
    return this.#seekBack(this.#previous[slot] as number, this.#keys[slot] as number);
  }

  #seekBack(from: number, key: number): number {
    for (let slot = from - 1; slot >= 0; slot = (this.#previous[slot] as number) - 1)
      if (this.#keys[slot] === (key | 0)) return slot;
    return -1;
  }

  #seek(from: number, key: number): number {
    for (let slot = from - 1; slot >= 0; slot = (this.#next[slot] as number) - 1)
      if (this.#keys[slot] === (key | 0)) return slot;
    return -1;
  }

  #headOf(key: number): number {
    const hash = Math.imul(key, 0x9e3779b1);
    return (hash ^ (hash >>> 15)) & this.#mask;
  }
}
