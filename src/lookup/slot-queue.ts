/** Slots of a slab in the order they were added, each at most once. In flat memory: no object for an entry. */
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
