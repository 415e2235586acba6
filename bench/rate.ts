/**
 * Which rate of lookups is seen without loss, with one processor for the observer? The load, the responder and the sink run on
 * the other one, so the generator's own limit is on the page too.
 */
import { offer, startResponder } from './load.ts';
import { type Observation, type ObserverName, observe } from './observers.ts';
import type { Question } from './question.ts';
import { thousands } from './statistics.ts';

const OBSERVERS: readonly ObserverName[] = ['whodns', 'consumer', 'tcpdump', 'tshark', 'dnscap', 'bpftrace'];
const LADDER = [1_000, 5_000, 10_000, 20_000, 30_000, 40_000, 50_000, 75_000, 100_000, 150_000, 200_000];
const QUICK_LADDER = [5_000, 20_000, 50_000];
const OBSERVER_CPU = '1';
const LOAD_CPU = '0';
const ASKED = 150_000;
/** A generator that did not reach this share of the rate measured something else. */
const REACHED = 0.95;
/** The ladder ends after so many steps with loss. */
const LOSSES = 2;

interface Step {
  readonly observer: ObserverName;
  readonly asked: number;
  /** What the generator reached, a second. */
  readonly offered: number;
  readonly sent: number;
  readonly lookups: number | undefined;
  /** sent - lookups */
  readonly missing: number | undefined;
  /** What the observer says it lost. */
  readonly lost: number | undefined;
  /** whodns: in = out + dropped + filtered + held in every stage. */
  readonly balanced: boolean | undefined;
  /** Of one processor, %. */
  readonly cpu: number;
}

export interface RateResult {
  readonly seconds: number;
  readonly steps: readonly Step[];
}

async function step(name: ObserverName, perSecond: number, seconds: number): Promise<Step> {
  const server = await startResponder([], LOAD_CPU);
  const observer = await observe(name, { cpus: OBSERVER_CPU, sinkCpus: LOAD_CPU });
  const before = observer.program?.cpuNs() ?? 0;
  const started = performance.now();
  const load = await offer({ perSecond, seconds, cpus: LOAD_CPU });
  const cpu = ((observer.program?.cpuNs() ?? 0) - before) / 1e4 / (performance.now() - started);
  const seen: Observation = await observer.finish(load.pid);
  await server.stop();
  return {
    observer: name,
    asked: perSecond,
    offered: load.sent / load.seconds,
    sent: load.sent,
    lookups: seen.lookups,
    missing: seen.lookups === undefined ? undefined : load.sent - seen.lookups,
    lost: seen.lost,
    balanced: seen.stats?.stages.every((stage) => stage.missing === 0),
    cpu,
  };
}

export const rate: Question<RateResult> = {
  name: 'rate',
  title: 'Highest rate without loss on one processor',
  async measure({ quick, say }) {
    const seconds = quick ? 3 : 10;
    const steps: Step[] = [];
    for (const name of OBSERVERS) {
      let losses = 0;
      for (const perSecond of quick ? QUICK_LADDER : LADDER) {
        const done = await step(name, perSecond, seconds);
        steps.push(done);
        say(`${name} ${perSecond}/s: ${done.missing} of ${done.sent} missing, CPU ${done.cpu.toFixed(0)} %`);
        if (done.missing !== 0) losses++;
        if (losses === LOSSES || done.offered < REACHED * perSecond) break;
      }
    }
    return { seconds, steps };
  },
  failures: ({ steps }) => {
    const ours = steps.filter((step) => step.observer === 'whodns');
    const found = ours
      .filter((step) => step.asked <= ASKED && step.missing !== 0)
      .map((step) => `${step.asked}/s: ${step.missing} of ${step.sent} lookups missing`);
    const reached = Math.max(...ours.map((step) => step.offered));
    if (reached < REACHED * ASKED)
      found.push(`no more than ${thousands(reached)}/s were tried, asked are ${thousands(ASKED)}`);
    for (const step of ours)
      if (step.balanced === false) found.push(`${step.asked}/s: the ledger does not balance`);
    return found;
  },
  page: ({ seconds, steps }) => [
    `${seconds} s a step, the observer alone on one processor (\`taskset\`); load, responder and sink share the other. 10 000 different names,`,
    "every lookup answered. *Missing* is sent by the load minus reported by the observer (whodns, bpftrace: for the load's pid); *lost* is what the observer",
    'itself admits. A ladder ends after two steps with loss, or where the generator no longer reaches the rate.',
    '',
    '| observer | asked /s | offered /s | sent | missing | lost, as it says | CPU % | ledger |',
    '|---|---|---|---|---|---|---|---|',
    ...steps.map((step) => {
      const ledger = step.balanced === undefined ? '' : step.balanced ? 'balanced' : 'NOT balanced';
      const number = (value: number | undefined) => (value === undefined ? '?' : thousands(value));
      return `| ${step.observer} | ${thousands(step.asked)} | ${thousands(step.offered)} | ${thousands(step.sent)} | ${number(step.missing)} | ${number(step.lost)} | ${step.cpu.toFixed(0)} | ${ledger} |`;
    }),
  ],
};
