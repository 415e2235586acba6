/**
 * Time series of one metric with a bound. The SDK's synchronous instruments never forget an attribute set in cumulative
 * mode and apply their cardinality limit to one interval only, so a host with many short-lived workloads would grow them
 * for ever. Here: at most `limit` series; what comes when it is full is summed in one overflow series
 * (`otel.metric.overflow`, OpenTelemetry metrics SDK specification, "Overflow attribute"), so totals stay right; who has most
 * series has to give one up to who has less, its sum goes to the overflow series;
 * series that nothing touched for `idleNs` are forgotten and make room.
 */
import { FairBound, Holding } from '../../lib/fair-bound.ts';
import type { HolderId } from '../../lib/fairness.ts';
import type { Attributes } from '../../model.ts';

export class Series<Value> extends Holding {
  readonly key: string;
  readonly attributes: Attributes;
  /** Unix ns at which the value was nothing. */
  readonly start: bigint;
  value: Value;
  /** Changed since the last collection. */
  touched = true;
  /** Unix ns of the last collection that found it touched. */
  changed: bigint;

  constructor(key: string, attributes: Attributes, start: bigint, value: Value) {
    super();
    this.key = key;
    this.attributes = attributes;
    this.start = start;
    this.changed = start;
    this.value = value;
  }
}

/** How values of one metric begin, and how two become one. */
export interface Summed<Value> {
  /** A value of nothing. */
  readonly empty: () => Value;
  readonly merge: (into: Value, from: Value) => void;
}

export const OVERFLOW: Attributes = { 'otel.metric.overflow': true };
const OVERFLOW_KEY = '\0overflow';

export interface SeriesLimits {
  /** Series at most, the overflow series included. */
  readonly limit: number;
  readonly idleNs: bigint;
}

/** The specification's default cardinality limit; an hour of silence. */
export const SERIES_LIMITS: SeriesLimits = { limit: 2000, idleNs: 3_600_000_000_000n };

export class SeriesTable<Value> {
  readonly #limits: SeriesLimits;
  readonly #summed: Summed<Value>;
  readonly #shares: FairBound<Series<Value>>;
  readonly #series = new Map<string, Series<Value>>();
  /** Start of the series made until the next collection: their first value came after it. */
  #since: bigint;
  /** Another number after each collection and each series that made room: one that was there before may be gone. */
  generation = 0;

  /** @param start Unix ns */
  constructor(summed: Summed<Value>, start: bigint, limits: SeriesLimits = SERIES_LIMITS) {
    this.#summed = summed;
    this.#shares = new FairBound(limits.limit - 1);
    this.#since = start;
    this.#limits = limits;
  }

  get size(): number {
    return this.#series.size;
  }

  /**
   * The series of that key, the overflow series when a new one has no room. The caller changes its `value`.
   * @param attributes is called only for a new series; @param owner whose share of the series it is
   */
  series(key: string, attributes: () => Attributes, owner: HolderId): Series<Value> {
    const known = this.#series.get(key) ?? this.#add(key, attributes, owner);
    known.touched = true;
    return known;
  }

  /**
   * What to export. Cumulative: all series, forgetting the idle ones afterwards. Delta: those that were touched, and the
   * table begins anew.
   * @param now Unix ns
   */
  collect(now: bigint, temporality: 'cumulative' | 'delta'): readonly Series<Value>[] {
    const all = [...this.#series.values()];
    this.#since = now;
    this.generation++;
    if (temporality === 'delta') {
      for (const series of all) this.#shares.remove(series);
      this.#series.clear();
      return all;
    }
    for (const [key, series] of this.#series) {
      if (series.touched) series.changed = now;
      else if (now - series.changed >= this.#limits.idleNs && key !== OVERFLOW_KEY) this.#remove(series);
      series.touched = false;
    }
    return all;
  }

  #add(key: string, attributes: () => Attributes, owner: HolderId): Series<Value> {
    if (this.#shares.isFull) {
      if (this.#shares.isLargest(owner)) return this.#overflow();
      const largest = this.#shares.largest();
      if (largest === undefined) return this.#overflow();
      this.#remove(largest);
      const overflow = this.#overflow();
      overflow.touched = true;
      this.#summed.merge(overflow.value, largest.value);
    }
    const series = this.#put(key, attributes());
    this.#shares.add(series, this.#shares.holderOf(owner));
    return series;
  }

  #overflow(): Series<Value> {
    return this.#series.get(OVERFLOW_KEY) ?? this.#put(OVERFLOW_KEY, OVERFLOW);
  }

  #remove(series: Series<Value>): void {
    this.generation++;
    this.#series.delete(series.key);
    this.#shares.remove(series);
  }

  #put(key: string, attributes: Attributes): Series<Value> {
    const series = new Series(key, attributes, this.#since, this.#summed.empty());
    this.#series.set(key, series);
    return series;
  }
}

/** Series remembered of one table. */
const MAX_REMEMBERED = 8192;

/** The series of a table by a number for each key: no key has to be put together for each event. */
export class RememberedSeries<Value> {
  readonly #table: SeriesTable<Value>;
  readonly #series = new Map<number, Series<Value>>();
  #generation = 0;

  constructor(table: SeriesTable<Value>) {
    this.#table = table;
  }

  /** undefined: it is not remembered, and the table has to be asked. */
  get(key: number): Series<Value> | undefined {
    if (this.#generation !== this.#table.generation) return undefined;
    const known = this.#series.get(key);
    if (known !== undefined) known.touched = true;
    return known;
  }

  /** Remembers what the table has just given for that key. */
  set(key: number, series: Series<Value>): Series<Value> {
    if (this.#generation !== this.#table.generation || this.#series.size >= MAX_REMEMBERED) this.forget();
    this.#series.set(key, series);
    return series;
  }

  forget(): void {
    this.#series.clear();
    this.#generation = this.#table.generation;
  }
}
