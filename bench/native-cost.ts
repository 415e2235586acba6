/**
 * What the tracepoint family costs in time on this machine: per send, and per system call that has nothing to do with us.
 * The bare consumer attaches the same programs as the agent; its idle form leaves the processors to the caller.
 */
import { join } from 'node:path';
import { type Call, calls } from './load.ts';
import { BPF_OBJECT, PROGRAMS } from './machine.ts';
import { start } from './processes.ts';
import type { Question } from './question.ts';
import { type Spread, show, spread } from './statistics.ts';

const DNS_PORT = 53;
const OTHER_PORT = 5300;
const CPU = '0';
/** ns more of a DNS send, as asked. */
const ASKED_NS = 600;

interface Case {
  readonly label: string;
  readonly call: Call;
  readonly port: number;
  readonly count: number;
}

const CASES: readonly Case[] = [
  { label: 'send, DNS', call: 'send', port: DNS_PORT, count: 20_000 },
  { label: 'sendto, DNS', call: 'sendto', port: DNS_PORT, count: 20_000 },
  { label: 'send, other UDP', call: 'send', port: OTHER_PORT, count: 20_000 },
  { label: 'sendto, other UDP', call: 'sendto', port: OTHER_PORT, count: 20_000 },
  { label: 'getpgid', call: 'getpgid', port: 0, count: 300_000 },
];

export interface NativeCostResult {
  readonly rows: readonly { readonly label: string; readonly without: Spread; readonly with: Spread }[];
}

export const nativeCost: Question<NativeCostResult> = {
  name: 'native-cost',
  title: 'Time per send and per unrelated system call',
  async measure({ quick, say }) {
    const rounds = quick ? 3 : 9;
    const times = new Map<string, { without: number[]; with: number[] }>();
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      for (const kind of ['without', 'with'] as const) {
        const attached =
          kind === 'with'
            ? await start(join(PROGRAMS, 'consumer'), [BPF_OBJECT, 'tracepoint'], {
                ready: /^ready$/m,
                cpus: '1',
              })
            : undefined;
        for (const { label, call, port, count } of CASES) {
          const cost = await calls(call, port, count, 3, CPU);
          const row = times.get(label) ?? { without: [], with: [] };
          row[kind].push(Math.min(...cost.ns));
          times.set(label, row);
        }
        await attached?.stop();
      }
    }
    const rows = CASES.map(({ label }) => {
      const row = times.get(label);
      if (row === undefined) throw new Error(label);
      return { label, without: spread(row.without), with: spread(row.with) };
    });
    return { rows };
  },
  failures: ({ rows }) =>
    rows
      .map((row) => ({ label: row.label, over: row.with.min - row.without.min }))
      .filter(({ label, over }) => label.endsWith('DNS') && over > ASKED_NS)
      .map(({ label, over }) => `${label}: +${over.toFixed(0)} ns, asked at most ${ASKED_NS}`),
  page: ({ rows }) => [
    'The `tracepoint` family, natively: mean of a loop of calls, best of three loops a round, rounds with and without in turn. Median',
    '(minimum to maximum) of the rounds, ns. The receiving socket is never read.',
    '',
    '| call | unwatched | watched | over the minimum |',
    '|---|---|---|---|',
    ...rows.map((row) => {
      const over = row.with.min - row.without.min;
      return `| ${row.label} | ${show(row.without)} | ${show(row.with)} | ${over >= 0 ? '+' : ''}${over.toFixed(0)} |`;
    }),
  ],
};
