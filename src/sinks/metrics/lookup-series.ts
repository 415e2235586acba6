/** Records aggregated for the metrics whodns.queries, whodns.transmissions, dns.lookup.duration and whodns.connections. */
import { LookupView } from '../../lookup/view.ts';
import type { LogEvent, ProcessIdentity } from '../../model.ts';
import { pick, RESULTS, resultAttributes, resultOf } from '../../records/lookup-result.ts';
import { FIRST_QUESTION } from '../../records/lookup-sections.ts';
import { SEVERITY } from '../../records/record-common.ts';
import { OPCODES } from '../../tables/classes.ts';
import { DURATION_BOUNDS, SERVICE_ATTRIBUTES, WORKLOAD_ATTRIBUTES } from '../../tables/metrics.ts';
import { ProcessParts } from './process-parts.ts';
import {
  RememberedSeries,
  SERIES_LIMITS,
  type Series,
  type SeriesLimits,
  SeriesTable,
  type Summed,
} from './series-table.ts';

export interface Counter {
  count: number;
}

/** Lookups, and the requests sent for them. */
export interface QueryCounter extends Counter {
  transmissions: number;
}

export interface Distribution {
  count: number;
  sum: number;
  min: number;
  max: number;
  /** One more than DURATION_BOUNDS; a bucket holds its upper bound (OTLP, explicit_bounds). */
  readonly buckets: number[];
}

export class LookupSeries {
  readonly queries: SeriesTable<QueryCounter>;
  readonly durations: SeriesTable<Distribution>;
  readonly connections: SeriesTable<Counter>;
  readonly findings: SeriesTable<Counter>;
  readonly wasted: SeriesTable<Counter>;
  readonly #withName: boolean;
  readonly #knownQueries: RememberedSeries<QueryCounter>;
  readonly #knownDurations: RememberedSeries<Distribution>;
  readonly #workloads: ProcessParts;
  readonly #services: ProcessParts;

  /** @param start Unix ns; @param withName dns.question.name on durations: anyone who asks can fill the table */
  constructor(start: bigint, withName: boolean, limits: SeriesLimits = SERIES_LIMITS) {
    this.#withName = withName;
    const counters = () => new SeriesTable<Counter>(COUNTERS, start, limits);
    this.queries = new SeriesTable<QueryCounter>(QUERY_COUNTERS, start, limits);
    this.connections = counters();
    this.findings = counters();
    this.wasted = counters();
    this.durations = new SeriesTable<Distribution>(DISTRIBUTIONS, start, limits);
    this.#knownQueries = new RememberedSeries(this.queries);
    this.#knownDurations = new RememberedSeries(this.durations);
    this.#workloads = new ProcessParts(WORKLOAD_ATTRIBUTES, () => this.#knownQueries.forget());
    this.#services = new ProcessParts(SERVICE_ATTRIBUTES, () => this.#knownDurations.forget());
  }

  /** Counts an event that is a lookup, a connection or a finding; others are not counted. */
  add(event: LogEvent): void {
    const { process, connection, lookup } = event;
    if (lookup instanceof LookupView) this.#lookup(lookup, event.severity === SEVERITY.warn);
    else if (connection !== undefined) this.#connection(process, connection.resolution === undefined);
    else if (event.eventName === 'whodns.finding') this.#finding(event);
  }

  #finding({ process, attributes }: LogEvent): void {
    const workload = this.#workloads.of(process);
    const rule = pick(attributes, ['security_rule.name']);
    const key = `${workload.key}\0${rule['security_rule.name']}`;
    const labels = () => ({ ...workload.attributes, ...rule });
    this.findings.series(key, labels, workload.owner).value.count++;
  }

  #lookup(lookup: LookupView, isError: boolean): void {
    // A further answer to a lookup was counted with its first.
    if (lookup.conflictsWith !== undefined) return;
    const { message } = lookup.request;
    if (message.questionsRead === 0 && message.id < 0) return;
    if (message.opcode > OPCODES.QUERY) {
      this.#other(lookup, isError);
      return;
    }
    const result = resultOf(lookup, isError);
    const { number } = this.#workloads.of(lookup.process);
    const key = number * RESULTS + result;
    const queries =
      this.#knownQueries.get(key) ?? this.#knownQueries.set(key, this.#addQueries(lookup, isError));
    countQuery(queries.value, lookup);
    if (lookup.search !== undefined && lookup.search.wasted > 0) this.#waste(lookup);
    if (lookup.durationNs >= 0) record(this.#duration(lookup, result, isError).value, lookup.durationNs);
  }

  /** Of another opcode: few, each finds its series by text. */
  #other(lookup: LookupView, isError: boolean): void {
    countQuery(this.#addQueries(lookup, isError).value, lookup);
    if (lookup.durationNs >= 0) record(this.#addDuration(lookup, isError).value, lookup.durationNs);
  }

  #addQueries(lookup: LookupView, isError: boolean): Series<QueryCounter> {
    const workload = this.#workloads.of(lookup.process);
    const result = resultAttributes(lookup, isError);
    return this.queries.series(
      `${workload.key}\0${JSON.stringify(result)}`,
      () => ({ ...workload.attributes, ...result }),
      workload.owner,
    );
  }

  #waste({ process, search }: LookupView): void {
    const { key, attributes, owner } = this.#workloads.of(process);
    this.wasted.series(key, () => attributes, owner).value.count += search?.wasted ?? 0;
  }

  #duration(lookup: LookupView, result: number, isError: boolean): Series<Distribution> {
    if (this.#withName) return this.#addDuration(lookup, isError);
    const key = this.#services.of(lookup.process).number * RESULTS + result;
    const known = this.#knownDurations.get(key);
    return known ?? this.#knownDurations.set(key, this.#addDuration(lookup, isError));
  }

  #addDuration(lookup: LookupView, isError: boolean): Series<Distribution> {
    const service = this.#services.of(lookup.process);
    const result = resultAttributes(lookup, isError);
    const { asked } = lookup;
    const name =
      this.#withName && asked.questionsRead > 0 ? { 'dns.question.name': asked.nameAt(FIRST_QUESTION) } : {};
    return this.durations.series(
      `${service.key}\0${JSON.stringify(result)}\0${JSON.stringify(name)}`,
      () => ({ ...service.attributes, ...result, ...name }),
      service.owner,
    );
  }

  #connection(process: ProcessIdentity, unresolved: boolean): void {
    const workload = this.#workloads.of(process);
    const labels = () => ({ ...workload.attributes, 'whodns.unresolved': unresolved });
    this.connections.series(`${workload.key}\0${unresolved}`, labels, workload.owner).value.count++;
  }
}

const COUNTERS: Summed<Counter> = {
  empty: () => ({ count: 0 }),
  merge: (into, { count }) => {
    into.count += count;
  },
};

const QUERY_COUNTERS: Summed<QueryCounter> = {
  empty: () => ({ count: 0, transmissions: 0 }),
  merge: (into, { count, transmissions }) => {
    into.count += count;
    into.transmissions += transmissions;
  },
};

const DISTRIBUTIONS: Summed<Distribution> = {
  empty: emptyDistribution,
  merge(into, from) {
    into.count += from.count;
    into.sum += from.sum;
    into.min = Math.min(into.min, from.min);
    into.max = Math.max(into.max, from.max);
    for (const [i, count] of from.buckets.entries()) into.buckets[i] = (into.buckets[i] ?? 0) + count;
  },
};

function countQuery(into: QueryCounter, { retries }: LookupView): void {
  into.count++;
  into.transmissions += 1 + retries;
}

function record(into: Distribution, ns: number): void {
  const seconds = ns / 1e9;
  into.count++;
  into.sum += seconds;
  into.min = Math.min(into.min, seconds);
  into.max = Math.max(into.max, seconds);
  let bucket = 0;
  while (bucket < DURATION_BOUNDS.length && seconds > (DURATION_BOUNDS[bucket] as number)) bucket++;
  into.buckets[bucket] = (into.buckets[bucket] as number) + 1;
}

function emptyDistribution(): Distribution {
  const buckets = new Array<number>(DURATION_BOUNDS.length + 1).fill(0);
  return { count: 0, sum: 0, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, buckets };
}
