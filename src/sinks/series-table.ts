/**
 * Time series of one metric with a bound. The SDK's synchronous instruments never forget an attribute set in cumulative
 * mode and apply their cardinality limit to one interval only, so a host with many short-lived workloads would grow them
 * for ever. Here: at most `limit` series; what comes when it is full is summed in one overflow series
 * (`otel.metric.overflow`, OpenTelemetry metrics SDK specification, "Overflow attribute"), so totals stay right;
 * series that nothing touched for `idleNs` are forgotten and make room.
 */
import type { Attributes } from '../model.ts';

export interface Series<Value> {
  readonly attributes: Attributes;
  /** Unix ns at which the value was nothing. */
  readonly start: bigint;
  value: Value;
  /** Changed since the last collection. */
  touched: boolean;
  /** Unix ns of the last collection that found it touched. */
  changed: bigint;
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
  readonly #empty: () => Value;
  readonly #series = new Map<string, Series<Value>>();
  /** Start of the series made until the next collection: their first value came after it. */
  #since: bigint;
  /** Another number after each collection: a series that was there before may be forgotten. */
  generation = 0;

  /** @param empty a value of nothing; @param start Unix ns */
  constructor(empty: () => Value, start: bigint, limits: SeriesLimits = SERIES_LIMITS) {
    this.#empty = empty;
    this.#since = start;
    this.#limits = limits;
  }

  get size(): number {
    return this.#series.size;
  }

  /**
   * The series of that key, the overflow series when a new one has no room. The caller changes its `value`.
   * @param attributes is called only for a new series
   */
  series(key: string, attributes: () => Attributes): Series<Value> {
    const known = this.#series.get(key) ?? this.#add(key, attributes);
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
      this.#series.clear();
      return all;
    }
    for (const [key, series] of this.#series) {
      if (series.touched) series.changed = now;
      else if (now - series.changed >= this.#limits.idleNs && key !== OVERFLOW_KEY) this.#series.delete(key);
      series.touched = false;
    }
    return all;
  }

  #add(key: string, attributes: () => Attributes): Series<Value> {
    const overflow = this.#series.get(OVERFLOW_KEY);
    const used = this.#series.size - (overflow === undefined ? 0 : 1);
    if (used < this.#limits.limit - 1) return this.#put(key, attributes());
    return overflow ?? this.#put(OVERFLOW_KEY, OVERFLOW);
  }

  #put(key: string, attributes: Attributes): Series<Value> {
    const start = this.#since;
    const series = { attributes, start, value: this.#empty(), touched: true, changed: start };
    this.#series.set(key, series);
    return series;
  }
}

/** Results remembered of one process. */
const MAX_REMEMBERED = 64;

/** The series of one process by a number for the result: no key has to be put together for each event. */
export class RememberedSeries<Value> {
  readonly #table: SeriesTable<Value>;
  readonly #series = new Map<number, Series<Value>>();
  #generation = 0;

  constructor(table: SeriesTable<Value>) {
    this.#table = table;
  }

  /** @param key as SeriesTable.series takes it; called, as is `attributes`, only when the series is not remembered */
  series(result: number, key: () => string, attributes: () => Attributes): Series<Value> {
    if (this.#generation !== this.#table.generation || this.#series.size >= MAX_REMEMBERED) {
      this.#series.clear();
      this.#generation = this.#table.generation;
    }
    const known = this.#series.get(result);
    if (known !== undefined) {
      known.touched = true;
      return known;
    }
    const found = this.#table.series(key(), attributes);
    this.#series.set(result, found);
    return found;
  }
}
