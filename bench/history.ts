/**
 * What does keeping a history cost, and how fast is it searched? Lookups as they come from the pipeline, kept on disk by the thread that
 * keeps them, as fast as it takes them; then every kind of question: as the program asks it, and as the whole command, its start included.
 *
 * Alone, without the page: `node bench/history.ts ROWS [DIR]`. 10 million take six minutes and 0.6 GB of disk, below $TMPDIR or in DIR.
 * DIR is left as it is afterwards, and filled up to ROWS if it has fewer.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readHistory } from '../src/history/reader.ts';
import { type Filled, fillHistory, NAMES, PROCESSES } from './history-fill.ts';
import { type Answered, answerAll, startMs } from './history-questions.ts';
import type { Question } from './question.ts';

const ROWS = 10_000_000;
const QUICK_ROWS = 100_000;
/** What was asked for. */
const MAX_MAIN_NS = 3000;
const MIN_RATE = 20_000;
const MAX_BYTES = 70;
const MAX_SEARCH_MS = 200;
/** Times each question. */
const ASKED = 5;

interface HistoryCost {
  readonly rows: number;
  /** undefined: it was there already. */
  readonly kept: Filled | undefined;
  readonly bytes: number;
  readonly lookups: number;
  readonly connections: number;
  /** ms from starting `whodns search` to its end where there is nothing to search in. */
  readonly start: number;
  readonly questions: readonly Answered[];
}

export async function measureHistory(
  rows: number,
  asked: number,
  say: (line: string) => void,
  given?: string,
): Promise<HistoryCost> {
  const directory = given ?? mkdtempSync(join(tmpdir(), 'whodns-bench-history-'));
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    const there = given === undefined ? 0 : await lookupsIn(directory, say);
    const kept = there < rows ? await fillHistory(directory, rows, say, there) : undefined;
    const history = readHistory(directory, say);
    const { bytes, lookups, connections } = await history.status();
    history.close();
    const start = startMs(asked);
    return {
      rows,
      kept,
      bytes,
      lookups,
      connections,
      start,
      questions: await answerAll(directory, asked, say),
    };
  } finally {
    if (given === undefined) rmSync(directory, { recursive: true, force: true });
  }
}

async function lookupsIn(directory: string, say: (line: string) => void): Promise<number> {
  const history = readHistory(directory, say);
  const { lookups } = await history.status();
  history.close();
  return lookups;
}

export const history: Question<HistoryCost> = {
  name: 'history',
  title: 'What does a history cost, and how fast is it searched?',
  measure: ({ quick, say }) =>
    quick ? measureHistory(QUICK_ROWS, 1, say) : measureHistory(ROWS, ASKED, say),
  failures: ({ rows, kept, bytes, lookups, questions }) => [
    ...(kept !== undefined && kept.mainNs > MAX_MAIN_NS
      ? [`${kept.mainNs.toFixed(0)} ns a lookup in the main thread, at most ${MAX_MAIN_NS}`]
      : []),
    ...(kept !== undefined && kept.rate < MIN_RATE
      ? [`${kept.rate.toFixed(0)} lookups/s kept, at least ${MIN_RATE}`]
      : []),
    ...(bytes / lookups > MAX_BYTES
      ? [`${(bytes / lookups).toFixed(1)} bytes a lookup on disk, at most ${MAX_BYTES}`]
      : []),
    ...(lookups < rows ? [`${rows - lookups} lookups were lost`] : []),
    ...questions
      .filter(({ command }) => command > MAX_SEARCH_MS)
      .map(({ name, command }) => `${name}: ${command.toFixed(0)} ms, at most ${MAX_SEARCH_MS}`),
  ],
  page: ({ kept, bytes, lookups, connections, start, questions }) => [
    `${lookups.toLocaleString('en')} lookups of ${NAMES.toLocaleString('en')} names and ${connections.toLocaleString('en')} connections of a week, kept in a directory: by ${PROCESSES.toLocaleString('en')} processes that stay,`,
    'and an eighth of them by jobs of eight lookups. Half of them are for a fiftieth of the names.',
    '',
    '| | |',
    '|---|---|',
    ...(kept === undefined
      ? []
      : [
          `| main thread | ${kept.mainNs.toFixed(0)} ns a lookup |`,
          `| kept | ${kept.rate.toFixed(0)} lookups/s |`,
        ]),
    `| on disk | ${(bytes / lookups).toFixed(1)} bytes a lookup, its share of processes and connections included |`,
    `| \`whodns search\` where there is nothing to search in | ${start.toFixed(0)} ms |`,
    '',
    'The newest 100 rows. *Answer*: the question alone, the files in no cache, then in the page cache; *command*: `whodns search` from its start',
    'to its end, files in the page cache; median of five.',
    '',
    '| `whodns search` | rows | answer, first | answer | command |',
    '|---|---|---|---|---|',
    ...questions.map(
      ({ name, rows, first, again, command }) =>
        `| ${name} | ${rows} | ${first.toFixed(0)} ms | ${again.toFixed(1)} ms | ${command.toFixed(0)} ms |`,
    ),
  ],
};

if (import.meta.main) {
  const [rows = ROWS, directory] = process.argv.slice(2);
  const result = await measureHistory(Number(rows), ASKED, (line) => console.error(line), directory);
  console.log(history.page(result).join('\n'));
  for (const failure of history.failures(result)) console.log(`not met: ${failure}`);
}
