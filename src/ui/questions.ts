/** What the page asks -> what the history is asked. Every text is anyone's: bounded and checked here. */
import { ControlError, type Routes } from '../control/answers.ts';
import { parseFilter } from '../filter/parse.ts';
import type {
  HistoryQueries,
  Narrowing,
  SearchQuery,
  StoredProcess,
  StoredRow,
  TopBy,
  TopQuery,
  Window,
} from '../history/types.ts';

/** Rows of one answer: turning them to JSON holds the event loop up for some milliseconds. */
const MAX_ROWS = 1000;
const MAX_BUCKETS = 500;
const MAX_EDGES = 200;
const MAX_TEXT = 4096;

const KINDS = ['lookup', 'connection', 'finding'] as const satisfies readonly StoredRow['kind'][];
const BY = ['process', 'name', 'domain', 'server', 'failure', 'type'] as const satisfies readonly TopBy[];
const SORTS = ['count', 'failed', 'p50', 'p99', 'names'] as const satisfies readonly TopQuery['sort'][];

/** A filter that is none: where it is wrong. */
export class FilterError extends ControlError {
  readonly at: number;
  readonly end: number;

  constructor(message: string, at: number, end: number) {
    super('bad-request', message);
    this.at = at;
    this.end = end;
  }
}

export function historyRoutes(history: HistoryQueries): Routes {
  return {
    '/api/search': async (query) => {
      const answer = await history.search(searchOf(query));
      return { ...answer, rows: answer.rows.map(slim), connected: undefined };
    },
    '/api/top': async (query) => {
      const answer = await history.top({
        ...narrowingOf(query),
        by: word(query, 'by', BY) ?? 'process',
        sort: word(query, 'sort', SORTS) ?? 'count',
        limit: number(query, 'limit', MAX_ROWS) ?? 20,
      });
      const rows = answer.rows.map((row) =>
        row.process === undefined ? row : { ...row, process: slimProcess(row.process) },
      );
      return { ...answer, rows };
    },
    '/api/timeline': (query) =>
      history.timeline({ ...narrowingOf(query), buckets: number(query, 'buckets', MAX_BUCKETS) ?? 120 }),
    '/api/edges': (query) =>
      history.edges({ ...narrowingOf(query), limit: number(query, 'limit', MAX_EDGES) ?? 50 }),
    '/api/process': async (query) => {
      const found = await history.process(text(query, 'key') ?? '', windowOf(query));
      if (found === undefined) throw new ControlError('not-found', 'that process is not in the history');
      return found;
    },
    '/api/name': async (query) => {
      const found = await history.name(text(query, 'name') ?? '', windowOf(query));
      if (found === undefined) throw new ControlError('not-found', 'that name is not in the history');
      return found;
    },
  };
}

/** @throws FilterError, ControlError */
export function narrowingOf(query: URLSearchParams): Narrowing {
  const filter = text(query, 'filter')?.trim();
  if (filter !== undefined && filter !== '') {
    const parsed = parseFilter(filter);
    if ('problem' in parsed)
      throw new FilterError(parsed.problem.message, parsed.problem.at, parsed.problem.end);
  }
  const processKey = text(query, 'process');
  return {
    ...windowOf(query),
    ...(filter === undefined || filter === '' ? {} : { filter }),
    ...(processKey === undefined ? {} : { processKey }),
    ...(text(query, 'exactly') === undefined ? {} : { name: text(query, 'exactly') as string }),
  };
}

function searchOf(query: URLSearchParams): SearchQuery {
  const kind = word(query, 'kinds', KINDS);
  const before = number(query, 'before', Number.MAX_SAFE_INTEGER);
  return {
    ...narrowingOf(query),
    limit: number(query, 'limit', MAX_ROWS) ?? 100,
    ...(kind === undefined ? {} : { kinds: [kind] }),
    ...(before === undefined ? {} : { before }),
  };
}

function windowOf(query: URLSearchParams): Window {
  const since = number(query, 'since', Number.MAX_SAFE_INTEGER);
  const until = number(query, 'until', Number.MAX_SAFE_INTEGER);
  return { ...(since === undefined ? {} : { since }), ...(until === undefined ? {} : { until }) };
}

/** @throws ControlError: it is no whole number. Larger ones are `most`. */
function number(query: URLSearchParams, name: string, most: number): number | undefined {
  const given = query.get(name);
  if (given === null || given === '') return undefined;
  const value = Number(given);
  if (!/^\d{1,17}(?:\.\d{1,9})?$/.test(given))
    throw new ControlError('bad-request', `${name} is not a number`);
  return Math.min(Math.floor(value), most);
}

function text(query: URLSearchParams, name: string): string | undefined {
  const given = query.get(name) ?? undefined;
  if (given !== undefined && given.length > MAX_TEXT)
    throw new ControlError('bad-request', `${name} is too long`);
  return given;
}

function word<Word extends string>(
  query: URLSearchParams,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const given = query.get(name);
  if (given === null) return undefined;
  const found = words.find((each) => each === given);
  if (found === undefined) throw new ControlError('bad-request', `${name} is none of ${words.join(', ')}`);
  return found;
}

/** A row of a table shows some of its process; the panel asks for all of it. */
export function slim<Row extends StoredRow>(row: Row): Row {
  return { ...row, process: slimProcess(row.process) };
}

function slimProcess(process: StoredProcess): StoredProcess {
  return { ...process, resource: {} };
}
