/** Durations in buckets that grow by 4 %: a percentile is right to half of that. */
const GROWTH = Math.log(1.04);

export class Histogram {
  readonly #buckets = new Map<number, number>();
  #count = 0;

  /** @param duration µs */
  add(duration: number): void {
    const bucket = duration < 1 ? 0 : 1 + Math.floor(Math.log(duration) / GROWTH);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.#count++;
  }

  /** @param share 0.5 the median @returns µs; undefined: it is empty */
  percentile(share: number): number | undefined {
    let left = Math.ceil(this.#count * share);
    for (const [bucket, count] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return bucket === 0 ? 0 : Math.round(Math.exp((bucket - 0.5) * GROWTH));
    }
    return undefined;
  }
}
