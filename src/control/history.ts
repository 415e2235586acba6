/** The history of a running agent by its control socket: routes here, and the same questions on the other side. */
import type {
  CountQuery,
  EdgesAnswer,
  EdgesQuery,
  HistoryQueries,
  HistoryStatus,
  NameAnswer,
  ProcessAnswer,
  SearchAnswer,
  SearchQuery,
  TimelineAnswer,
  TimelineQuery,
  TopAnswer,
  TopQuery,
  Window,
} from '../history/types.ts';
import { EXIT, UserError } from '../lib/errors.ts';
import { ControlError, type Routes } from './answers.ts';
import { ask } from './client.ts';

const METHODS = ['search', 'top', 'count', 'timeline', 'edges', 'process', 'name', 'status'] as const;

/**
 * `/history/METHOD?q=` with the arguments as JSON.
 * @param history opens it when it is first asked; rejects with a UserError where there is none
 */
export function historyRoutes(history: () => Promise<HistoryQueries>): Routes {
  return Object.fromEntries(
    METHODS.map((method) => [
      `/history/${method}`,
      async (query: URLSearchParams) => {
        const given = argumentsOf(query.get('q'));
        const queries = await history();
        try {
          const call = queries[method] as (...all: readonly unknown[]) => Promise<unknown>;
          return (await call.apply(queries, given as unknown[])) ?? null;
        } catch (error) {
          if (error instanceof UserError && error.exitCode === EXIT.usage)
            throw new ControlError('bad-request', error.message);
          throw error;
        }
      },
    ]),
  );
}

function argumentsOf(text: string | null): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    if (Array.isArray(value)) return value;
  } catch {
    // said below
  }
  throw new ControlError('bad-request', 'q is no list of arguments as JSON');
}

/** What an agent keeps, asked by its socket. */
export class RemoteHistory implements HistoryQueries {
  readonly #socket: string;

  /** @param socket path of the agent's control socket */
  constructor(socket: string) {
    this.#socket = socket;
  }

  search(query: SearchQuery): Promise<SearchAnswer> {
    return this.#ask('search', query) as Promise<SearchAnswer>;
  }

  top(query: TopQuery): Promise<TopAnswer> {
    return this.#ask('top', query) as Promise<TopAnswer>;
  }

  count(query: CountQuery): Promise<number> {
    return this.#ask('count', query) as Promise<number>;
  }

  timeline(query: TimelineQuery): Promise<TimelineAnswer> {
    return this.#ask('timeline', query) as Promise<TimelineAnswer>;
  }

  edges(query: EdgesQuery): Promise<EdgesAnswer> {
    return this.#ask('edges', query) as Promise<EdgesAnswer>;
  }

  async process(key: string, window?: Window): Promise<ProcessAnswer | undefined> {
    return ((await this.#ask('process', key, window)) ?? undefined) as ProcessAnswer | undefined;
  }

  async name(name: string, window?: Window): Promise<NameAnswer | undefined> {
    return ((await this.#ask('name', name, window)) ?? undefined) as NameAnswer | undefined;
  }

  status(): Promise<HistoryStatus> {
    return this.#ask('status') as Promise<HistoryStatus>;
  }

  #ask(method: (typeof METHODS)[number], ...given: readonly unknown[]): Promise<unknown> {
    return ask(this.#socket, `/history/${method}`, { q: JSON.stringify(given) });
  }
}
