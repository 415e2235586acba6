/** How much processor time does one lookup take? */
import { offer, startResponder } from './load.ts';
import { type ObserverName, observe } from './observers.ts';
import { pause } from './processes.ts';
import type { Question } from './question.ts';
import { type Spread, show, spread, thousands } from './statistics.ts';

const OBSERVERS: readonly ObserverName[] = ['whodns', 'consumer', 'tcpdump', 'tshark', 'dnscap', 'bpftrace'];
const RATES = [1_000, 5_000, 20_000, 50_000];
/** us a lookup that were asked for, by rate; this is not the machine of that question, so the peers' figures belong beside them. */
const ASKED: Readonly<Record<number, number>> = { 1000: 9, 20000: 4 };
/** What is still under way when the load ends belongs to it: batches, the last export. */
const AFTER_MS = 1500;

interface Row {
  readonly observer: ObserverName;
  readonly perSecond: number;
  /** us of the observer's processes per query sent, idle time's use included. */
  readonly us: Spread;
  /** Share of lookups not reported, worst round. */
  readonly missing: number;
}

export interface CpuResult {
  readonly seconds: number;
  readonly rows: readonly Row[];
}

export const cpu: Question<CpuResult> = {
  name: 'cpu',
  title: 'Processor time per lookup',
  async measure({ quick, say }) {
    const rounds = quick ? 1 : 3;
    const seconds = quick ? 3 : 5;
    const found = new Map<string, { us: number[]; missing: number[] }>();
    for (let round = 0; round < rounds; round++) {
      for (const perSecond of RATES) {
        for (const name of OBSERVERS) {
          const { us, missing } = await once(name, perSecond, seconds);
          const row = found.get(`${name} ${perSecond}`) ?? { us: [], missing: [] };
          row.us.push(us);
          row.missing.push(missing);
          found.set(`${name} ${perSecond}`, row);
          say(`round ${round + 1} of ${rounds}: ${name} ${perSecond}/s: ${us.toFixed(2)} us`);
        }
      }
    }
    const rows = OBSERVERS.flatMap((observer) =>
      RATES.map((perSecond): Row => {
        const row = found.get(`${observer} ${perSecond}`);
        if (row === undefined) throw new Error(observer);
        return { observer, perSecond, us: spread(row.us), missing: Math.max(...row.missing) };
      }),
    );
    return { seconds, rows };
  },
  failures: ({ rows }) =>
    rows.flatMap(({ observer, perSecond, us }) => {
      const asked = ASKED[perSecond] ?? Number.POSITIVE_INFINITY;
      if (observer !== 'whodns' || us.median <= asked) return [];
      return [`${thousands(perSecond)}/s: ${us.median.toFixed(2)} us a lookup, asked at most ${asked}`];
    }),
  page: ({ seconds, rows }) => [
    `User and system time of the observer's processes (\`clock_getcpuclockid\`) per query, over ${seconds} s of load at the rate and 1.5 s after it, all observers in turn in each`,
    'round: median (minimum to maximum), µs. whodns decodes, pairs with the answer, enriches and sends OTLP over gRPC; tcpdump, tshark and dnscap print names but know no process;',
    'bpftrace prints process names but no DNS name; the consumer only takes our records out of the ring: the floor.',
    '',
    `| observer | ${RATES.map((value) => `${thousands(value)}/s`).join(' | ')} |`,
    `|---|${RATES.map(() => '---').join('|')}|`,
    ...OBSERVERS.map((observer) => {
      const cells = RATES.map((perSecond) => {
        const row = rows.find(
          (candidate) => candidate.observer === observer && candidate.perSecond === perSecond,
        );
        if (row === undefined) return '';
        return show(row.us, 2) + (row.missing > 0 ? `, ${(100 * row.missing).toFixed(1)} % missing` : '');
      });
      return `| ${observer} | ${cells.join(' | ')} |`;
    }),
  ],
};

async function once(
  name: ObserverName,
  perSecond: number,
  seconds: number,
): Promise<{ us: number; missing: number }> {
  const server = await startResponder();
  const observer = await observe(name);
  await offer({ perSecond: 2000, seconds: 1 }); // caches, just-in-time compilation
  await pause(AFTER_MS);
  const before = observer.program?.cpuNs() ?? 0;
  const load = await offer({ perSecond, seconds });
  await pause(AFTER_MS);
  const used = (observer.program?.cpuNs() ?? 0) - before;
  const seen = await observer.finish(load.pid);
  await server.stop();
  // the warm-up's lookups are another process's: tcpdump, tshark, dnscap and the consumer cannot tell them apart
  const reported = seen.lookups === undefined || knowsProcess(name) ? seen.lookups : seen.lookups - 2000;
  return {
    us: used / 1000 / load.sent,
    missing: reported === undefined ? 0 : Math.max(0, (load.sent - reported) / load.sent),
  };
}

function knowsProcess(name: ObserverName): boolean {
  return name === 'whodns' || name === 'bpftrace';
}
