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
  const rate = `rate(${series(metric, matchers)}[$__rate_interval])`;
  return labels.length === 0 ? `sum(${rate})` : `sum by (${labels.map(labelName).join(', ')}) (${rate})`;
}

/** Share of the lookups that match `error`, in [0, 1]; no lookups, no value. */
export function errorShareBy(labels: readonly string[], matchers: string, error: string): string {
  const both = [matchers, error].filter((part) => part !== '').join(', ');
  return `${rateBy(labels, 'whodns.queries', both)} / ${rateBy(labels, 'whodns.queries', matchers)}`;
}

/** Quantile of dns.lookup.duration in seconds. */
export function durationBy(quantile: number, labels: readonly string[], matchers = ''): string {
  const names = [...labels.map(labelName), 'le'].join(', ');
  const buckets = `${prometheusName('dns.lookup.duration')}_bucket{${matchers}}`;
  return `histogram_quantile(${quantile}, sum by (${names}) (rate(${buckets}[$__rate_interval])))`;
}

/** `sum by (labels)` of what is now, or has been counted so far. */
export function sumBy(labels: readonly string[], metric: MetricName, matchers = ''): string {
  const values = series(metric, matchers);
  return labels.length === 0 ? `sum(${values})` : `sum by (${labels.map(labelName).join(', ')}) (${values})`;
}
