/**
 * Queries of records as data, and their text for each store: LogQL for Loki, LogsQL for VictoriaLogs. Both select by what any store
 * keeps of an OTLP record, so that a Collector needs no transformation of ours.
 */
import { labelName } from './queries.ts';

/** EventName of a record. */
export type RecordKind = 'whodns.query' | 'whodns.connect' | 'whodns.finding' | 'whodns.visibility';

export interface Filter {
  /** Attribute of the record or of its resource. */
  readonly field: string;
  readonly is: '=' | '!=' | '=~' | '>=';
  /** A regular expression matches the whole value; '' is "not there". `$variable` is allowed. */
  readonly value: string;
}

/** One number for each combination of `by`. */
export interface Aggregate {
  readonly of: 'count' | 'sum' | 'avg';
  /** What is summed or averaged; records without it are left out. */
  readonly field?: string;
  readonly by: readonly string[];
  /** Only the largest. */
  readonly top?: number;
}

export interface RecordQuery {
  readonly kind: RecordKind;
  readonly filters: readonly Filter[];
  /** Without it the records themselves, newest first. */
  readonly aggregate?: Aggregate;
}

export const equal = (field: string, value: string): Filter => ({ field, is: '=', value });
export const matches = (field: string, value: string): Filter => ({ field, is: '=~', value });
export const present = (field: string): Filter => ({ field, is: '!=', value: '' });
export const absent = (field: string): Filter => ({ field, is: '=', value: '' });

export function records(kind: RecordKind, ...filters: readonly Filter[]): RecordQuery {
  return { kind, filters };
}

/** The `top` most frequent combinations. */
export function topRecords(top: number, by: readonly string[], query: RecordQuery): RecordQuery {
  return { ...query, aggregate: { of: 'count', by, top } };
}

/** Resource attributes that Loki has as index labels, by default and by ../loki/loki.yaml. */
const INDEXED: ReadonlySet<string> = new Set([
  'service.name',
  'service.namespace',
  'k8s.namespace.name',
  'k8s.cluster.name',
]);

/** Loki keeps no EventName before 3.7: what only records of that kind have. */
const MARKS: Readonly<Record<RecordKind, string>> = {
  'whodns.query': 'network_protocol_name="dns"',
  'whodns.connect': 'whodns_unresolved="true" or whodns_connect_scope!=""',
  'whodns.finding': 'security_rule_name!=""',
  'whodns.visibility': 'whodns_visibility_level!=""',
};

/** @param over what an aggregate counts over: `$__range` (one number), `$__auto` (a time series) */
export function logql({ kind, filters, aggregate }: RecordQuery, over = '$__range'): string {
  const isLabel = ({ field, is }: Filter) => INDEXED.has(field) && is !== '>=';
  // A selector that can match the empty string everywhere is refused.
  const stream = ['service_name=~".+"', ...filters.filter(isLabel).map(labelMatcher)].join(', ');
  const stages = [
    'scope_name="whodns"',
    MARKS[kind],
    ...filters.filter((filter) => !isLabel(filter)).map(labelMatcher),
  ];
  const { field } = aggregate ?? {};
  if (field !== undefined) stages.push(`${labelName(field)}!=""`, `unwrap ${labelName(field)}`);
  const selected = `{${stream}} | ${stages.join(' | ')}`;
  if (aggregate === undefined) return selected;
  const by = `by (${aggregate.by.map(labelName).join(', ')})`;
  const counted = `${LOGQL_OVER[aggregate.of]}(${selected} [${over}])`;
  const value = aggregate.of === 'avg' ? `avg ${by} (${counted} ${by})` : `sum ${by} (${counted})`;
  return aggregate.top === undefined ? value : `topk(${aggregate.top}, ${value})`;
}

const LOGQL_OVER = { count: 'count_over_time', sum: 'sum_over_time', avg: 'avg_over_time' } as const;

function labelMatcher({ field, is, value }: Filter): string {
  return is === '>=' ? `${labelName(field)} >= ${value}` : `${labelName(field)}${is}${JSON.stringify(value)}`;
}

/** The time range, and the width of a step, are parameters of the request. */
export function logsql({ kind, filters, aggregate }: RecordQuery): string {
  const { field } = aggregate ?? {};
  const conditions = [
    '"scope.name":="whodns"',
    `event_name:="${kind}"`,
    ...[...filters, ...(field === undefined ? [] : [present(field)])].map(fieldFilter),
  ];
  const selected = conditions.join(' ');
  if (aggregate === undefined) return selected;
  const by = aggregate.by.map((name) => `"${name}"`).join(', ');
  const value = aggregate.of === 'count' ? 'count()' : `${aggregate.of}("${field}")`;
  const stats = `${selected} | stats by (${by}) ${value} as value`;
  return aggregate.top === undefined ? stats : `${stats} | sort by (value desc) | limit ${aggregate.top}`;
}

function fieldFilter({ field, is, value }: Filter): string {
  const name = `"${field}"`;
  switch (is) {
    case '=':
      return `${name}:=${JSON.stringify(value)}`;
    case '!=':
      return value === '' ? `${name}:*` : `!${name}:=${JSON.stringify(value)}`;
    case '=~':
      return `${name}:~${JSON.stringify(`^(?:${value})$`)}`;
    case '>=':
      return `${name}:>=${value}`;
  }
}
