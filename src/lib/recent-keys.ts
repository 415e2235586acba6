/**
 * Remembers 64-bit keys (two 32-bit hashes) for a while, in fixed memory and without an object each. A key has one of WAYS places.
 * When they are taken, it takes that of an owner who has most of them, the oldest: a flood of one owner takes its own places.
 * With seeded hashes no one can aim, and two keys that agree in all 64 bits do not happen.
 */
const WAYS = 4;

export class RecentKeys {
  readonly #mask: number;
  readonly #first: Int32Array;
  readonly #second: Int32Array;
  /** 0: free. */
  readonly #order: Uint32Array;
  readonly #owners: Int32Array;
  #now = 0;

  /** @param slots a power of two, at least 4 */
  constructor(slots: number) {
    this.#mask = slots / WAYS - 1;
    this.#first = new Int32Array(slots);
    this.#second = new Int32Array(slots);
    this.#order = new Uint32Array(slots);
    this.#owners = new Int32Array(slots);
  }

  /**
   * @param owner a hash: its upper half of the workload, its lower half of the process
   * @returns the slot it is in, for what the caller keeps with it
   */
  set(first: number, second: number, owner: number): number {
    const known = this.find(first, second);
    const slot = known < 0 ? this.#place(this.#bucket(first, second), owner) : known;
    this.#first[slot] = first;
    this.#second[slot] = second;
    this.#owners[slot] = owner;
    // After 2^32 entries the order begins again; 0 means free.
    this.#now = (this.#now + 1) >>> 0 || 1;
    this.#order[slot] = this.#now;
    return slot;
  }

  /** Its slot; -1: not remembered. */
  find(first: number, second: number): number {
    const bucket = this.#bucket(first, second);
    for (let slot = bucket; slot < bucket + WAYS; slot++)
      if (this.#first[slot] === (first | 0) && this.#second[slot] === (second | 0) && this.#order[slot] !== 0)
        return slot;
    return -1;
  }

  #bucket(first: number, second: number): number {
    const hash = Math.imul(first ^ (second >>> 15), 0x9e3779b1);
    return ((hash ^ (hash >>> 15)) & this.#mask) * WAYS;
  }

  #place(bucket: number, owner: number): number {
    let best = bucket;
    let most = -1;
    for (let slot = bucket; slot < bucket + WAYS; slot++) {
      if (this.#order[slot] === 0) return slot;
      const share = this.#share(bucket, this.#owners[slot] as number, owner);
      const isOlder = (this.#order[slot] as number) < (this.#order[best] as number);
      if (share > most || (share === most && isOlder)) {
        best = slot;
        most = share;
      }
    }
    return best;
  }

  /** Places of this owner's workload before those of its process, the new one counted. */
  #share(bucket: number, owner: number, newcomer: number): number {
    let share = weight(owner, newcomer);
    for (let slot = bucket; slot < bucket + WAYS; slot++)
      share += weight(owner, this.#owners[slot] as number);
    return share;
  }
}

function weight(one: number, other: number): number {
  return ((one ^ other) >>> 16 === 0 ? 8 : 0) + (one === other ? 1 : 0);
}
