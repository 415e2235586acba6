/** Where does the agent's processor time go? A CPU profile of node under load, summed by module. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { offer, startResponder } from './load.ts';
import { REPOSITORY } from './machine.ts';
import { observe } from './observers.ts';
import type { Question } from './question.ts';

const RATE = 20_000;
const INTERVAL_US = 500;
const FUNCTIONS_SHOWN = 20;
/** Modules below this share are summed up as "other". */
const SHOWN_SHARE = 0.005;

/** Profiler.Profile of the Chrome DevTools protocol, as far as it is read here. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** us */
  readonly timeDeltas: readonly number[];
}

interface Share {
  readonly name: string;
  /** Of the main thread's busy time. */
  readonly share: number;
}

export interface ProfileResult {
  readonly rate: number;
  readonly seconds: number;
  /** Main thread: busy time over wall time. */
  readonly busy: number;
  /** CPU of all threads over wall time. */
  readonly cpu: number;
  readonly modules: readonly Share[];
  readonly functions: readonly Share[];
}

export const profile: Question<ProfileResult> = {
  name: 'profile',
  title: 'Where the time goes',
  async measure({ quick }) {
    const seconds = quick ? 5 : 20;
    const server = await startResponder();
    const agent = await observe('whodns', { sources: true, nodeFlags: ['--inspect=127.0.0.1:0'] });
    const program = agent.program;
    if (program === undefined) throw new Error('no process');
    const url = (await program.says(/Debugger listening on (ws:\S+)/))[1] ?? '';
    const inspector = await connect(url);
    await offer({ perSecond: RATE, seconds: quick ? 2 : 15 });
    await inspector.send('Profiler.enable');
    await inspector.send('Profiler.setSamplingInterval', { interval: INTERVAL_US });
    await inspector.send('Profiler.start');
    const before = program.cpuNs();
    const load = await offer({ perSecond: RATE, seconds });
    const cpu = (program.cpuNs() - before) / 1e9 / load.seconds;
    const { profile: data } = (await inspector.send('Profiler.stop')) as { profile: Profile };
    inspector.close();
    await agent.finish(load.pid);
    await server.stop();
    writeFileSync(join(REPOSITORY, 'build/bench/whodns.cpuprofile'), JSON.stringify(data));
    return { rate: RATE, seconds, cpu, ...summarise(data) };
  },
  failures: () => [],
  page: ({ rate, seconds, busy, cpu, modules, functions }) => [
    `CPU profile (node's inspector, a sample each 0.5 ms) of the agent at ${rate} lookups/s for ${seconds} s (OTLP over gRPC). The main thread was busy ${(100 * busy).toFixed(0)} % of the time; all threads`,
    `together took ${(100 * cpu).toFixed(0)} % of a processor under load. Self time by module, of the main thread's busy time:`,
    '',
    '| module | share |',
    '|---|---|',
    ...modules.map(({ name, share }) => `| ${name} | ${(100 * share).toFixed(1)} % |`),
    '',
    'The dearest functions:',
    '',
    '| function | share |',
    '|---|---|',
    ...functions.map(({ name, share }) => `| ${name} | ${(100 * share).toFixed(1)} % |`),
  ],
};

interface Inspector {
  send(method: string, params?: object): Promise<unknown>;
  close(): void;
}

/**
 * node's inspector (Chrome DevTools protocol): unlike --cpu-prof it samples only what is asked for. That also keeps its signals away
 * from the start, where they would interrupt the kernel's verifier.
 */
async function connect(url: string): Promise<Inspector> {
  const socket = new WebSocket(url);
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  socket.onmessage = ({ data }) => {
    const answer = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: { message: string } };
    const asked = waiting.get(answer.id ?? 0);
    if (answer.error === undefined) asked?.resolve(answer.result);
    else asked?.reject(new Error(answer.error.message));
  };
  let id = 0;
  return {
    send: (method, params = {}) => {
      id++;
      const asked = Promise.withResolvers<unknown>();
      waiting.set(id, asked);
      socket.send(JSON.stringify({ id, method, params }));
      return asked.promise;
    },
    close: () => socket.close(),
  };
}

function summarise(data: Profile): Pick<ProfileResult, 'busy' | 'modules' | 'functions'> {
  const frames = new Map(data.nodes.map((node) => [node.id, node.callFrame]));
  const modules = new Map<string, number>();
  const functions = new Map<string, number>();
  let total = 0;
  let busy = 0;
  data.samples.forEach((id, i) => {
    const time = data.timeDeltas[i] ?? 0;
    const frame = frames.get(id);
    if (frame === undefined) return;
    total += time;
    if (frame.functionName === '(idle)') return;
    busy += time;
    const module = moduleOf(frame.url, frame.functionName);
    modules.set(module, (modules.get(module) ?? 0) + time);
    const name = `\`${frame.functionName || '(anonymous)'}\` in ${module}`;
    functions.set(name, (functions.get(name) ?? 0) + time);
  });
  const shares = (sums: ReadonlyMap<string, number>): Share[] =>
    [...sums].map(([name, time]) => ({ name, share: time / busy })).sort((a, b) => b.share - a.share);
  const all = shares(modules);
  const rest = all.filter(({ share }) => share < SHOWN_SHARE).reduce((sum, { share }) => sum + share, 0);
  return {
    busy: busy / total,
    modules: [...all.filter(({ share }) => share >= SHOWN_SHARE), { name: 'other', share: rest }],
    functions: shares(functions).slice(0, FUNCTIONS_SHOWN),
  };
}

/** `src/dns`, `node_modules/@grpc/grpc-js`, `node:http2`, `(garbage collector)`, ... */
function moduleOf(url: string, functionName: string): string {
  if (url === '') return functionName.startsWith('(') ? functionName : '(built in)';
  const dependency = [...url.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g)].at(-1)?.[1];
  if (dependency !== undefined) return `node_modules/${dependency}`;
  const own = /\/(?:dist|src)\/([\w-]+)(?:\.\w+$|\/)/.exec(url)?.[1];
  return own === undefined ? url : `src/${own}`;
}
