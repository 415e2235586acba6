/** What `whodns top` shows -> lines of a terminal. Everything of others is escaped here. */
import type { StoredLookup, TopRow } from '../../history/types.ts';
import { displayWidth, padEnd, padStart, shortenEnd, shortenMiddle } from '../../lib/display-width.ts';
import { forTerminal } from '../../lib/escape.ts';
import { latencyText } from '../../records/latency.ts';
import type { Size } from './screen.ts';
import { chosenRow, type Row, type Shown, type Sort, type State, TABS, windowText } from './state.ts';

/** What was answered last. */
export interface Data {
  readonly kind: 'top' | 'lookups';
  readonly top: readonly TopRow[];
  readonly lookups: readonly StoredLookup[];
  /** All that is in the window, below the present level. */
  readonly count: number;
  readonly failed: number;
  /** s that they came in. */
  readonly seconds: number;
  /** Messages lost so far; undefined: not known. */
  readonly lost: number | undefined;
  /** Not everything could be looked at in time, or why there is no answer. */
  readonly note: string;
}

export interface Frame {
  readonly lines: readonly string[];
  readonly shown: Shown;
}

interface Column {
  readonly title: string;
  readonly width: number;
  readonly align: 'left' | 'right';
  readonly sort?: Sort;
  readonly style?: string;
  readonly text: (row: number) => string;
  readonly shorten?: (text: string, width: number) => string;
}

const MIN_COLUMNS = 40;
const HEAD = 4;
const FOOT = 1;
const MAX_CELL = 1024;
const KEYS = [
  'q quit',
  '⏎ into',
  'esc back',
  '/ filter',
  's sort',
  'w window',
  'p pause',
  '1-4 tab',
  '↑↓ choose',
  '? help',
];
const TYPING_KEYS = [
  '⏎ filter',
  'esc leave it',
  '^U clear',
  'rcode=NXDOMAIN and process=curl (docs/filters.md)',
];
const BOLD = '1';
const DIM = '2';
const REVERSE = '7';
const RED = '31';
const YELLOW = '33';
const CYAN = '36';

export function render(state: State, data: Data, size: Size): Frame {
  const columns = Math.max(size.columns, MIN_COLUMNS);
  const fits = Math.max(size.rows - HEAD - FOOT, 1);
  const rows = rowsOf(data);
  const chosen = chosenRow(state, rows);
  const at = chosen === undefined ? 0 : rows.indexOf(chosen);
  const first = Math.max(0, Math.min(at - Math.floor(fits / 2), rows.length - fits));
  const table = data.kind === 'top' ? topColumns(state, data, columns) : lookupColumns(data.lookups, columns);
  const { line: titles, places } = tabsLine(state, columns);
  const { line: header, sorts } = headerLine(table, state.sort, columns);
  const body = Array.from({ length: fits }, (_, i) => {
    const row = first + i;
    if (row >= rows.length) return i === 0 ? styled(DIM, cut(emptyText(data), columns)) : '';
    return rowLine(table, row, rows[row] === chosen, columns);
  });
  const lines = [
    headLine(state, data, columns),
    titles,
    filterLine(state, data, columns),
    header,
    ...(state.isHelp ? helpLines(columns, fits) : body),
    footLine(state, columns),
  ];
  return { lines: lines.slice(0, size.rows), shown: { rows, top: HEAD, fits, first, tabs: places, sorts } };
}

function rowsOf({ kind, top, lookups }: Data): readonly Row[] {
  return kind === 'top' ? top : lookups.map(({ id, name }) => ({ key: String(id), label: name }));
}

function emptyText({ note }: Data): string {
  return note === '' ? '  no lookups in this time' : `  ${clean(note)}`;
}

function headLine(state: State, data: Data, columns: number): string {
  const { count, failed, seconds, lost } = data;
  const parts = [
    `last ${windowText(state)}`.replace('last all', 'all that is kept'),
    `${count} lookups`,
    `${rateText(count, seconds)}/s`,
    `${percent(failed, count)} failed`,
    ...(lost === undefined ? [] : [`lost ${lost}`]),
    ...(state.isPaused ? ['PAUSED'] : []),
  ];
  return styled(BOLD, cut(`whodns top  ${parts.join(' · ')}`, columns));
}

function tabsLine(state: State, columns: number): { readonly line: string; readonly places: Shown['tabs'] } {
  const places: { readonly from: number; readonly to: number }[] = [];
  let plain = '';
  let line = '';
  for (const [index, { title }] of TABS.entries()) {
    const text = ` ${index + 1} ${title} `;
    if (plain.length + text.length > columns) break;
    places.push({ from: plain.length, to: plain.length + text.length });
    plain += text;
    line += index === state.tab ? styled(REVERSE, text) : text;
  }
  const way = state.levels.map(({ label }) => clean(label)).join(' › ');
  const room = columns - plain.length - 3;
  if (way !== '' && room > 4) line += styled(CYAN, ` › ${shortenMiddle(way, room)}`);
  return { line, places };
}

function filterLine(state: State, { note }: Data, columns: number): string {
  if (state.typed !== undefined) {
    const problem = state.problem === undefined ? '' : clean(state.problem);
    const text = `/${clean(state.typed)}`;
    const room = Math.max(columns - displayWidth(problem) - 3, Math.floor(columns / 2));
    const typed = displayWidth(text) < room ? text : `/…${endOf(text, room - 4)}`;
    const rest = columns - displayWidth(typed) - 3;
    return `${typed}${styled(REVERSE, ' ')}${problem === '' || rest < 4 ? '' : styled(RED, ` ${shortenEnd(problem, rest)}`)}`;
  }
  if (state.filter !== '') return styled(YELLOW, cut(`filter: ${clean(state.filter)}`, columns));
  return styled(DIM, cut(clean(note), columns));
}

function endOf(text: string, width: number): string {
  let end = text.slice(-width);
  while (displayWidth(end) > width) end = end.slice(1);
  return end.toWellFormed();
}

/** The first column takes what the others leave. */
function topColumns(state: State, { top, count, seconds }: Data, columns: number): readonly Column[] {
  const isProcess = state.levels.length === 0 && TABS[state.tab]?.by === 'process';
  const of = (row: number) => top[row] as TopRow;
  const title = state.levels.length > 0 ? 'NAME' : (TITLES[TABS[state.tab]?.by ?? 'process'] ?? 'NAME');
  const numbers: Column[] = [
    {
      title: 'RATE/s',
      width: 8,
      align: 'right',
      sort: 'count',
      text: (row) => rateText(of(row).count, seconds),
    },
    { title: 'SHARE', width: 7, align: 'right', text: (row) => percent(of(row).count, count) },
    {
      title: 'FAILED',
      width: 7,
      align: 'right',
      sort: 'failed',
      style: RED,
      text: (row) => (of(row).failed === 0 ? '' : percent(of(row).failed, of(row).count)),
    },
    { title: 'P50', width: 8, align: 'right', sort: 'p50', text: (row) => latency(of(row).p50) },
    { title: 'P99', width: 8, align: 'right', sort: 'p99', text: (row) => latency(of(row).p99) },
    { title: 'NAMES', width: 7, align: 'right', sort: 'names', text: (row) => String(of(row).names) },
  ];
  const hasRoom = columns >= 110;
  const pid: Column = { title: 'PID', width: 9, align: 'right', text: (row) => pidText(of(row)) };
  const workload: Column = {
    title: '  CONTAINER/POD',
    width: Math.min(32, Math.floor(columns / 5)),
    align: 'left',
    shorten: shortenMiddle,
    text: (row) => {
      const shown = clean(of(row).process?.workload ?? '');
      return shown === '' ? '' : `  ${shown}`;
    },
  };
  const more = isProcess ? [pid, ...(hasRoom ? [workload] : [])] : [];
  const taken = [...numbers, ...more].reduce((sum, { width }) => sum + width, 0);
  const label: Column = {
    title,
    width: Math.max(columns - taken, 10),
    align: 'left',
    style: isProcess ? CYAN : BOLD,
    shorten: shortenMiddle,
    text: (row) => {
      const { label: text, process } = of(row);
      const place =
        isProcess && !hasRoom && process !== undefined && process.workload !== ''
          ? `@${process.workload}`
          : '';
      return clean(`${text === '' ? '?' : text}${place}`);
    },
  };
  return [label, ...more, ...numbers];
}

const TITLES: Readonly<Record<string, string>> = {
  process: 'PROCESS',
  domain: 'DOMAIN',
  server: 'SERVER',
  failure: 'FAILURE',
};

function lookupColumns(lookups: readonly StoredLookup[], columns: number): readonly Column[] {
  const of = (row: number) => lookups[row] as StoredLookup;
  const isWide = columns >= 110;
  const fixed: Column[] = [
    { title: 'TIME', width: 13, align: 'left', style: DIM, text: (row) => clock(of(row).time) },
    {
      title: 'PROCESS',
      width: isWide ? 22 : 14,
      align: 'left',
      style: CYAN,
      shorten: shortenEnd,
      text: (row) => clean(of(row).process.executable) || '?',
    },
    { title: 'TYPE', width: 7, align: 'left', text: (row) => of(row).type },
    { title: 'RESULT', width: 11, align: 'left', text: (row) => of(row).rcode || of(row).outcome },
    { title: 'LATENCY', width: 9, align: 'right', text: (row) => latency(of(row).duration) },
  ];
  const server: Column = {
    title: '  SERVER',
    width: 28,
    align: 'left',
    style: DIM,
    shorten: shortenMiddle,
    text: (row) => `  ${clean(of(row).server.address)}${of(row).server.transport === 'tcp' ? '/tcp' : ''}`,
  };
  const all = isWide ? [...fixed, server] : fixed;
  const taken = all.reduce((sum, { width }) => sum + width, 0);
  const answers: Column = {
    title: '  ANSWERS',
    width: Math.max(columns - taken, 10),
    align: 'left',
    shorten: shortenEnd,
    text: (row) =>
      `  ${clean(
        of(row)
          .answers.map(({ data }) => data)
          .join(', '),
      )}`,
  };
  return [...fixed, answers, ...(isWide ? [server] : [])];
}

function headerLine(
  table: readonly Column[],
  sort: Sort,
  columns: number,
): { readonly line: string; readonly sorts: Shown['sorts'] } {
  const sorts: { readonly sort: Sort; readonly from: number; readonly to: number }[] = [];
  let line = '';
  let from = 0;
  for (const { title, width, align, sort: by } of table) {
    const text = by === sort ? `${title}↓` : title;
    line += align === 'right' ? padStart(text, width) : padEnd(text, width);
    if (by !== undefined) sorts.push({ sort: by, from, to: from + width });
    from += width;
  }
  return { line: styled(`${BOLD};${DIM}`, cut(line, columns)), sorts };
}

function rowLine(table: readonly Column[], row: number, isChosen: boolean, columns: number): string {
  let line = '';
  let used = 0;
  for (const { width, align, style, text, shorten = shortenEnd } of table) {
    if (used + width > columns) break;
    used += width;
    // One cell stays free between columns.
    const room = align === 'left' ? width - 1 : width;
    const short = shorten(text(row), room);
    const cell = align === 'right' ? padStart(short, width) : padEnd(short, width);
    line += style === undefined || isChosen ? cell : styled(style, cell);
  }
  return isChosen ? styled(REVERSE, padEnd(line, columns)) : line;
}

function footLine(state: State, columns: number): string {
  const keys = [...(state.typed === undefined ? KEYS : TYPING_KEYS)];
  // The help and the way out stay longest.
  while (displayWidth(keys.join('  ')) > columns && keys.length > 2) keys.splice(-2, 1);
  return styled(DIM, cut(keys.join('  '), columns));
}

function helpLines(columns: number, fits: number): string[] {
  const lines = [
    '',
    '  1 2 3 4, tab       processes, domains, servers, failures',
    '  up down j k        choose; page up, page down, home, end, wheel',
    '  enter, right       into it: its names, then the lookups of one',
    '  escape, left       back',
    '  s                  sort by rate, failed, p50, p99, names; or click a title',
    '  /                  filter: failed and domain=example (docs/filters.md); empty takes it away',
    '  w                  the last 10 s, 1 m, 5 m, or all that is kept',
    '  p, space           hold and go on',
    '  q, ctrl-c          leave',
    '',
    '  any key goes back',
  ];
  return Array.from({ length: fits }, (_, i) => cut(lines[i] ?? '', columns));
}

function cut(text: string, columns: number): string {
  return shortenEnd(text, columns);
}

function styled(codes: string, text: string): string {
  return text === '' ? '' : `\x1b[${codes}m${text}\x1b[0m`;
}

function clean(text: string): string {
  return forTerminal(text.length > MAX_CELL ? text.slice(0, MAX_CELL).toWellFormed() : text);
}

function pidText({ process }: TopRow): string {
  return process === undefined || process.pid === 0 ? '' : String(process.pid);
}

/** @param time us; undefined: none */
function latency(time: number | undefined): string {
  return time === undefined ? '' : latencyText(time * 1000);
}

function rateText(count: number, seconds: number): string {
  const rate = count / Math.max(seconds, 1);
  return rate >= 100 ? rate.toFixed(0) : rate >= 10 ? rate.toFixed(1) : rate.toFixed(2);
}

function percent(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(1)}%`;
}

/** Local time of day with milliseconds. @param time Unix us */
function clock(time: number): string {
  const date = new Date(time / 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}
