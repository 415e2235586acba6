/** What does the DNS cache cost: a look-up at 5000 trees, an answer learnt, memory? One core, no kernel. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DnsCache } from '../src/dnscache/cache.ts';
import { at, told } from '../test/unit/dnscache-answers.ts';
import type { Question } from './question.ts';
import { type Spread, show, spread, thousands } from './statistics.ts';

const TREES = 5000;
const ASKED_NS = 700;

export interface DnsCacheResult {
  readonly trees: number;
  readonly nodes: number;
  /** ns a call. */
  readonly byName: Spread;
  readonly byAddress: Spread;
  readonly nameOf: Spread;
  readonly relearn: Spread;
  readonly learn: Spread;
  readonly bytesPerTree: number;
}

/** Every question: two aliases and three addresses, all its own. */
function answers(from: number) {
  return Array.from({ length: TREES }, (_, index) => {
    const i = from + index;
    const [name, middle, end] = [`www.site${i}.example.com`, `www.site${i}.edge.test`, `a${i}.cdn.test`];
    const addresses = [1, 2, 3].map(
      (part) => `${end} 300 A 10.${part * 50 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`,
    );
    const lines = [`${name} 300 CNAME ${middle}`, `${middle} 300 CNAME ${end}`, ...addresses];
    return told({ name, answers: lines, pid: 1 + (i % 50) });
  });
}

/** CPU time of the thread: what else the machine does is not in it, but for its caches. */
function perCall<T>(items: readonly T[], rounds: number, call: (item: T) => void): number {
  const began = process.threadCpuUsage();
  for (let round = 0; round < rounds; round++) for (const item of items) call(item);
  const { user, system } = process.threadCpuUsage(began); // microseconds
  return ((user + system) * 1000) / (rounds * items.length);
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export const dnsCache: Question<DnsCacheResult> = {
  name: 'dnscache',
  title: 'The DNS cache',
  async measure({ quick, say }) {
    const rounds = quick ? 5 : 15;
    const [own, others] = [answers(0), answers(TREES)];
    const when = at(1);
    const scopes = [{ kind: 'process', pid: 7 }, { kind: 'host' }] as const;
    const names = own.map(({ request }) => request.message.questions[0]?.name ?? '');
    const addresses = own.map(({ response }) => response?.message.answers[4]?.data ?? '');
    const times: Record<'byName' | 'byAddress' | 'nameOf' | 'relearn' | 'learn', number[]> = {
      byName: [],
      byAddress: [],
      nameOf: [],
      relearn: [],
      learn: [],
    };
    collect();
    const before = process.memoryUsage().heapUsed;
    const cache = new DnsCache();
    for (const lookup of own) cache.add(lookup);
    collect();
    const bytesPerTree = (process.memoryUsage().heapUsed - before) / TREES;
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      times.byName.push(perCall(names, 40, (name) => cache.get(name, undefined, when)));
      times.byAddress.push(perCall(addresses, 40, (address) => cache.get(address, undefined, when)));
      times.nameOf.push(perCall(addresses, 20, (address) => cache.nameOf(address, when, scopes)));
      times.relearn.push(perCall(own, 20, (lookup) => cache.add(lookup)));
      // a full cache, every answer new: each drives out another
      times.learn.push(perCall([...others, ...own], 1, (lookup) => cache.add(lookup)));
    }
    const { trees, nodes } = cache.stats();
    const { byName, byAddress, nameOf, relearn, learn } = times;
    return {
      trees,
      nodes,
      byName: spread(byName),
      byAddress: spread(byAddress),
      nameOf: spread(nameOf),
      relearn: spread(relearn),
      learn: spread(learn),
      bytesPerTree: Math.round(bytesPerTree),
    };
  },
  failures: ({ byName, byAddress }) => {
    const ns = Math.max(byName.median, byAddress.median);
    return ns <= ASKED_NS
      ? []
      : [`\`get\` at ${TREES} trees: ${ns.toFixed(0)} ns, asked at most ${ASKED_NS}`];
  },
  page: (result) => [
    `${result.trees} query trees, ${result.nodes} nodes (each question two aliases and three addresses, all its own), one core; ns of CPU time a call: median (minimum to`,
    'maximum) of the rounds. Answers are learnt as decoded messages, decoding is not in it.',
    '',
    '| call | ns | a second |',
    '|---|---|---|',
    ...(
      [
        ['`get` by name', result.byName],
        ['`get` by address', result.byAddress],
        ['`nameOf` (a connection)', result.nameOf],
        ['an answer seen before', result.relearn],
        ['a new answer, which drives out an old one', result.learn],
      ] as const
    ).map(([name, ns]) => `| ${name} | ${show(ns)} | ${thousands(1e9 / ns.median)} |`),
    '',
    `Heap: ${result.bytesPerTree} bytes a tree of six nodes.`,
  ],
};
