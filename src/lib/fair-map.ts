/** A bounded map: when it is full the entry goes that was used longest ago of the owner who has most (fair-bound.ts). */
import { FairBound, Holding } from './fair-bound.ts';
import { Fairness, type HolderId } from './fairness.ts';

class Entry<K, V> extends Holding {
  readonly key: K;
  value: V;

  constructor(key: K, value: V) {
    super();
    this.key = key;
    this.value = value;
  }
}

export interface FairMapOptions<K, V> {
  readonly fairness?: Fairness | undefined;
  /** Counts under this name whose entry gave way (fairness.ts). */
  readonly reason: string;
  readonly onEvict?: (key: K, value: V) => void;
}

export class FairMap<K, V> {
  readonly #map = new Map<K, Entry<K, V>>();
  readonly #shares: FairBound<Entry<K, V>>;
  readonly #fairness: Fairness;
  readonly #options: FairMapOptions<K, V>;

  constructor(max: number, options: FairMapOptions<K, V>) {
    this.#fairness = options.fairness ?? new Fairness();
    this.#shares = new FairBound(max, this.#fairness);
    this.#options = options;
  }

  get size(): number {
    return this.#map.size;
  }

  /** In the order they came. */
  keys(): IterableIterator<K> {
    return this.#map.keys();
  }

  get(key: K): V | undefined {
    const entry = this.#map.get(key);
    if (entry === undefined) return undefined;
    this.#shares.touch(entry);
    return entry.value;
  }

  /** Does not count as use. */
  peek(key: K): V | undefined {
    return this.#map.get(key)?.value;
  }

  /** @param owner whose share it is; of an entry that there is it stays what it was */
  set(key: K, value: V, owner: HolderId): void {
    const known = this.#map.get(key);
    if (known !== undefined) {
      known.value = value;
      this.#shares.touch(known);
      return;
    }
    while (this.#shares.isFull) this.#giveWay();
    const entry = new Entry(key, value);
    this.#map.set(key, entry);
    this.#shares.add(entry, this.#shares.holderOf(owner));
  }

  delete(key: K): boolean {
    const entry = this.#map.get(key);
    if (entry === undefined) return false;
    this.#map.delete(key);
    this.#shares.remove(entry);
    return true;
  }

  #giveWay(): void {
    const entry = this.#shares.largest();
    if (entry === undefined) return;
    if (entry.holder !== undefined) this.#fairness.gaveWay(entry.holder.owner, this.#options.reason);
    this.delete(entry.key);
    this.#options.onEvict?.(entry.key, entry.value);
  }
}
