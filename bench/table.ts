/** What does the live table cost? One agent that writes its table to a file in memory, beside tcpdump that writes its lines. */
import { join } from 'node:path';
import { offer, startResponder } from './load.ts';
import { REPOSITORY } from './machine.ts';
import { pause } from './processes.ts';
import type { Question } from './question.ts';
import { runTo } from './run-to.ts';
import { type Spread, show, spread } from './statistics.ts';

const RATE = 5000;
const SECONDS = 10;
const ASKED_S = 1;
const AGENT = [
  ...[process.execPath, join(REPOSITORY, 'dist/main.js'), 'run'],
  ...['--exporter', 'console', '--cgroup-rate', '0'],
];
const CAPTURING = /^whodns: capturing with /m;
const PROGRAMS: readonly {
  readonly name: string;
  readonly command: readonly string[];
  readonly ready: RegExp;
}[] = [
  { name: 'whodns run', command: AGENT, ready: CAPTURING },
  { name: 'whodns run --format json', command: [...AGENT, '--format', 'json'], ready: CAPTURING },
  {
    name: 'tcpdump',
    command: ['tcpdump', '-i', 'lo', '-nn', '-l', 'udp', 'port', '53'],
    ready: /listening on/,
  },
];

export interface TableResult {
  readonly rows: readonly { readonly name: string; readonly seconds: Spread; readonly bytes: number }[];
}

export const table: Question<TableResult> = {
  name: 'table',
  title: 'The table on the console',
  async measure({ quick, say }) {
    const found = new Map<string, { seconds: number[]; bytes: number }>();
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      for (const { name, command, ready } of PROGRAMS) {
        const server = await startResponder();
        const observer = await runTo(command, ready);
        await offer({ perSecond: 2000, seconds: 1 });
        const before = observer.program.cpuNs();
        await offer({ perSecond: RATE, seconds: SECONDS });
        await pause(500);
        const used = (observer.program.cpuNs() - before) / 1e9;
        const bytes = await observer.finish();
        await server.stop();
        say(`${name}: ${used.toFixed(2)} s`);
        found.set(name, { seconds: [...(found.get(name)?.seconds ?? []), used], bytes });
      }
    }
    return {
      rows: [...found].map(([name, { seconds, bytes }]) => ({ name, seconds: spread(seconds), bytes })),
    };
  },
  failures: ({ rows }) =>
    rows
      .filter(({ name, seconds }) => name === 'whodns run' && seconds.median > ASKED_S)
      .map(({ seconds }) => `${show(seconds, 2)} s, asked at most ${ASKED_S}`),
  page: ({ rows }) => [
    `Processor time of all threads for ${RATE} lookups/s in ${SECONDS} s, the output into a file in memory: median (minimum to maximum), s.`,
    '',
    '| program | s | MB written |',
    '|---|---|---|',
    ...rows.map(
      ({ name, seconds, bytes }) => `| ${name} | ${show(seconds, 2)} | ${(bytes / 1e6).toFixed(1)} |`,
    ),
  ],
};
