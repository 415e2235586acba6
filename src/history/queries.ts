/** All questions to what is kept, where it is kept: in the thread of a running agent, or in who reads a directory. */

import { allRegexes, compileFilter } from '../filter/compile.ts';
import { explainProblem } from '../filter/explain.ts';
import { parseFilter } from '../filter/parse.ts';
import { compileRegex } from '../filter/regex.ts';
import { usageError } from './errors.ts';
import { oneName, oneProcess } from './one.ts';
import type { Conditions, Expression } from './plan.ts';
import type { Segments } from './read.ts';
import { countLookups, search } from './search.ts';
import { edges, timeline } from './summaries.ts';
import { top } from './top.ts';
import type {
  CountQuery,
  EdgesAnswer,
  EdgesQuery,
  HistoryQueries,
  HistoryStatus,
  NameAnswer,
  Narrowing,
  ProcessAnswer,
  SearchAnswer,
  SearchQuery,
  TimelineAnswer,
  TimelineQuery,
  TopAnswer,
  TopQuery,
  Window,
} from './types.ts';

/** Characters of a regular expression that an error shows. */
const MAX_SHOWN = 60;

export class Queries implements HistoryQueries {
  readonly #segments: Segments;
  readonly #place: string;
  readonly #bytes: () => number;

  /** @param place `:memory:` or a directory @param bytes of all of it */
  constructor(segments: Segments, place: string, bytes: () => number) {
    this.#segments = segments;
    this.#place = place;
    this.#bytes = bytes;
  }

  async search(query: SearchQuery): Promise<SearchAnswer> {
    return search(this.#segments, await conditionsOf(query));
  }

  async top(query: TopQuery): Promise<TopAnswer> {
    return top(this.#segments, await conditionsOf(query));
  }

  async count(query: CountQuery): Promise<number> {
    return countLookups(this.#segments, await conditionsOf(query));
  }

  async timeline(query: TimelineQuery): Promise<TimelineAnswer> {
    return timeline(this.#segments, await conditionsOf(query));
  }

  async edges(query: EdgesQuery): Promise<EdgesAnswer> {
    return edges(this.#segments, await conditionsOf(query));
  }

  process(key: string, window?: Window): Promise<ProcessAnswer | undefined> {
    return oneProcess(this.#segments, key, window);
  }

  name(name: string, window?: Window): Promise<NameAnswer | undefined> {
    return oneName(this.#segments, name, window);
  }

  async status(): Promise<HistoryStatus> {
    const sums = { lookups: 0, connections: 0, findings: 0, processes: 0, names: 0 };
    let oldest: number | undefined;
    let newest: number | undefined;
    for (const segment of this.#segments.all())
      try {
        const { database } = segment;
        for (const table of Object.keys(sums) as (keyof typeof sums)[])
          sums[table] += database.number(`SELECT count(*) FROM ${table}`);
        const row = database.first('SELECT min(first) AS first, max(last) AS last FROM chunks');
        if (typeof row?.['first'] === 'number') oldest = Math.min(oldest ?? row['first'], row['first']);
        if (typeof row?.['last'] === 'number') newest = Math.max(newest ?? row['last'], row['last']);
      } catch (error) {
        if (!this.#segments.failed(segment, error)) throw error;
      }
    return { place: this.#place, bytes: this.#bytes(), ...sums, oldest, newest };
  }
}

/** @throws UserError: the pattern or the filter is none */
async function conditionsOf<Query extends Narrowing>(query: Query): Promise<Query & Conditions> {
  const { pattern, filter } = query;
  return {
    ...query,
    ...(pattern === undefined ? {} : { matcher: await matcherOf(pattern) }),
    ...(filter === undefined ? {} : { expression: await expressionOf(filter) }),
  };
}

async function matcherOf(source: string): Promise<(name: string) => boolean> {
  try {
    return await compileRegex({ kind: 'regex', source, ignoreCase: true });
  } catch (error) {
    const shown = source.length > MAX_SHOWN ? `${source.slice(0, MAX_SHOWN)}...` : source;
    throw usageError(`/${shown}/ is no regular expression (RE2): ${(error as Error).message}`);
  }
}

async function expressionOf(text: string): Promise<Expression> {
  const parsed = parseFilter(text);
  if ('problem' in parsed) throw usageError(explainProblem(text, parsed.problem));
  const filter = parsed.value;
  try {
    return { filter, matchers: await allRegexes(filter), predicate: await compileFilter(filter) };
  } catch (error) {
    throw usageError(`the filter: ${(error as Error).message}`);
  }
}
