/** What `whodns top` shows, and what keys and clicks make of it. No terminal, no clock: a value and its successor. */
import type { Narrowing, TopBy, TopQuery } from '../../history/types.ts';
import type { Input } from './keys.ts';

export const TABS = [
  { by: 'process', title: 'Processes' },
  { by: 'domain', title: 'Domains' },
  { by: 'server', title: 'Servers' },
  { by: 'failure', title: 'Failures' },
] as const satisfies readonly { readonly by: TopBy; readonly title: string }[];

export type Sort = NonNullable<TopQuery['sort']>;
export const SORTS: readonly Sort[] = ['count', 'failed', 'p50', 'p99', 'names'];
/** s; 0: all that is kept. */
export const WINDOWS = [10, 60, 300, 0] as const;

/** One step down: of what, by which questions are narrowed. */
export interface Level {
  readonly label: string;
  readonly narrowing: Narrowing;
}

/** A row as the state needs it. */
export interface Row {
  readonly key: string;
  readonly label: string;
}

export interface State {
  readonly tab: number;
  /** The way down: none is the tab itself, one its names, two the lookups of one name. */
  readonly levels: readonly Level[];
  /** Key of the row that is chosen; undefined: the first. */
  readonly chosen: string | undefined;
  readonly sort: Sort;
  readonly window: number;
  readonly filter: string;
  /** What is typed after `/`; undefined: nothing is. */
  readonly typed: string | undefined;
  /** Why `typed` is no filter. */
  readonly problem: string | undefined;
  readonly isPaused: boolean;
  readonly isHelp: boolean;
  readonly isLeft: boolean;
}

export const START: State = {
  tab: 0,
  levels: [],
  chosen: undefined,
  sort: 'count',
  window: 1,
  filter: '',
  typed: undefined,
  problem: undefined,
  isPaused: false,
  isHelp: false,
  isLeft: false,
};

/** What is on the screen now. */
export interface Shown {
  readonly rows: readonly Row[];
  /** Line of the first row, and how many fit. */
  readonly top: number;
  readonly fits: number;
  /** Row of `rows` that stands in that line. */
  readonly first: number;
  /** Where the titles of the tabs are, in cells. */
  readonly tabs: readonly { readonly from: number; readonly to: number }[];
  /** Where the titles are that it can be sorted by. */
  readonly sorts: readonly { readonly sort: Sort; readonly from: number; readonly to: number }[];
}

const TABS_LINE = 1;
const MAX_TYPED = 1000;

/** @param check what is wrong with a filter; undefined: it is one */
export function after(
  state: State,
  input: Input,
  shown: Shown,
  check: (filter: string) => string | undefined,
): State {
  if (input.kind === 'key' && input.ctrl && (input.name === 'c' || input.name === 'd'))
    return { ...state, isLeft: true };
  if (state.isHelp) return { ...state, isHelp: false };
  if (state.typed !== undefined)
    return input.kind === 'key' ? typing(state, state.typed, input, check) : state;
  if (input.kind === 'wheel') return moved(state, shown, input.lines);
  return input.kind === 'click' ? clicked(state, input, shown) : pressed(state, input, shown);
}

function pressed(state: State, { name, text }: Extract<Input, { kind: 'key' }>, shown: Shown): State {
  switch (name) {
    case 'q':
      return { ...state, isLeft: true };
    case 'up':
    case 'k':
      return moved(state, shown, -1);
    case 'down':
    case 'j':
      return moved(state, shown, 1);
    case 'pageup':
      return moved(state, shown, -shown.fits);
    case 'pagedown':
      return moved(state, shown, shown.fits);
    case 'home':
    case 'g':
      return moved(state, shown, Number.NEGATIVE_INFINITY);
    case 'end':
      return moved(state, shown, Number.POSITIVE_INFINITY);
    case 'return':
    case 'enter':
    case 'right':
      return down(state, shown);
    case 'escape':
    case 'backspace':
    case 'left':
      return back(state);
    case 'tab':
      return tab(state, (state.tab + 1) % TABS.length);
    case 's':
      return { ...state, sort: SORTS[(SORTS.indexOf(state.sort) + 1) % SORTS.length] ?? 'count' };
    case 'w':
      return { ...state, window: (state.window + 1) % WINDOWS.length };
    case 'p':
    case 'space':
      return { ...state, isPaused: !state.isPaused };
    case 'h':
      return { ...state, isHelp: true };
    default:
  }
  if (text === '/') return { ...state, typed: state.filter, problem: undefined };
  if (text === '?') return { ...state, isHelp: true };
  const number = /^[1-4]$/.test(text) ? Number(text) - 1 : undefined;
  return number === undefined ? state : tab(state, number);
}

function typing(
  state: State,
  typed: string,
  { name, text, ctrl }: Extract<Input, { kind: 'key' }>,
  check: (filter: string) => string | undefined,
): State {
  const changed = (next: string): State => ({
    ...state,
    typed: next.slice(0, MAX_TYPED),
    problem: undefined,
  });
  if (name === 'escape') return { ...state, typed: undefined, problem: undefined };
  if (name === 'return' || name === 'enter') {
    const filter = typed.trim();
    const problem = filter === '' ? undefined : check(filter);
    return problem === undefined ? { ...state, filter, typed: undefined, problem } : { ...state, problem };
  }
  if (name === 'backspace') return changed([...typed].slice(0, -1).join(''));
  if (ctrl && name === 'u') return changed('');
  return text === '' || ctrl ? state : changed(typed + text);
}

function clicked(state: State, { x, y }: Extract<Input, { kind: 'click' }>, shown: Shown): State {
  if (y === TABS_LINE) {
    const found = shown.tabs.findIndex(({ from, to }) => x >= from && x < to);
    return found < 0 ? state : tab(state, found);
  }
  if (y === shown.top - 1) {
    const title = shown.sorts.find(({ from, to }) => x >= from && x < to);
    return title === undefined ? state : { ...state, sort: title.sort };
  }
  const row =
    y < shown.top || y >= shown.top + shown.fits ? undefined : shown.rows[shown.first + y - shown.top];
  if (row === undefined) return state;
  return row.key === chosenRow(state, shown.rows)?.key ? down(state, shown) : { ...state, chosen: row.key };
}

/** The row of `chosen`, else the first. */
export function chosenRow(state: State, rows: readonly Row[]): Row | undefined {
  return rows.find(({ key }) => key === state.chosen) ?? rows[0];
}

function moved(state: State, { rows }: Shown, by: number): State {
  if (rows.length === 0) return state;
  const now = Math.max(
    rows.findIndex(({ key }) => key === state.chosen),
    0,
  );
  const next = Math.min(Math.max(now + by, 0), rows.length - 1);
  return { ...state, chosen: rows[next]?.key };
}

function tab(state: State, index: number): State {
  return { ...state, tab: index, levels: [], chosen: undefined };
}

/** Back where the row that was gone into is. */
function back(state: State): State {
  const left = state.levels.at(-1);
  return left === undefined ? state : { ...state, levels: state.levels.slice(0, -1), chosen: undefined };
}

function down(state: State, { rows }: Shown): State {
  const row = chosenRow(state, rows);
  if (row === undefined || state.levels.length >= 2) return state;
  const narrowing =
    state.levels.length === 1 ? { name: row.key } : narrowingOf(TABS[state.tab]?.by ?? 'process', row.key);
  return { ...state, levels: [...state.levels, { label: row.label, narrowing }], chosen: undefined };
}

function narrowingOf(by: TopBy, key: string): Narrowing {
  switch (by) {
    case 'process':
      return { processKey: key };
    case 'domain':
      return { suffix: key };
    case 'server':
      return { server: key };
    case 'failure':
      return { rcode: key };
    default:
      return { name: key };
  }
}

/** What is to be asked. @param now Unix us */
export function questionOf(state: State, now: number): Narrowing {
  const seconds = WINDOWS[state.window] ?? 0;
  return {
    ...(seconds === 0 ? {} : { since: now - seconds * 1_000_000 }),
    ...(state.filter === '' ? {} : { filter: state.filter }),
    ...Object.assign({}, ...state.levels.map(({ narrowing }) => narrowing)),
  };
}

export function topBy(state: State): TopBy {
  return state.levels.length === 0 ? (TABS[state.tab]?.by ?? 'process') : 'name';
}

export function windowText(state: State): string {
  const seconds = WINDOWS[state.window] ?? 0;
  return seconds === 0 ? 'all' : seconds < 60 ? `${seconds}s` : `${seconds / 60}m`;
}
