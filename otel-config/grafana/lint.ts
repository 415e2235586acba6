/** Checks of a dashboard that a reader would otherwise make by hand: names that exist, units, titles, links, the grid. */
import { labelsOf, lintQueries, SERIES, texts } from './lint-queries.ts';
import type { Board, Link, Panel } from './panels.ts';
import { labelName } from './queries.ts';
import { PLACE_NAMES } from './variables.ts';

const COLUMNS = 24;
/** Grafana's ids of what is shown here: `rps` is reads a second there, records are `recps`. */
const UNITS: ReadonlySet<string> = new Set([
  ...['none', 'short', 'percentunit', 's', 'bytes', 'decbytes', 'Bps', 'binBps'],
  ...['reqps', 'recps', 'cps', 'eps', 'ops'],
]);
/** Whoever sees one of these wants to see more of it. */
const WORKLOADS = ['service_name', 'k8s_pod_name', 'process_executable_name', 'process_pid'];

/** Findings, each naming board and panel; empty when there is nothing to say. @param boards all there are, to which links lead */
export function lint(board: Board, boards: readonly Board[]): string[] {
  const titles = board.panels.map((panel) => panel.title);
  return [
    ...(board.description === '' ? [`${board.uid}: no description`] : []),
    ...PLACE_NAMES.filter((name) => !board.variables.some((variable) => variable.name === name)).map(
      (name) => `${board.uid}: no variable ${name}`,
    ),
    ...titles
      .filter((title, index) => titles.indexOf(title) !== index)
      .map((title) => `${board.uid}: two panels are called ${title}`),
    ...board.variables.flatMap((variable) => lintVariable(board, variable.name, variable.query)),
    ...lintGrid(board),
    ...board.panels.flatMap((panel) => lintPanel(board, panel, boards)),
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

/** Panels stand side by side in rows of one height that are full. */
function lintGrid({ uid, panels }: Board): string[] {
  const found: string[] = [];
  let used = 0;
  let height = 0;
  for (const [index, panel] of panels.entries()) {
    const own = panel.height ?? 8;
    if (used === 0) height = own;
    used += panel.width;
    const where = `${uid}: ${panel.title}`;
    if (panel.width < 1 || used > COLUMNS) found.push(`${where}: ${used} of ${COLUMNS} columns`);
    else if (own !== height) found.push(`${where}: ${own} high in a row of ${height}`);
    else if (used < COLUMNS && index === panels.length - 1) found.push(`${where}: its row is not full`);
    if (used >= COLUMNS) used = 0;
  }
  return found;
}

function lintPanel(board: Board, panel: Panel, boards: readonly Board[]): string[] {
  const where = `${board.uid}: ${panel.title || '(no title)'}`;
  const variables = new Set(board.variables.map((variable) => variable.name));
  return [
    ...(panel.title === '' ? ['no title'] : []),
    ...(panel.description === '' ? ['no description'] : []),
    ...(panel.unit === '' ? ['no unit'] : []),
    ...(UNITS.has(panel.unit) || panel.unit === '' ? [] : [`unit ${panel.unit} means something else`]),
    ...lintThresholds(panel),
    ...(panel.queries.length === 0 ? ['no query'] : []),
    ...(panel.source !== 'metrics' && panel.empty === undefined && panel.kind !== 'timeseries'
      ? ['no word in place of what was not found']
      : []),
    ...unknownVariables(panel, variables),
    ...lintQueries(panel),
    ...lintTable(panel),
    ...lintLinks(panel, boards),
  ].map((text) => `${where}: ${text}`);
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

function unknownVariables(panel: Panel, variables: ReadonlySet<string>): string[] {
  return texts(panel)
    .flatMap((text) => [...text.matchAll(/\$(?!__)([A-Za-z_]\w*)/g)].map(([, name = '']) => name))
    .filter((name) => !variables.has(name))
    .map((name) => `no variable ${name}`);
}

function lintTable(panel: Panel): string[] {
  if (panel.kind !== 'table') return [];
  const labels = new Set(labelsOf(panel).flat());
  const columns = Object.keys(panel.columns ?? {});
  return [
    ...(columns.length === 0 ? ['no columns'] : []),
    ...(panel.number === undefined ? ['no heading of the number'] : []),
    ...columns.filter((name) => !labels.has(labelName(name))).map((name) => `no label ${name} for a column`),
  ];
}

function lintLinks(panel: Panel, boards: readonly Board[]): string[] {
  const [labels = []] = labelsOf(panel);
  const links = panel.links ?? [];
  const isAboutOne = panel.kind === 'table' || labels.some((label) => WORKLOADS.includes(label));
  // A quantile's line is one of several of a service: the boards it leads to have them all.
  const hasOne = links.length > 0 || panel.queries.length > 1;
  return [
    ...(isAboutOne && !hasOne && panel.kind !== 'logs' ? ['no link'] : []),
    ...links.flatMap((link) => lintLink(link, new Set(labels), boards)),
  ];
}

function lintLink(
  { title, board, set }: Link,
  labels: ReadonlySet<string>,
  boards: readonly Board[],
): string[] {
  const target = boards.find(({ uid }) => uid === board);
  if (target === undefined) return [`link ${title}: no board ${board}`];
  const variables = new Set(target.variables.map(({ name }) => name));
  return Object.entries(set).flatMap(([name, attribute]) => [
    ...(variables.has(name) ? [] : [`link ${title}: ${board} has no variable ${name}`]),
    ...(labels.has(labelName(attribute)) ? [] : [`link ${title}: no label ${attribute}`]),
  ]);
}
