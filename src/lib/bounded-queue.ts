/**
 * First in, first out, with a bound. A full queue refuses the new item (`push` gives false) and the caller counts it:
 * what waits longest is never thrown away for what came last.
 */
export class BoundedQueue<T> {
  readonly capacity: number;
  /** Ring of a power of two slots that grows up to the capacity, so an idle queue holds little memory. */
  #slots: (T | undefined)[] = new Array(16).fill(undefined);
  #head = 0;
  #length = 0;

  /** @param capacity items at most, a positive integer */
  constructor(capacity: number) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) throw new RangeError(`queue capacity ${capacity}`);
    this.capacity = capacity;
  }

  get length(): number {
    return this.#length;
  }

  /** Appends; false and unchanged when full. */
  push(item: T): boolean {
    if (this.#length === this.capacity) return false;
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item;
    this.#length++;
    return true;
  }

  /** Removes and gives the oldest; undefined when empty. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#length--;
    return item;
  }

  /** The oldest, not removed; undefined when empty. */
  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#slots[this.#head];
  }

  /** Empties the queue and gives how many items it held. */
  clear(): number {
    const count = this.#length;
    this.#slots = new Array(16).fill(undefined);
    this.#head = 0;
    this.#length = 0;
    return count;
  }

  #grow(): void {
    const old = this.#slots;
    const grown: (T | undefined)[] = new Array(old.length * 2).fill(undefined);
    for (let i = 0; i < this.#length; i++) grown[i] = old[(this.#head + i) & (old.length - 1)];
    this.#slots = grown;
    this.#head = 0;
  }
}
