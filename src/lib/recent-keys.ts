/**
 * Remembers 64-bit keys (two 32-bit hashes) for a while, in fixed memory and without an object each. A key has one of WAYS places.
 * When they are taken, it takes that of an owner who has most of them, the oldest: a flood of one owner takes its own places.
 * With seeded hashes no one can aim, and two keys that agree in all 64 bits do not happen.
 */
const WAYS = 4;
/** Words of a place: first and second half of the key, owner, order. Four places are one line of the processor's cache. */
const WORDS = 4;
const SECOND = 1;
const OWNER = 2;
const ORDER = 3;

export class RecentKeys {
  readonly #mask: number;
  /** Order 0: free. */
  readonly #words: Int32Array;
  #now = 0;

  /** @param slots a power of two, at least 4 */
  constructor(slots: number) {
    this.#mask = slots / WAYS - 1;
    this.#words = new Int32Array(slots * WORDS);
  }

  /**
   * @param owner a hash: its upper half of the workload, its lower half of the process
   * @returns the slot it is in, for what the caller keeps with it
   */
  set(first: number, second: number, owner: number): number {
    const known = this.find(first, second);
    const slot = known < 0 ? this.#place(this.#bucket(first, second), owner) : known;
    const at = slot * WORDS;
    const words = this.#words;
    words[at] = first;
    words[at + SECOND] = second;
    words[at + OWNER] = owner;
    // After 2^31 entries the order begins again.
    this.#now = (this.#now + 1) & 0x7fff_ffff || 1;
    words[at + ORDER] = this.#now;
    return slot;
  }

  /** Its slot; -1: not remembered. */
  find(first: number, second: number): number {
    const words = this.#words;
    const bucket = this.#bucket(first, second);
    for (let slot = bucket; slot < bucket + WAYS; slot++) {
      const at = slot * WORDS;
      if (words[at] === (first | 0) && words[at + SECOND] === (second | 0) && words[at + ORDER] !== 0)
        return slot;
    }
    return -1;
  }

  #bucket(first: number, second: number): number {
    const hash = Math.imul(first ^ (second >>> 15), 0x9e3779b1);
    return ((hash ^ (hash >>> 15)) & this.#mask) * WAYS;
  }

  #place(bucket: number, owner: number): number {
    const words = this.#words;
    let best = bucket;
    let max = -1;
    for (let slot = bucket; slot < bucket + WAYS; slot++) {
      const order = words[slot * WORDS + ORDER] as number;
      if (order === 0) return slot;
      const share = this.#share(bucket, words[slot * WORDS + OWNER] as number, owner);
      if (share > max || (share === max && order < (words[best * WORDS + ORDER] as number))) {
        best = slot;
        max = share;
      }
    }
    return best;
  }

  /** Places of this owner's workload before those of its process, the new one counted. */
  #share(bucket: number, owner: number, newcomer: number): number {
    let share = weight(owner, newcomer);
    for (let slot = bucket; slot < bucket + WAYS; slot++)
      share += weight(owner, this.#words[slot * WORDS + OWNER] as number);
    return share;
  }
}

function weight(one: number, other: number): number {
  return ((one ^ other) >>> 16 === 0 ? 8 : 0) + (one === other ? 1 : 0);
}
