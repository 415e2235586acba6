/**
 * What waits for the inspector: in turns of the workloads, so that one that asks much waits for itself. Bounded: a workload may
 * have so many in it; when all is full, the newest of the one that has most gives way.
 */

/** What waits, and whose it is. */
export interface Queued {
  readonly cgroupId: bigint;
}

export class FairQueue<Item extends Queued> {
  readonly #max: number;
  readonly #maxEach: number;
  /** Whose turn it is comes first. Without empty ones. */
  readonly #queues = new Map<bigint, Item[]>();
  #size = 0;

  constructor(max: number, maxEach: number) {
    this.#max = max;
    this.#maxEach = maxEach;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns what found no room: the item itself or another, which has left the queue */
  push(item: Item): Item | undefined {
    const queue = this.#queues.get(item.cgroupId);
    if (queue !== undefined && queue.length >= this.#maxEach) return item;
    let refused: Item | undefined;
    if (this.#size >= this.#max) {
      const [longest] = [...this.#queues.entries()].sort(([, a], [, b]) => b.length - a.length);
      if (longest === undefined || longest[1].length <= (queue?.length ?? 0) + 1) return item;
      refused = longest[1].pop();
      this.#size--;
      if (longest[1].length === 0) this.#queues.delete(longest[0]);
    }
    if (queue === undefined) this.#queues.set(item.cgroupId, [item]);
    else queue.push(item);
    this.#size++;
    return refused;
  }

  /** The next in turn. */
  shift(): Item | undefined {
    const [next] = this.#queues;
    if (next === undefined) return undefined;
    const [key, queue] = next;
    const item = queue.shift();
    this.#queues.delete(key);
    if (queue.length > 0) this.#queues.set(key, queue);
    this.#size--;
    return item;
  }
}
