/** `whodns search`: asks a directory, a running agent or a file, and prints what it finds. */
import type { Config, Origins } from '../config/config.ts';
import { readHistory } from '../history/reader.ts';
import type { HistoryQueries, SearchAnswer, SearchQuery, StoredRow } from '../history/types.ts';
import { EXIT } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { DEFAULT_HISTORY, MEMORY_HISTORY } from '../tables/options-history.ts';
import { formatter } from './formats.ts';
import { queryOf } from './what.ts';

export interface SearchOptions {
  readonly what: string | undefined;
  readonly config: Config;
  readonly origins: Origins;
  readonly version: string;
  readonly log: Log;
  /** Resolves when what was written is out; false: no one reads any more. */
  readonly write: (text: string) => Promise<boolean>;
  /** Interrupted. */
  readonly stopped: Promise<void>;
}

/** ms between two questions of `--follow`. */
const FOLLOW_MS = 500;

/** @returns the exit code @throws UserError */
export async function searchHistory(options: SearchOptions): Promise<number> {
  const { config, log, write } = options;
  const query = queryOf(options.what, config, Date.now());
  const { queries, close } = await openQueries(options);
  try {
    const format = formatter(config.searchFormat);
    const answer = await queries.search(query);
    const rows = [...answer.rows].sort(byTime);
    const isRead = await write(format(answer, rows));
    if (answer.more && !config.follow)
      log.info(`only the newest ${rows.length}: there are more (--limit, --until)`);
    if (answer.searchedTo !== undefined)
      log.warn(`searched back to ${new Date(answer.searchedTo / 1000).toISOString()} only: it took too long`);
    let isFound = rows.length > 0;
    if (config.follow && isRead)
      isFound =
        (await follow(options, queries, query, answer.last, (more, found) => {
          return write(format(more, found));
        })) || isFound;
    return isFound || config.follow ? EXIT.ok : EXIT.nothing;
  } finally {
    await close();
  }
}

/** Until it is interrupted or no one reads. @returns whether anything came */
async function follow(
  { stopped }: SearchOptions,
  queries: HistoryQueries,
  { until, ...query }: SearchQuery,
  from: number,
  show: (answer: SearchAnswer, rows: readonly StoredRow[]) => Promise<boolean>,
): Promise<boolean> {
  let after = from;
  let isFound = false;
  let isStopped = false;
  void stopped.then(() => {
    isStopped = true;
  });
  while (!isStopped && (until === undefined || Date.now() * 1000 < until)) {
    const answer = await queries.search({ ...query, after, ...(until === undefined ? {} : { until }) });
    after = Math.max(after, answer.last);
    if (answer.rows.length > 0) {
      isFound = true;
      if (!(await show(answer, answer.rows))) return isFound;
    }
    if (!answer.more) await Promise.race([stopped, pause(FOLLOW_MS)]);
  }
  return isFound;
}

interface Opened {
  readonly queries: HistoryQueries;
  readonly close: () => Promise<void>;
}

async function openQueries(options: SearchOptions): Promise<Opened> {
  const { config, origins, log } = options;
  if (config.searchIn !== undefined) return (await import('./file.ts')).openFile(options, config.searchIn);
  const isAgent = config.control !== undefined && origins['history'] === 'default';
  if (config.control !== undefined && (isAgent || config.history === MEMORY_HISTORY)) {
    const { remoteHistory } = await import('../control/history.ts');
    return { queries: remoteHistory(config.control), close: async () => {} };
  }
  const history = readHistory(config.history ?? DEFAULT_HISTORY, (message) => log.warn(message));
  return { queries: history, close: async () => history.close() };
}

function byTime(a: StoredRow, b: StoredRow): number {
  return a.time - b.time || a.id - b.id;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
