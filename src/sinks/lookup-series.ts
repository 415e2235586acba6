/** Records aggregated for the metrics whodns.queries, dns.lookup.duration and whodns.connections. */
import { LRUCache } from 'lru-cache';
import { type HolderId, textHash } from '../lib/fairness.ts';
import type { Attributes, AttributeValue, LogEvent, ProcessIdentity } from '../model.ts';
import { DURATION_BOUNDS, SERVICE_ATTRIBUTES, WORKLOAD_ATTRIBUTES } from '../tables/metrics.ts';
import { PROCESSES_KEPT } from './limits.ts';
import { SERIES_LIMITS, type SeriesLimits, SeriesTable, type Summed } from './series-table.ts';

export interface Counter {
  count: number;
}

export interface Distribution {
  count: number;
  sum: number;
  min: number;
  max: number;
  /** One more than DURATION_BOUNDS; a bucket holds its upper bound (OTLP, explicit_bounds). */
  readonly buckets: number[];
}

/** Attributes of a process that one metric shows, and a string that tells them apart. */
interface Part {
  readonly key: string;
  readonly attributes: Attributes;
  /** Whose share of the series it is. */
  readonly owner: HolderId;
}

export class LookupSeries {
  readonly queries: SeriesTable<Counter>;
  readonly durations: SeriesTable<Distribution>;
  readonly connections: SeriesTable<Counter>;
  readonly findings: SeriesTable<Counter>;
  readonly wasted: SeriesTable<Counter>;
  readonly #withName: boolean;
  readonly #workloads = new LRUCache<ProcessIdentity, Part>({ max: PROCESSES_KEPT });
  readonly #services = new LRUCache<ProcessIdentity, Part>({ max: PROCESSES_KEPT });

  /** @param start Unix ns; @param withName dns.question.name on durations: anyone who asks can fill the table */
  constructor(start: bigint, withName: boolean, limits: SeriesLimits = SERIES_LIMITS) {
    this.#withName = withName;
    const counters = () => new SeriesTable<Counter>(COUNTERS, start, limits);
    this.queries = counters();
    this.connections = counters();
    this.findings = counters();
    this.wasted = counters();
    this.durations = new SeriesTable<Distribution>(DISTRIBUTIONS, start, limits);
  }

  /** Counts an event that is a lookup, a connection or a finding; others are not counted. */
  add(event: LogEvent): void {
    const { process, connection } = event;
    if (connection !== undefined) this.#connection(process, connection.resolution === undefined);
    else if (event.eventName === 'whodns.finding') this.#finding(event);
    else this.#lookup(event);
  }

  #finding({ process, attributes }: LogEvent): void {
    const workload = part(this.#workloads, process, WORKLOAD_ATTRIBUTES);
    const rule = pick(attributes, ['security_rule.name']);
    const key = `${workload.key}\0${rule['security_rule.name']}`;
    this.findings.series(key, () => ({ ...workload.attributes, ...rule }), workload.owner).value.count++;
  }

  #lookup({ process, attributes }: LogEvent): void {
    const type = listed(attributes['dns.question.type'], UNLISTED_TYPE);
    if (type === undefined && attributes['dns.id'] === undefined) return;
    // A further answer to a lookup that was counted with its first.
    if (attributes['whodns.answers.conflicting'] === true) return;
    const code = listed(attributes['dns.response_code'], UNLISTED_CODE);
    const error = attributes['error.type'];
    const outcome = attributes['whodns.outcome'];
    const transport = attributes['network.transport'];
    const key = `${type}\0${code}\0${error}\0${transport}\0${outcome}`;
    const result = (): Attributes =>
      defined({
        'dns.question.type': type,
        'dns.response_code': code,
        'error.type': error,
        'network.transport': transport,
        'whodns.outcome': outcome,
      });
    const workload = part(this.#workloads, process, WORKLOAD_ATTRIBUTES);
    const labels = () => ({ ...workload.attributes, ...result() });
    this.queries.series(`${workload.key}\0${key}`, labels, workload.owner).value.count++;
    const wasted = attributes['whodns.search.wasted'];
    if (typeof wasted === 'number')
      this.wasted.series(workload.key, () => workload.attributes, workload.owner).value.count += wasted;
    const duration = attributes['dns.lookup.duration'];
    if (typeof duration !== 'number') return;
    const service = part(this.#services, process, SERVICE_ATTRIBUTES);
    const name = this.#withName ? attributes['dns.question.name'] : undefined;
    const { value } = this.durations.series(
      `${service.key}\0${key}\0${name}`,
      () => ({ ...service.attributes, ...result(), ...defined({ 'dns.question.name': name }) }),
      service.owner,
    );
    record(value, duration);
  }

  #connection(process: ProcessIdentity, unresolved: boolean): void {
    const workload = part(this.#workloads, process, WORKLOAD_ATTRIBUTES);
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

/** Container or cgroup, user, executable: series are of no single process. */
export function seriesOwner({ resource, containerId, executableName }: ProcessIdentity): HolderId {
  const workload = containerId ?? String(resource['process.linux.cgroup'] ?? '');
  return {
    cgroupId: BigInt(textHash(workload)),
    uid: Number(resource['process.user.id'] ?? 0),
    pid: textHash(executableName),
  };
}

function record(into: Distribution, seconds: number): void {
  into.count++;
  into.sum += seconds;
  into.min = Math.min(into.min, seconds);
  into.max = Math.max(into.max, seconds);
  const bucket = bucketOf(seconds);
  into.buckets[bucket] = (into.buckets[bucket] ?? 0) + 1;
}

function emptyDistribution(): Distribution {
  const buckets = new Array<number>(DURATION_BOUNDS.length + 1).fill(0);
  return { count: 0, sum: 0, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, buckets };
}

function bucketOf(seconds: number): number {
  const bucket = DURATION_BOUNDS.findIndex((bound) => seconds <= bound);
  return bucket < 0 ? DURATION_BOUNDS.length : bucket;
}

/** Anyone can send any of 65 536 types and 4096 codes: those that IANA does not list share one value. */
const UNLISTED_TYPE = /^TYPE\d/;
const UNLISTED_CODE = /^RCODE\d/;

function listed(value: AttributeValue | undefined, unlisted: RegExp): string | undefined {
  if (value === undefined) return undefined;
  const text = String(value);
  return unlisted.test(text) ? '_OTHER' : text;
}

function defined(attributes: Readonly<Record<string, AttributeValue | undefined>>): Attributes {
  return pick(attributes, Object.keys(attributes));
}

function part(
  cache: LRUCache<ProcessIdentity, Part>,
  process: ProcessIdentity,
  names: readonly string[],
): Part {
  let known = cache.get(process);
  if (known === undefined) {
    const attributes = pick(process.resource, names);
    known = { attributes, key: JSON.stringify(attributes), owner: seriesOwner(process) };
    cache.set(process, known);
  }
  return known;
}

/** The attributes of these names that there are. */
export function pick(
  from: Readonly<Record<string, AttributeValue | undefined>>,
  names: readonly string[],
): Attributes {
  const picked: Record<string, AttributeValue> = {};
  for (const name of names) {
    const value = from[name];
    if (value !== undefined && value !== '') picked[name] = value;
  }
  return picked;
}
