/**
 * Several values under one numeric key, cheap for the usual case of one. Values keep their order of insertion. Unbounded
 * by itself: whoever adds a value removes it.
 */
export class MultiMap<T extends object> {
  readonly #map = new Map<number, T | Set<T>>();

  add(key: number, value: T): void {
    const held = this.#map.get(key);
    if (held === undefined) this.#map.set(key, value);
    else if (held instanceof Set) held.add(value);
    else this.#map.set(key, new Set([held, value]));
  }

  delete(key: number, value: T): void {
    const held = this.#map.get(key);
    if (held === value) this.#map.delete(key);
    else if (held instanceof Set && held.delete(value) && held.size === 0) this.#map.delete(key);
  }

  /** At most the first `limit` values. */
  get(key: number, limit: number): readonly T[] {
    const held = this.#map.get(key);
    if (held === undefined) return NONE;
    if (!(held instanceof Set)) return [held];
    const values: T[] = [];
    for (const value of held) if (values.push(value) === limit) break;
    return values;
  }

  get keys(): number {
    return this.#map.size;
  }
}

const NONE: readonly never[] = Object.freeze([]);
