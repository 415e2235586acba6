/**
 * Slots by a 32-bit key, those of one key in the order they were added. Chains in flat memory: no object for an entry.
 *
 * The table of chains follows the slots in it. Of a table for all slots each access would be to memory that no cache has, and
 * at a few thousand lookups a second that was half of what a lookup cost.
 */

/** Words of a slot: its key, and the next and the previous slot of its chain, + 1, 0: none. */
const WORDS = 3;
const NEXT = 1;
const PREVIOUS = 2;
/** A power of two. The table halves when it has eight times as many chains as slots. */
const MIN_CHAINS = 256;
const SPARSE = 8;

export class SlotIndex {
  readonly #slots: Int32Array;
  /** First and last slot of each chain, + 1, 0: none. */
  #chains = new Int32Array(2 * MIN_CHAINS);
  #mask = MIN_CHAINS - 1;
  #size = 0;

  constructor(capacity: number) {
    this.#slots = new Int32Array(capacity * WORDS);
  }

  add(key: number, slot: number): void {
    if (this.#size > this.#mask) this.#rehash(2 * (this.#mask + 1));
    this.#size++;
    this.#slots[slot * WORDS] = key;
    this.#append(slot);
  }

  remove(slot: number): void {
    const slots = this.#slots;
    const at = slot * WORDS;
    const chain = this.#chainOf(slots[at] as number);
    const next = slots[at + NEXT] as number;
    const previous = slots[at + PREVIOUS] as number;
    if (previous === 0) this.#chains[chain] = next;
    else slots[(previous - 1) * WORDS + NEXT] = next;
    if (next === 0) this.#chains[chain + 1] = previous;
    else slots[(next - 1) * WORDS + PREVIOUS] = previous;
    this.#size--;
    if (this.#size * SPARSE < this.#mask && this.#mask >= MIN_CHAINS) this.#rehash((this.#mask + 1) / 2);
  }

  /** The oldest slot of this key; -1: none. */
  first(key: number): number {
    return this.#seek(this.#chains[this.#chainOf(key)] as number, key, NEXT);
  }

  /** The one after it of the same key; -1: none. */
  after(slot: number): number {
    const at = slot * WORDS;
    return this.#seek(this.#slots[at + NEXT] as number, this.#slots[at] as number, NEXT);
  }

  /** The youngest slot of this key; -1: none. */
  last(key: number): number {
    return this.#seek(this.#chains[this.#chainOf(key) + 1] as number, key, PREVIOUS);
  }

  /** The one before it of the same key; -1: none. */
  before(slot: number): number {
    const at = slot * WORDS;
    return this.#seek(this.#slots[at + PREVIOUS] as number, this.#slots[at] as number, PREVIOUS);
  }

  #seek(from: number, key: number, direction: number): number {
    const slots = this.#slots;
    for (let next = from; next !== 0; next = slots[(next - 1) * WORDS + direction] as number)
      if (slots[(next - 1) * WORDS] === (key | 0)) return next - 1;
    return -1;
  }

  #append(slot: number): void {
    const slots = this.#slots;
    const at = slot * WORDS;
    const chain = this.#chainOf(slots[at] as number);
    const last = this.#chains[chain + 1] as number;
    slots[at + NEXT] = 0;
    slots[at + PREVIOUS] = last;
    if (last === 0) this.#chains[chain] = slot + 1;
    else slots[(last - 1) * WORDS + NEXT] = slot + 1;
    this.#chains[chain + 1] = slot + 1;
  }

  /** Slots of one key are in one chain before and after, and keep their order. */
  #rehash(count: number): void {
    const before = this.#chains;
    this.#chains = new Int32Array(2 * count);
    this.#mask = count - 1;
    for (let chain = 0; chain < before.length; chain += 2)
      for (let next = before[chain] as number; next !== 0; ) {
        const slot = next - 1;
        next = this.#slots[slot * WORDS + NEXT] as number;
        this.#append(slot);
      }
  }

  /** Where the chain of a key is in `#chains`. */
  #chainOf(key: number): number {
    const hash = Math.imul(key, 0x9e3779b1);
    return ((hash ^ (hash >>> 15)) & this.#mask) * 2;
  }
}
