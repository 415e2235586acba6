/** What do the detections cost a lookup? In this process, on lookups made before, by the processor time of the thread. */
import { agentIdentity } from '../src/detect/blind.ts';
import { Detections } from '../src/detect/detections.ts';
import type { HostFacts } from '../src/detect/detector.ts';
import { loadDetectors } from '../src/detect/load.ts';
import { NO_CACHE } from '../src/detect/no-cache.ts';
import { SearchFolding } from '../src/detect/search.ts';
import { parseResolvConf } from '../src/enrich/process/resolver-config.ts';
import { Ledger } from '../src/ledger.ts';
import { createLog } from '../src/lib/log.ts';
import type { LookupView } from '../src/lookup/view.ts';
import type { ProcessIdentity } from '../src/model.ts';
import { RULES, type RuleName } from '../src/tables/detections.ts';
import { RCODES } from '../src/tables/rcodes.ts';
import { letters, random } from '../test/unit/detect-events.ts';
import { viewOf } from '../test/unit/message-bytes.ts';
import { identity, lookup, type Spec, TIME } from '../test/unit/sink-events.ts';
import type { Question } from './question.ts';
import { type Spread, show, spread } from './statistics.ts';

const ALL = Object.keys(RULES) as RuleName[];
const LOOKUPS = 50_000;
/** Made and then looked at in turns, so that they are in the processor's cache as they are in the agent, where they were just made. */
const CHUNK = 500;
/** The bound. */
const MAX_NS = 1500;
const HOST = parseResolvConf('nameserver 192.0.2.53\n');
const POD = parseResolvConf(
  'search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 192.0.2.53\noptions ndots:5\n',
);
const HIDDEN: HostFacts = {
  nameServers: (_event, decide) => decide(HOST.servers),
  servesNames: (_event, decide) => decide(false),
  executable: (_event, decide) => decide(undefined),
};

interface Traffic {
  readonly name: string;
  readonly spec: (i: number, next: () => number) => Spec;
}

const PROCESSES: readonly ProcessIdentity[] = Array.from({ length: 200 }, (_, i) =>
  identity({ pid: i + 1, resource: { 'process.executable.path': `/usr/bin/p${i % 20}` } }),
);
const SITES: readonly string[] = Array.from({ length: 500 }, (_, i) => `www${i % 5}.site-${i}.example.co.uk`);
const SUFFIXES = [...POD.search.map((domain) => `.${domain}`), ''];

const TRAFFIC: readonly Traffic[] = [
  {
    name: '500 names, 200 processes',
    spec: (i) => ({
      name: SITES[i % SITES.length] ?? '',
      process: PROCESSES[i % PROCESSES.length] ?? identity(),
    }),
  },
  { name: 'every name another domain', spec: (_, next) => ({ name: `www.${letters(12, next)}.com` }) },
  {
    name: 'random domains, NXDOMAIN',
    spec: (_, next) => ({ name: `${letters(14, next)}.net`, rcode: RCODES.NXDOMAIN, answers: [] }),
  },
  {
    name: 'a tunnel',
    spec: (_, next) => ({ name: `${letters(50, next)}.${letters(50, next)}.t.example.org` }),
  },
  {
    name: 'fan-out of a pod (ndots:5)',
    spec: (i) => ({
      name: `api-${(i >> 3) % 50}.example.com${SUFFIXES[(i >> 1) % 4]}`,
      ...((i >> 1) % 4 === 3 ? {} : { rcode: RCODES.NXDOMAIN, answers: [] }),
    }),
  },
];

function* chunks({ spec }: Traffic): Generator<LookupView[]> {
  const next = random(7);
  for (let from = 0; from < LOOKUPS; from += CHUNK)
    yield Array.from({ length: CHUNK }, (_, i) => {
      const time = TIME + BigInt(from + i) * 50_000n;
      return viewOf(lookup({ ...spec(from + i, next), raw: { time } }));
    });
}

async function detections(rules: readonly RuleName[]): Promise<Detections> {
  return new Detections({
    detectors: await loadDetectors({ detect: rules, detectors: [] }),
    settings: ['non-cluster-domain.internal=process.executable.path=/usr/bin/p1'],
    cooldownMs: 600_000,
    dns: NO_CACHE,
    host: HIDDEN,
    agent: agentIdentity({}, {}),
    pauseMs: 60_000,
    ledger: new Ledger(),
    log: createLog('error', () => {}),
    emit: () => {},
  });
}

/** ns of the thread's processor time a lookup. */
function timed(traffic: Traffic, look: (each: LookupView) => void): number {
  let microseconds = 0;
  for (const chunk of chunks(traffic)) {
    const before = process.threadCpuUsage();
    for (const each of chunk) look(each);
    const { user, system } = process.threadCpuUsage(before);
    microseconds += user + system;
  }
  return (microseconds * 1000) / LOOKUPS;
}

interface Row {
  readonly traffic: string;
  readonly all: Spread;
  readonly folding: Spread;
  /** Each rule alone. */
  readonly rules: Readonly<Record<string, number>>;
}

export interface DetectResult {
  readonly rows: readonly Row[];
}

async function measured(traffic: Traffic, rounds: number): Promise<Row> {
  const with_ = async (rules: readonly RuleName[]): Promise<number[]> => {
    const all = await detections(rules);
    const costs: number[] = [];
    for (let round = 0; round <= rounds; round++) costs.push(timed(traffic, (each) => all.lookup(each)));
    return costs.slice(1); // the first round compiles
  };
  const folded = (): number => {
    const folding = new SearchFolding(() => POD);
    return timed(traffic, (each) => void folding.fold(each));
  };
  const rules: Record<string, number> = {};
  for (const rule of ALL) rules[rule] = Math.min(...(await with_([rule])));
  folded();
  return {
    traffic: traffic.name,
    all: spread(await with_(ALL)),
    folding: spread(Array.from({ length: rounds }, folded)),
    rules,
  };
}

export const detect: Question<DetectResult> = {
  name: 'detect',
  title: 'What the detections cost',
  async measure({ quick, say }) {
    const rows: Row[] = [];
    for (const traffic of TRAFFIC) {
      say(traffic.name);
      rows.push(await measured(traffic, quick ? 3 : 9));
    }
    return { rows };
  },
  failures: ({ rows }) =>
    rows
      .filter(({ all }) => all.median > MAX_NS)
      .map(({ traffic, all }) => `${traffic}: ${show(all)} ns a lookup, asked are at most ${MAX_NS}`),
  page: ({ rows }) => [
    `Processor time of the thread a lookup, ns: median (minimum to maximum) of rounds of ${LOOKUPS} lookups. All rules of \`--detect all\` together, search-list`,
    'folding (on without them too), and each rule alone (minimum; it holds the cost of the framework, some tenths of a microsecond for the two readings of the clock).',
    'Without `--detect` none of it is loaded.',
    '',
    `| traffic | all rules | search folding | ${ALL.join(' | ')} |`,
    `|---|---|---|${ALL.map(() => '---').join('|')}|`,
    ...rows.map(
      ({ traffic, all, folding, rules }) =>
        `| ${traffic} | ${show(all)} | ${show(folding)} | ${ALL.map((rule) => (rules[rule] ?? 0).toFixed(0)).join(' | ')} |`,
    ),
  ],
};
