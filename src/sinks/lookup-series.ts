/** Records aggregated for the metrics whodns.queries, dns.lookup.duration and whodns.connections. */
import { LRUCache } from 'lru-cache';
import { type HolderId, textHash } from '../lib/fairness.ts';
import type { Attributes, AttributeValue, LogEvent, Lookup, Outcome, ProcessIdentity } from '../model.ts';
import { DURATION_BOUNDS, SERVICE_ATTRIBUTES, WORKLOAD_ATTRIBUTES } from '../tables/metrics.ts';
import { PROCESSES_KEPT } from './limits.ts';
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

interface Workload extends Part {
  readonly queries: RememberedSeries<Counter>;
}

interface Service extends Part {
  readonly durations: RememberedSeries<Distribution>;
}

export class LookupSeries {
  readonly queries: SeriesTable<Counter>;
  readonly durations: SeriesTable<Distribution>;
  readonly connections: SeriesTable<Counter>;
  readonly findings: SeriesTable<Counter>;
  readonly wasted: SeriesTable<Counter>;
  readonly #withName: boolean;
  readonly #workloads = new LRUCache<ProcessIdentity, Workload>({ max: PROCESSES_KEPT });
  readonly #services = new LRUCache<ProcessIdentity, Service>({ max: PROCESSES_KEPT });

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

  #workload(process: ProcessIdentity): Workload {
    const known = this.#workloads.get(process);
    if (known !== undefined) return known;
    const queries = new RememberedSeries(this.queries);
    const workload = { ...partOf(process, WORKLOAD_ATTRIBUTES), queries };
    this.#workloads.set(process, workload);
    return workload;
  }

  #service(process: ProcessIdentity): Service {
    const known = this.#services.get(process);
    if (known !== undefined) return known;
    const durations = new RememberedSeries(this.durations);
    const service = { ...partOf(process, SERVICE_ATTRIBUTES), durations };
    this.#services.set(process, service);
    return service;
  }

  #finding({ process, attributes }: LogEvent): void {
    const workload = this.#workload(process);
    const rule = pick(attributes, ['security_rule.name']);
    const key = `${workload.key}\0${rule['security_rule.name']}`;
    this.findings.series(key, () => ({ ...workload.attributes, ...rule }), workload.owner).value.count++;
  }

  #lookup(event: LogEvent): void {
    const { lookup, process } = event;
    // A further answer to a lookup was counted with its first.
    if (lookup === undefined || lookup.conflictsWith !== undefined) return;
    const { message } = lookup.request;
    if (message.questions.length === 0 && message.id < 0) return;
    const result = resultNumber(lookup);
    const workload = this.#workload(process);
    workload.queries.series(
      result,
      () => `${workload.key}\0${resultKey(event)}`,
      () => ({ ...workload.attributes, ...resultAttributes(event) }),
      workload.owner,
    ).value.count++;
    const wasted = lookup.search?.wasted ?? 0;
    if (wasted > 0)
      this.wasted.series(workload.key, () => workload.attributes, workload.owner).value.count += wasted;
    if (lookup.duration === undefined) return;
    record(this.#duration(event, result).value, Number(lookup.duration) / 1e9);
  }

  #duration(event: LogEvent, result: number): Series<Distribution> {
    const service = this.#service(event.process);
    const key = (): string => `${service.key}\0${resultKey(event)}`;
    const attributes = (): Attributes => ({ ...service.attributes, ...resultAttributes(event) });
    if (!this.#withName) return service.durations.series(result, key, attributes, service.owner);
    const name = event.attributes['dns.question.name'];
    const named = (): Attributes => ({ ...attributes(), ...defined({ 'dns.question.name': name }) });
    return this.durations.series(`${key()}\0${name}`, named, service.owner);
  }

  #connection(process: ProcessIdentity, unresolved: boolean): void {
    const workload = this.#workload(process);
    const labels = () => ({ ...workload.attributes, 'whodns.unresolved': unresolved });
    this.connections.series(`${workload.key}\0${unresolved}`, labels, workload.owner).value.count++;
  }
}

/** Transport, outcome, code and type: what `resultAttributes` are made of, as a number. */
function resultNumber({ request, response, outcome }: Lookup): number {
  const type = request.message.questions[0]?.type ?? -1;
  const code = response?.message.rcode ?? -1;
  const rest = OUTCOMES.indexOf(outcome) * 2 + Number(request.raw.transport === 'tcp');
  return ((type + 1) * 8192 + code + 1) * 16 + rest;
}

const OUTCOMES: readonly Outcome[] = [
  'answered',
  'timeout',
  'sent',
  'unknown',
  'connection_refused',
  'host_unreachable',
  'network_unreachable',
];

function resultAttributes({ attributes }: LogEvent): Attributes {
  return defined({
    'dns.question.type': listed(attributes['dns.question.type'], UNLISTED_TYPE),
    'dns.response_code': listed(attributes['dns.response_code'], UNLISTED_CODE),
    'error.type': attributes['error.type'],
    'network.transport': attributes['network.transport'],
    'whodns.outcome': attributes['whodns.outcome'],
  });
}

function resultKey(event: LogEvent): string {
  return JSON.stringify(resultAttributes(event));
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

function partOf(process: ProcessIdentity, names: readonly string[]): Part {
  const attributes = pick(process.resource, names);
  return { attributes, key: JSON.stringify(attributes), owner: seriesOwner(process) };
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
