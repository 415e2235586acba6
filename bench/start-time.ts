/** How long from starting the program to the first lookup it reports? A client asks every 2 ms meanwhile. */
import { join } from 'node:path';
import { offer, startResponder } from './load.ts';
import { REPOSITORY } from './machine.ts';
import { start } from './processes.ts';
import type { Question } from './question.ts';
import { type Spread, show, spread } from './statistics.ts';

interface Program {
  readonly name: string;
  readonly command: readonly string[];
  /** What a reported lookup looks like. */
  readonly lookup: RegExp;
}

const ENGINE = process.execPath;
const PROGRAMS: readonly Program[] = [
  {
    name: 'node, empty program',
    command: [ENGINE, '-e', 'console.log("bench.test")'],
    lookup: /bench\.test/,
  },
  {
    name: 'whodns --format json',
    command: [ENGINE, join(REPOSITORY, 'dist/main.js'), 'run', '--exporter', 'console', '--format', 'json'],
    lookup: /bench\.test/,
  },
  {
    name: 'tcpdump',
    command: ['tcpdump', '-i', 'lo', '-nn', '-l', 'udp', 'port', '53'],
    lookup: /bench\.test/,
  },
  {
    name: 'tshark',
    command: ['tshark', '-i', 'lo', '-l', '-n', '-f', 'udp port 53', '-T', 'fields', '-e', 'dns.qry.name'],
    lookup: /bench\.test/,
  },
  {
    name: 'bpftrace',
    command: ['bpftrace', '-e', 'tracepoint:net:net_dev_queue { printf("%s %d\\n", comm, pid); }'],
    lookup: /^load \d+$/m,
  },
];
const LIMIT_MS = 20_000;
const ASKED_MS = 450;

export interface StartResult {
  readonly rows: readonly { readonly name: string; readonly ms: Spread }[];
}

export const startTime: Question<StartResult> = {
  name: 'start',
  title: 'From the start to the first lookup',
  async measure({ quick, say }) {
    const rounds = quick ? 3 : 7;
    const server = await startResponder();
    const load = offer({ perSecond: 500, seconds: rounds * PROGRAMS.length * 2.5 + 10 });
    const found = new Map<string, number[]>();
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      for (const { name, command, lookup } of PROGRAMS) {
        const [program = '', ...words] = command;
        const began = performance.now();
        const running = await start(program, words);
        await running.says(lookup, LIMIT_MS);
        found.set(name, [...(found.get(name) ?? []), performance.now() - began]);
        await running.stop('SIGINT');
      }
    }
    await load;
    await server.stop();
    return { rows: [...found].map(([name, ms]) => ({ name, ms: spread(ms) })) };
  },
  failures: ({ rows }) =>
    rows
      .filter(({ name, ms }) => name.startsWith('whodns') && ms.median > ASKED_MS)
      .map(({ ms }) => `${show(ms)} ms, asked at most ${ASKED_MS}`),
  page: ({ rows }) => [
    'Wall time from `exec` to the first line about a lookup on stdout, ms: median (minimum to maximum), all in turn in each round. The lookup may be up to 2 ms old; ',
    'whodns shows it when its answer is there, and looks at the ring every 5 to 100 ms.',
    '',
    '| program | ms |',
    '|---|---|',
    ...rows.map((row) => `| ${row.name} | ${show(row.ms)} |`),
  ],
};
