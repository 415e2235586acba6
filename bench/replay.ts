/** What does reading a capture file cost? 500 000 lookups, beside tcpdump that prints them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeCapture } from './capture-file.ts';
import { REPOSITORY } from './machine.ts';
import type { Question } from './question.ts';
import { processorSeconds } from './run-to.ts';
import { type Spread, show, spread, thousands } from './statistics.ts';

const LOOKUPS = 500_000;
const AGENT = [process.execPath, join(REPOSITORY, 'dist/main.js'), 'replay'];
const ASKED_S: Readonly<Record<string, number>> = { none: 4, 'otlp-file': 8 };

interface Reader {
  readonly name: string;
  readonly command: (capture: string, directory: string) => readonly string[];
}

const READERS: readonly Reader[] = [
  { name: 'none', command: (capture) => [...AGENT, capture, '--exporter', 'none'] },
  {
    name: 'otlp-file',
    command: (capture, directory) => [
      ...AGENT,
      capture,
      '--exporter',
      `otlp-file:${directory}/records.jsonl`,
    ],
  },
  { name: 'tcpdump', command: (capture) => ['tcpdump', '-nn', '-r', capture] },
];

export interface ReplayResult {
  readonly lookups: number;
  readonly rows: readonly { readonly name: string; readonly seconds: Spread }[];
}

export const replay: Question<ReplayResult> = {
  name: 'replay',
  title: 'Reading a capture file',
  async measure({ quick, say }) {
    const lookups = quick ? LOOKUPS / 10 : LOOKUPS;
    const directory = mkdtempSync(join('/dev/shm', 'whodns-bench-'));
    const capture = join(directory, 'lookups.pcap');
    writeCapture(capture, lookups);
    const found = new Map<string, number[]>();
    try {
      for (let round = 0; round < (quick ? 1 : 3); round++) {
        for (const { name, command } of READERS) {
          const { seconds } = await processorSeconds(command(capture, directory));
          say(`${name}: ${seconds.toFixed(2)} s`);
          found.set(name, [...(found.get(name) ?? []), seconds]);
          rmSync(join(directory, 'records.jsonl'), { force: true });
        }
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
    return { lookups, rows: [...found].map(([name, seconds]) => ({ name, seconds: spread(seconds) })) };
  },
  failures: ({ rows }) =>
    rows
      .filter(({ name, seconds }) => seconds.median > (ASKED_S[name] ?? Number.POSITIVE_INFINITY))
      .map(
        ({ name, seconds }) => `--exporter ${name}: ${show(seconds, 1)} s, asked at most ${ASKED_S[name]}`,
      ),
  page: ({ lookups, rows }) => [
    `Processor time of all threads for a capture of ${thousands(lookups)} lookups with their answers, start included: median (minimum to maximum), s.`,
    'The file is in memory. tcpdump prints each packet.',
    '',
    '| program | s | us a lookup |',
    '|---|---|---|',
    ...rows.map(({ name, seconds }) => {
      const program = name === 'tcpdump' ? 'tcpdump -nn -r FILE' : `whodns replay FILE --exporter ${name}`;
      return `| \`${program}\` | ${show(seconds, 1)} | ${((seconds.median * 1e6) / lookups).toFixed(2)} |`;
    }),
  ],
};
