/** How much later does an answer come when we watch? A client that asks one query after the other, against a polling server. */
import { roundTrips, startResponder } from './load.ts';
import { COMMANDS, type ObserverName, observe } from './observers.ts';
import type { Question } from './question.ts';
import { type Spread, show, spread } from './statistics.ts';

const OBSERVERS: readonly ObserverName[] = [
  'nothing',
  'whodns',
  'consumer',
  'floor',
  'tcpdump',
  'tshark',
  'bpftrace',
];
/** Two ways to ask: 2 000 a second, and as fast as the answers come. */
const GAPS = [
  { label: '2 000/s', gapUs: 500, count: 6_000 },
  { label: 'no pause', gapUs: 0, count: 60_000 },
] as const;
const MAX_ADDED = 0.1;
/** The round trip that the 10 % are of. */
const REFERENCE_US = 4;

interface Row {
  readonly observer: ObserverName;
  readonly gap: string;
  readonly p50: Spread;
  readonly p90: Spread;
  readonly p99: Spread;
}

export interface LatencyResult {
  readonly rows: readonly Row[];
}

export const latency: Question<LatencyResult> = {
  name: 'latency',
  title: 'Latency added to a client',
  async measure({ quick, say }) {
    const rounds = quick ? 2 : 7;
    const found = new Map<string, { p50: number[]; p90: number[]; p99: number[] }>();
    const server = await startResponder(['spin']);
    await roundTrips(50_000, 0);
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      for (const name of OBSERVERS) {
        const observer = await observe(name);
        for (const { label, gapUs, count } of GAPS) {
          const times = await roundTrips(count, gapUs);
          const row = found.get(`${name} ${label}`) ?? { p50: [], p90: [], p99: [] };
          row.p50.push(times.p50);
          row.p90.push(times.p90);
          row.p99.push(times.p99);
          found.set(`${name} ${label}`, row);
        }
        await observer.finish(0);
      }
    }
    await server.stop();
    const rows = OBSERVERS.flatMap((observer) =>
      GAPS.map(({ label }): Row => {
        const row = found.get(`${observer} ${label}`);
        if (row === undefined) throw new Error(observer);
        return { observer, gap: label, p50: spread(row.p50), p90: spread(row.p90), p99: spread(row.p99) };
      }),
    );
    return { rows };
  },
  failures: ({ rows }) => {
    const at = (observer: ObserverName) =>
      rows.find((row) => row.observer === observer && row.gap === GAPS[0].label);
    const [base, ours] = [at('nothing'), at('whodns')];
    if (base === undefined || ours === undefined) return ['no figures'];
    const added = ours.p50.min - base.p50.min;
    const max = MAX_ADDED * Math.max(base.p50.min, REFERENCE_US * 1000);
    return added < max ? [] : [`+${added} ns at the median, asked is under ${Math.round(max)} ns`];
  },
  page: ({ rows }) => [
    'One query after the other against the responder of `test/clients/responder.c`, both ends polling their socket (no sleeping, hence no',
    'wake-up in the round trip): the harshest base. ns; of each round the percentile, of the rounds the median (minimum to maximum), all observers in turn in each',
    'round. With two processors the observer takes turns with the two ends, which is what the p99 of the second half shows.',
    '',
    '| observer | queries | p50 | p90 | p99 | p50 added (of the minima) |',
    '|---|---|---|---|---|---|',
    ...rows.map((row) => {
      const base = rows.find((other) => other.observer === 'nothing' && other.gap === row.gap);
      const added = row.p50.min - (base?.p50.min ?? 0);
      const share = (100 * added) / (base?.p50.min ?? 1);
      const text = row.observer === 'nothing' ? '' : `+${added.toFixed(0)} (${share.toFixed(1)} %)`;
      return `| ${row.observer} | ${row.gap} | ${show(row.p50)} | ${show(row.p90)} | ${show(row.p99)} | ${text} |`;
    }),
    '',
    ...OBSERVERS.filter((name) => name !== 'nothing').map((name) => `- ${name}: \`${COMMANDS[name]}\``),
    '',
    'Client and server are on one host, so the programs run four times a round trip: twice for a packet that is recorded, twice for the same packet',
    'at the other end. `floor` are two programs that return at once, at the same two places.',
  ],
};
