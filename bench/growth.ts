/** Does a lookup cost more the more names and processes were seen? The same load after each tenfold of both. */
import { offer, processes, startResponder } from './load.ts';
import { observe } from './observers.ts';
import { pause } from './processes.ts';
import type { Question } from './question.ts';
import { thousands } from './statistics.ts';

const RATE = 20_000;
const SECONDS = 5;
const AFTER_MS = 1500;
const NAMES = [10_000, 100_000, 1_000_000];
const PROCESSES = [1_000, 10_000, 100_000];
/** Times the first figure: more is growth. */
const FLAT = 1.3;

interface Point {
  readonly label: string;
  readonly us: number;
  readonly rss: number;
}

export interface GrowthResult {
  readonly points: readonly Point[];
  readonly missing: number;
}

export const growth: Question<GrowthResult> = {
  name: 'growth',
  title: 'After many names and processes',
  async measure({ quick, say }) {
    const server = await startResponder();
    const agent = await observe('whodns');
    const { program } = agent;
    if (program === undefined) throw new Error('no process');
    const points: Point[] = [];
    let last = { pid: 0, sent: 0 };
    const note = async (label: string) => {
      await pause(AFTER_MS);
      const before = program.cpuNs();
      last = await offer({ perSecond: RATE, seconds: SECONDS });
      await pause(AFTER_MS);
      const us = (program.cpuNs() - before) / 1000 / last.sent;
      points.push({ label, us, rss: program.memory().rss });
      say(`${label}: ${us.toFixed(2)} us`);
    };
    // The compilers have done their work.
    await offer({ perSecond: RATE, seconds: quick ? 3 : 15 });
    await note('few names, few processes');
    let names = 0;
    for (const count of NAMES.slice(0, quick ? 2 : 3)) {
      await offer({ perSecond: RATE, seconds: (count - names) / RATE, names: 0 });
      names = count;
      await note(`${thousands(count)} names`);
    }
    let seen = 0;
    for (const count of PROCESSES.slice(0, quick ? 1 : 3)) {
      await processes(count - seen);
      seen = count;
      await note(`${thousands(count)} processes`);
    }
    const { lookups } = await agent.finish(last.pid);
    await server.stop();
    return { points, missing: last.sent - (lookups ?? 0) };
  },
  failures: ({ points }) => {
    const [first] = points;
    if (first === undefined) return ['no figures'];
    return points
      .filter(({ us }) => us > FLAT * first.us)
      .map(({ label, us }) => `${label}: ${us.toFixed(2)} us a lookup, ${first.us.toFixed(2)} before`);
  },
  page: ({ points, missing }) => [
    `One agent. Processor time of all threads a lookup at ${thousands(RATE)}/s of one process and 10 000 names, each time after so many different names, and so many`,
    `processes that lived a moment and asked once. Of the last load ${missing} lookups are missing.`,
    '',
    '| after | us a lookup | RSS, MB |',
    '|---|---|---|',
    ...points.map(({ label, us, rss }) => `| ${label} | ${us.toFixed(2)} | ${(rss / 1e6).toFixed(0)} |`),
  ],
};
