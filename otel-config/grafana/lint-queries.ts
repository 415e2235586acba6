/** Checks of a panel's queries: names that exist, bounds, and what is shown where there is nothing. */
import { ATTRIBUTES } from '../../src/tables/attributes.ts';
import { METRICS, type MetricName } from '../../src/tables/metrics.ts';
import type { MetricQuery, Panel } from './panels.ts';
import { labelName, prometheusName } from './queries.ts';
import { logql, type RecordQuery } from './records.ts';
import { ON_HOST, RECORDS_AT_PLACE } from './variables.ts';

/** Labels that the collector or the exposition format adds to every series (collector/prometheus.yaml). */
const ADDED_LABELS = ['host_name', 'k8s_node_name', 'k8s_cluster_name', 'job', 'instance', 'le'];
/** Few values, whatever runs. */
const SMALL_LABELS: ReadonlySet<string> = new Set(['result', 'whodns_outcome', 'whodns_unresolved', 'le']);

/** Series name to the labels it can have. */
export const SERIES = new Map<string, ReadonlySet<string>>(
  (Object.keys(METRICS) as MetricName[]).flatMap((metric) => {
    const labels = new Set([
      ...METRICS[metric].attributes.map((attribute) => labelName(attribute.split(' ')[0] ?? '')),
      ...ADDED_LABELS,
    ]);
    const name = prometheusName(metric);
    const suffixes = METRICS[metric].kind === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    return suffixes.map((suffix) => [name + suffix, labels] as const);
  }),
);

const RECORD_FIELDS: ReadonlySet<string> = new Set(Object.keys(ATTRIBUTES));

/** Every query as a text in which its variables are found. */
export function texts(panel: Panel): string[] {
  switch (panel.source) {
    case 'metrics':
      return panel.queries.map(({ expression }) => expression);
    case 'records':
      return panel.queries.map(({ records }) => logql(records));
    case 'traces':
      return panel.queries.map(({ service }) => service);
  }
}

/** Labels that each query's rows or series have, spelled as Prometheus and Loki do. */
export function labelsOf(panel: Panel): string[][] {
  switch (panel.source) {
    case 'metrics':
      return panel.queries.map(({ expression }) => [...grouped(expression), ...created(expression)]);
    case 'records':
      return panel.queries.map(({ records }) => (records.aggregate?.by ?? []).map(labelName));
    case 'traces':
      return panel.queries.map(() => []);
  }
}

export function lintQueries(panel: Panel): string[] {
  switch (panel.source) {
    case 'metrics':
      return panel.queries.flatMap((query) => [...lintMetricQuery(query), ...lintShown(panel, query)]);
    case 'records':
      return panel.queries.flatMap(({ records, legend }) => [
        ...recordFields(records)
          .filter((name) => !RECORD_FIELDS.has(name))
          .map((name) => `no attribute ${name}`),
        ...legendLabels(legend ?? '')
          .filter((label) => !(records.aggregate?.by ?? []).map(labelName).includes(label))
          .map((label) => `no label ${label}`),
        ...(RECORDS_AT_PLACE.every((filter) => records.filters.includes(filter))
          ? []
          : ['not of the chosen cluster, namespace and host']),
        ...(records.aggregate !== undefined && records.aggregate.top === undefined ? ['no bound'] : []),
      ]);
    case 'traces':
      return [];
  }
}

function recordFields({ filters, aggregate }: RecordQuery): string[] {
  const { by = [], field } = aggregate ?? {};
  return [...filters.map((filter) => filter.field), ...by, ...(field === undefined ? [] : [field])];
}

function lintMetricQuery({ expression, legend = '' }: MetricQuery): string[] {
  const own = new Set(created(expression));
  const names = [
    ...compared(expression),
    ...grouped(expression),
    ...copied(expression),
    ...legendLabels(legend),
  ];
  const metrics = [...expression.matchAll(/(\w+)\{([^}]*)\}/g)];
  const known = metrics.map(([, metric = '']) => SERIES.get(metric));
  return [
    ...(metrics.length === 0 ? ['no metric'] : []),
    ...metrics.filter(([, metric = '']) => !SERIES.has(metric)).map(([, metric]) => `no metric ${metric}`),
    ...names
      .filter((name) => !own.has(name) && !known.every((labels) => labels?.has(name)))
      .map((name) => `no label ${name}`),
    ...(metrics.every(([, , matchers = '']) => matchers.includes(ON_HOST))
      ? []
      : ['not of the chosen cluster and host']),
  ];
}

/** What an operator sees: not two hundred lines, not the names of labels, not nothing. */
function lintShown({ kind, empty }: Panel, { expression, legend }: MetricQuery): string[] {
  const labels = grouped(expression).filter((label) => label !== 'le');
  const isBounded = /^(?:topk|bottomk)\(\d+, /.test(expression) || labels.length === 0;
  const isSmall = [...created(expression), ...labels].some((label) => SMALL_LABELS.has(label));
  const isNever = empty === undefined && !/ or (?:on \(\) label_replace\()?vector\(0\)/.test(expression);
  return [
    ...(isBounded || isSmall ? [] : ['no bound']),
    ...(kind === 'timeseries' && (legend ?? '') === '' ? ['no legend'] : []),
    ...(isNever && kind !== 'table' ? ['nothing in place of what was not counted'] : []),
  ];
}

/** Names compared in `{}`. */
function compared(expression: string): string[] {
  const code = expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return [...code.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*""/g)].map(([, name = '']) => name);
}

function grouped(expression: string): string[] {
  return [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(/,\s*/));
}

const REPLACED = /, "(\w+)", "[^"]*", "(\w*)", "[^"]*"\)/g;

/** Labels made by label_replace. */
function created(expression: string): string[] {
  return [...expression.matchAll(REPLACED)].map(([, name = '']) => name);
}

/** Labels that label_replace reads. */
function copied(expression: string): string[] {
  return [...expression.matchAll(REPLACED)].map(([, , name = '']) => name).filter((name) => name !== '');
}

function legendLabels(legend: string): string[] {
  return [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = '']) => name);
}
