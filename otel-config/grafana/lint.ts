/** Checks of a dashboard that a reader would otherwise make by hand: names that exist, units, titles, descriptions. */
import { ATTRIBUTES } from '../../src/tables/attributes.ts';
import { METRICS, type MetricName } from '../../src/tables/metrics.ts';
import type { Board, MetricQuery, Panel } from './panels.ts';
import { labelName, prometheusName } from './queries.ts';
import { logql, type RecordQuery } from './records.ts';

/** Labels that the collector or the exposition format adds to every series (collector/prometheus.yaml). */
const ADDED_LABELS = ['host_name', 'k8s_node_name', 'k8s_cluster_name', 'job', 'instance', 'le'];
/** Grafana's ids of what is shown here: `rps` is reads a second there, records are `recps`. */
const UNITS: ReadonlySet<string> = new Set([
  ...['none', 'short', 'percentunit', 's', 'bytes', 'decbytes', 'Bps', 'binBps'],
  ...['reqps', 'recps', 'cps', 'eps', 'ops'],
]);

/** Series name to the labels it can have. */
const SERIES = new Map<string, ReadonlySet<string>>(
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

/** Findings, each naming board and panel; empty when there is nothing to say. */
export function lint(board: Board): string[] {
  const titles = board.panels.map((panel) => panel.title);
  return [
    ...(board.description === '' ? [`${board.uid}: no description`] : []),
    ...titles
      .filter((title, index) => titles.indexOf(title) !== index)
      .map((title) => `${board.uid}: two panels are called ${title}`),
    ...board.variables.flatMap((variable) => lintVariable(board, variable.name, variable.query)),
    ...board.panels.flatMap((panel) => lintPanel(board, panel)),
  ];
}

function lintVariable(board: Board, name: string, query: string | undefined): string[] {
  const used = [...board.panels.flatMap(texts), ...board.variables.map((one) => one.query ?? '')];
  const unused = used.some((text) => text.includes(`$${name}`))
    ? []
    : [`${board.uid}: variable ${name} is unused`];
  if (query === undefined) return unused;
  const label = /, (\w+)\)$/.exec(query)?.[1] ?? '';
  const metric = /label_values\((\w+)/.exec(query)?.[1] ?? '';
  const wrong = SERIES.get(metric)?.has(label)
    ? []
    : [`${board.uid}: variable ${name}: ${metric} has no ${label}`];
  return [...unused, ...wrong];
}

function lintPanel(board: Board, panel: Panel): string[] {
  const where = `${board.uid}: ${panel.title || '(no title)'}`;
  const variables = new Set(board.variables.map((variable) => variable.name));
  return [
    ...(panel.title === '' ? [`${where}: no title`] : []),
    ...(panel.description === '' ? [`${where}: no description`] : []),
    ...(panel.unit === '' ? [`${where}: no unit`] : []),
    ...(UNITS.has(panel.unit) || panel.unit === ''
      ? []
      : [`${where}: unit ${panel.unit} means something else`]),
    ...lintThresholds(panel).map((text) => `${where}: ${text}`),
    ...(panel.queries.length === 0 ? [`${where}: no query`] : []),
    ...(panel.width < 1 || panel.width > 24 ? [`${where}: width ${panel.width}`] : []),
    ...[...unknownVariables(panel, variables), ...lintQueries(panel)].map((text) => `${where}: ${text}`),
  ];
}

function lintThresholds({ kind, unit, thresholds }: Panel): string[] {
  if (thresholds === undefined) return kind === 'stat' ? ['no thresholds'] : [];
  const values = thresholds.map(({ at }) => at);
  const isAscending = values.every((value, index) => index === 0 || value > (values[index - 1] ?? 0));
  const isOutside = unit === 'percentunit' && values.some((value) => value <= 0 || value > 1);
  return [
    ...(isAscending ? [] : ['thresholds are not ascending']),
    ...(isOutside ? ['a threshold is no share'] : []),
  ];
}

/** Every query as a text in which its variables are found. */
function texts(panel: Panel): string[] {
  switch (panel.source) {
    case 'metrics':
      return panel.queries.map(({ expression }) => expression);
    case 'records':
      return panel.queries.map(({ records }) => logql(records));
    case 'traces':
      return panel.queries.map(({ service }) => service);
  }
}

function unknownVariables(panel: Panel, variables: ReadonlySet<string>): string[] {
  return texts(panel)
    .flatMap((text) => [...text.matchAll(/\$(?!__)(\w+)/g)].map((match) => match[1] ?? ''))
    .filter((name) => !variables.has(name))
    .map((name) => `no variable ${name}`);
}

function lintQueries(panel: Panel): string[] {
  switch (panel.source) {
    case 'metrics':
      return panel.queries.flatMap(lintMetricQuery);
    case 'records':
      return panel.queries.flatMap(({ records, legend }) => [
        ...recordFields(records)
          .filter((name) => !RECORD_FIELDS.has(name))
          .map((name) => `no attribute ${name}`),
        ...legendLabels(legend ?? '')
          .filter((label) => !(records.aggregate?.by ?? []).map(labelName).includes(label))
          .map((label) => `no label ${label}`),
      ]);
    case 'traces':
      return [];
  }
}

function recordFields({ filters, aggregate }: RecordQuery): string[] {
  const { by = [], field } = aggregate ?? {};
  return [...filters.map((filter) => filter.field), ...by, ...(field === undefined ? [] : [field])];
}

function lintMetricQuery(query: MetricQuery): string[] {
  const names = [...labelsIn(query.expression), ...legendLabels(query.legend ?? '')];
  const metrics = [...query.expression.matchAll(/(\w+)\{/g)].map((match) => match[1] ?? '');
  const allowed = metrics.map((metric) => SERIES.get(metric));
  return [
    ...(metrics.length === 0 ? ['no metric'] : []),
    ...metrics.filter((metric) => !SERIES.has(metric)).map((metric) => `no metric ${metric}`),
    ...names
      .filter((name) => !allowed.every((labels) => labels?.has(name)))
      .map((name) => `no label ${name}`),
  ];
}

/** Names compared in `{}` or after `|`, and grouped by. */
function labelsIn(expression: string): string[] {
  const code = expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  const compared = [...code.matchAll(/(\w+)\s*(?:=~|!~|!=|>=|<=|=|>|<)\s*(?:""|\$|\d)/g)].map(
    (match) => match[1] ?? '',
  );
  const grouped = [...code.matchAll(/\bby \(([^)]*)\)/g)].flatMap((match) => (match[1] ?? '').split(/,\s*/));
  return [...compared, ...grouped];
}

function legendLabels(legend: string): string[] {
  return [...legend.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1] ?? '');
}
