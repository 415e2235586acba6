/** How much memory does the agent hold: idle, loaded, after a million names and 10 000 processes, and does it stay there? */
import { offer, processes, startResponder } from './load.ts';
import { observe } from './observers.ts';
import { pause } from './processes.ts';
import type { Question } from './question.ts';

/** Bytes that were asked for: idle, under load, and at any time. */
const MAX_IDLE_BYTES = 85e6;
const MAX_LOADED_BYTES = 110e6;
const MAX_BYTES = 130e6;
const LOAD = 20_000;
const NAMES = 1_000_000;
const NAMES_PER_SECOND = 20_000;
const PROCESSES = 10_000;
const SHORT_S = 60;
const FULL_S = 600;
const SAMPLE_MS = 1000;
/** Growth from the first to the last quarter of the run that still counts as flat, bytes: the collector's own swing. */
const FLAT_BYTES = 8e6;

interface Point {
  readonly label: string;
  readonly rss: number;
  readonly pss: number;
}

export interface MemoryResult {
  readonly points: readonly Point[];
  readonly seconds: number;
  /** RSS each second of the last part, under load, bytes. */
  readonly run: readonly number[];
  readonly missing: number;
  readonly sent: number;
}

export const memory: Question<MemoryResult> = {
  name: 'memory',
  title: 'Resident memory',
  async measure({ quick, full, say }) {
    const seconds = full ? FULL_S : SHORT_S;
    const server = await startResponder();
    const agent = await observe('whodns');
    const program = agent.program;
    if (program === undefined) throw new Error('no process');
    const points: Point[] = [];
    const note = (label: string) => {
      points.push({ label, ...program.memory() });
      say(`${label}: ${((points.at(-1)?.rss ?? 0) / 1e6).toFixed(0)} MB`);
    };
    await pause(5000);
    note('idle, 5 s after the start');
    const warm = offer({ perSecond: LOAD, seconds: 10 });
    await pause(9000);
    note('at 20 000 lookups/s, after 9 s');
    await warm;
    if (!quick) {
      const names = offer({ perSecond: NAMES_PER_SECOND, seconds: NAMES / NAMES_PER_SECOND, names: 0 });
      await names;
      note('after a million different names');
      await processes(PROCESSES);
      note('after 10 000 processes');
    }
    const run: number[] = [];
    const load = offer({ perSecond: LOAD, seconds });
    for (let second = 0; second < seconds; second++) {
      await pause(SAMPLE_MS);
      run.push(program.memory().rss);
    }
    const { pid, sent } = await load;
    note(`after ${seconds} s more at 20 000 lookups/s`);
    await pause(15_000);
    note('15 s later, idle again');
    const seen = await agent.finish(pid);
    await server.stop();
    return { points, seconds, run, sent, missing: sent - (seen.lookups ?? 0) };
  },
  failures: ({ points, run, seconds }) => {
    const found = points.flatMap(({ label, rss }, i) => {
      const max = [MAX_IDLE_BYTES, MAX_LOADED_BYTES][i] ?? MAX_BYTES;
      return rss > max ? [`${label}: ${(rss / 1e6).toFixed(0)} MB, asked at most ${max / 1e6}`] : [];
    });
    const highest = Math.max(...run);
    if (highest > MAX_BYTES)
      found.push(`highest under load: ${(highest / 1e6).toFixed(0)} MB, asked at most ${MAX_BYTES / 1e6}`);
    const growth = growthOf(run);
    if (seconds >= FULL_S && growth > FLAT_BYTES)
      found.push(`grew by ${(growth / 1e6).toFixed(1)} MB in ${seconds} s`);
    return found;
  },
  page: ({ points, run, seconds, sent, missing }) => [
    'One agent, in this order; `smaps_rollup` of the process, MB (10^6). The ring of 8 MiB and some 50 MB of the file `node` are in RSS; PSS counts pages of that file',
    'shared with other processes in parts.',
    '',
    '| when | RSS | PSS |',
    '|---|---|---|',
    ...points.map(
      (point) => `| ${point.label} | ${(point.rss / 1e6).toFixed(0)} | ${(point.pss / 1e6).toFixed(0)} |`,
    ),
    '',
    `Over the last ${seconds} s under load: lowest ${(Math.min(...run) / 1e6).toFixed(0)}, highest ${(Math.max(...run) / 1e6).toFixed(0)} MB;`,
    `mean of the last quarter minus mean of the first: ${(growthOf(run) / 1e6).toFixed(1)} MB. ${missing} of ${sent} lookups missing.`,
  ],
};

/** Mean of the last quarter minus mean of the first. */
function growthOf(run: readonly number[]): number {
  const quarter = Math.max(1, Math.floor(run.length / 4));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return mean(run.slice(-quarter)) - mean(run.slice(0, quarter));
}
