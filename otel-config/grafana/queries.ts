/**
 * Names of OpenTelemetry as the backends spell them, from the agent's own tables: a panel cannot ask for a metric that
 * does not exist.
 */
import { METRICS, type MetricName } from '../../src/tables/metrics.ts';

/** Suffix of the unit in Prometheus' names (OpenTelemetry: Prometheus compatibility, UnderscoreEscapingWithSuffixes). */
const UNIT_SUFFIX: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes' };

/** Series name of a metric: dots to underscores, unit, `_total` for what counts up; histograms without `_bucket`. */
export function prometheusName(metric: MetricName): string {
  const { kind, unit } = METRICS[metric];
  const name = metric.replaceAll('.', '_');
  const suffix = UNIT_SUFFIX[unit] ?? '';
  const full = suffix === '' || name.endsWith(suffix) ? name : name + suffix;
  return kind === 'sum' ? `${full}_total` : full;
}

/** Attribute or label name: every character outside [A-Za-z0-9_] becomes an underscore (Prometheus and Loki alike). */
export function labelName(attribute: string): string {
  return attribute.replaceAll(/[^A-Za-z0-9_]/g, '_');
}

/** `name{matchers}`; `matchers` as written in PromQL, without braces. */
export function series(metric: MetricName, matchers = ''): string {
  return `${prometheusName(metric)}{${matchers}}`;
}

/** Of `whodns.dropped`: what WhodnsLosesRecords counts, records and nothing else. */
export const LOST_RECORDS =
  'whodns_stage=~"kernel|wire|streams|sink:.*",whodns_reason!~"response_.*|process_.*|payload_unreadable|no_owner|receive_state|.*_suppressed"';

/** `sum by (labels) (rate(...))` over the panel's own interval. */
export function rateBy(labels: readonly string[], metric: MetricName, matchers = ''): string {
  return sumOf(labels, `rate(${series(metric, matchers)}[$__rate_interval])`);
}

/** `sum by (labels)` of what is now, or has been counted so far. */
export function sumBy(labels: readonly string[], metric: MetricName, matchers = ''): string {
  return sumOf(labels, series(metric, matchers));
}

/** What a counter has gone up by in the whole time range. */
export function increaseOf(metric: MetricName, matchers = ''): string {
  return orZero(`sum(increase(${series(metric, matchers)}[$__range]))`);
}

function sumOf(labels: readonly string[], expression: string): string {
  return labels.length === 0
    ? `sum(${expression})`
    : `sum by (${labels.map(labelName).join(', ')}) (${expression})`;
}

/** A sum without labels that is 0 where there is no series: nothing counted yet. */
export function orZero(sum: string): string {
  return `${sum} or vector(0)`;
}

/** Those of the series that are above 0, the `k` greatest at each time; where there are none, one of 0 whose `label` says `none`. */
export function greatest(k: number, label: string, expression: string): string {
  return orNone(label, `topk(${k}, ${expression} > 0)`);
}

export function orNone(label: string, expression: string): string {
  return `${expression} or on () label_replace(vector(0), "${labelName(label)}", "none", "", "")`;
}

/** The series with one label more, which has the first of the attributes `from` that they have. */
export function firstOf(label: string, from: readonly string[], expression: string): string {
  return from.reduceRight(
    (inner, name) => `label_replace(${inner}, "${label}", "$1", "${labelName(name)}", "(.+)")`,
    expression,
  );
}

/** Who asks: the pod, or the program where there is none. */
export const WORKLOAD = ['k8s.pod.name', 'process.executable.name'] as const;
/** Where: the namespace, or the host where there is none. */
export const PLACE = ['k8s.namespace.name', 'host.name'] as const;

/** By `place` and `workload` and the other labels. */
export function byWorkload(
  labels: readonly string[],
  expression: (labels: readonly string[]) => string,
): string {
  const all = [...new Set([...PLACE, ...WORKLOAD, ...labels])];
  return firstOf('place', PLACE, firstOf('workload', WORKLOAD, expression(all)));
}

/** Lookups per second by what became of them: the response code, `unknown`, `timeout`. */
export function rateByResult(matchers: string): string {
  const from = ['dns.response_code', 'whodns.outcome', 'error.type'];
  return `sum by (result) (${firstOf('result', from, rateBy(from, 'whodns.queries', matchers))})`;
}

/** Share of the lookups that match `error`, in [0, 1]; no lookups: 0. */
export function errorShare(matchers: string, error: string): string {
  return share(rateBy([], 'whodns.queries', `${matchers}, ${error}`), rateBy([], 'whodns.queries', matchers));
}

/** In [0, 1]; 0 where there is no whole. */
export function share(part: string, whole: string): string {
  return orZero(`(${orZero(part)}) / (${whole} > 0)`);
}

/** The ten services with the greatest share of lookups that match `error`. */
export function errorShareByService(matchers: string, error: string): string {
  const labels = ['service.name', 'k8s.namespace.name'];
  const part = rateBy(labels, 'whodns.queries', `${matchers}, ${error}`);
  return greatest(10, 'service.name', `${part} / ${rateBy(labels, 'whodns.queries', matchers)}`);
}

/** Quantile of dns.lookup.duration in seconds; no value where nothing was answered. */
export function durationBy(quantile: number, labels: readonly string[], matchers: string): string {
  const names = [...labels.map(labelName), 'le'].join(', ');
  const buckets = `${prometheusName('dns.lookup.duration')}_bucket{${matchers}}`;
  return `histogram_quantile(${quantile}, sum by (${names}) (rate(${buckets}[$__rate_interval]))) >= 0`;
}
