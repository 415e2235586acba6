/**
 * What watches the DNS traffic while it is measured: nothing, whodns, the bare consumer of its ring, programs that do nothing at
 * the same places (the floor), and the peers.
 */
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Received } from '../test/clients/counting-receiver.ts';
import { BPF_OBJECT, PROGRAMS, REPOSITORY } from './machine.ts';
import { pause, type Running, start } from './processes.ts';

export type ObserverName =
  | 'nothing'
  | 'whodns'
  | 'consumer'
  | 'floor'
  | 'tcpdump'
  | 'tshark'
  | 'dnscap'
  | 'bpftrace';

export interface Observation {
  /** Lookups it reported of the load's process where it knows the process, else of all; undefined = it cannot tell. */
  readonly lookups: number | undefined;
  /** What it says itself that it lost; undefined = it does not say. */
  readonly lost: number | undefined;
  /** whodns only: its ledger (--stats). */
  readonly stats: AgentStats | undefined;
}

export interface AgentStats {
  readonly stages: readonly {
    readonly name: string;
    readonly in: number;
    readonly out: number;
    readonly dropped: Readonly<Record<string, number>>;
    readonly filtered: Readonly<Record<string, number>>;
    readonly held: number;
    readonly missing: number;
  }[];
  readonly source: {
    readonly hook: string;
    readonly counters: Readonly<Record<string, number>>;
    readonly drops: Readonly<Record<string, number>>;
    readonly missedRuns: number;
  };
  readonly processes: readonly { readonly pid: number; readonly udpRequests: number }[];
}

export interface Observer {
  readonly name: ObserverName;
  /** The process to measure; undefined for `nothing`. */
  readonly program: Running | undefined;
  /** Ends it and reads what it saw of the process `loadPid`. */
  finish(loadPid: number): Promise<Observation>;
}

export interface ObserverOptions {
  /** Processors of the observer, and of what only receives from it. */
  readonly cpus?: string;
  readonly sinkCpus?: string;
  /** Further flags of whodns. */
  readonly flags?: readonly string[];
  /** whodns: its sources, not the bundle: a profile then names the modules. */
  readonly sources?: boolean;
  /** whodns: options of node, e.g. --cpu-prof. */
  readonly nodeFlags?: readonly string[];
}

/** How each is called, for the page. `FILE` is a file in memory. */
export const COMMANDS: Readonly<Record<ObserverName, string>> = {
  nothing: '(nothing)',
  whodns: 'whodns run --exporter otlp (gRPC to a counting sink)',
  consumer: 'build/bench/consumer build/dns.bpf.o tracepoint',
  floor: 'build/bench/consumer build/bench/floor.bpf.o tracepoint',
  tcpdump: 'tcpdump -i lo -nn -l udp port 53 > FILE',
  tshark:
    'tshark -i lo -l -n -f "udp port 53" -T fields -e frame.time_epoch -e ip.src -e ip.dst -e dns.id -e dns.qry.name -e dns.a > FILE',
  dnscap: 'dnscap -i lo -N -g -1 2> FILE',
  bpftrace:
    "bpftrace -e 'tracepoint:net:net_dev_queue { ... udphdr->dest == 53 ... printf comm, pid }' > FILE",
};

const AGENT = join(REPOSITORY, 'dist/main.js');
const SOURCES = join(REPOSITORY, 'src/main.ts');
/** Debian's bpftrace prints when it attaches, not when it has attached. */
const BPFTRACE_ATTACH_MS = 1500;
const READY_LIMIT_MS = 30_000;
/** Time for the last records to arrive. */
const SETTLE_MS = 500;

/** 0x3500 is port 53 in network order on a little-endian machine. */
const BPFTRACE_PROGRAM = `tracepoint:net:net_dev_queue {
  $skb = (struct sk_buff *)args->skbaddr;
  $udp = (struct udphdr *)($skb->head + $skb->transport_header);
  if ($udp->dest == 0x3500) { printf("%s %d\\n", comm, pid); }
}`;

export async function observe(name: ObserverName, options: ObserverOptions = {}): Promise<Observer> {
  switch (name) {
    case 'nothing':
      return {
        name,
        program: undefined,
        finish: async () => ({ lookups: undefined, lost: undefined, stats: undefined }),
      };
    case 'whodns':
      return startAgent(options);
    case 'consumer':
      return startConsumer(name, BPF_OBJECT, options);
    case 'floor':
      return startConsumer(name, join(PROGRAMS, 'floor.bpf.o'), options);
    case 'tcpdump': {
      const words = ['-i', 'lo', '-nn', '-l', 'udp', 'port', '53'];
      return startPeer(name, words, /listening on/, options, (output, errors) => ({
        lookups: count(output, /\d\+.*\? /g),
        lost: Number(/(\d+) packets dropped by kernel/.exec(errors)?.[1] ?? Number.NaN),
        stats: undefined,
      }));
    }
    case 'tshark': {
      const fields = ['frame.time_epoch', 'ip.src', 'ip.dst', 'dns.id', 'dns.qry.name', 'dns.a'];
      const words = [
        '-i',
        'lo',
        '-l',
        '-n',
        '-f',
        'udp port 53',
        '-T',
        'fields',
        ...fields.flatMap((field) => ['-e', field]),
      ];
      return startPeer(name, words, /Capturing on/, options, (output, errors) => ({
        // one line per packet; that of an answer ends with an address
        lookups: count(output, /\t192\.0\.2\.1$/gm),
        lost: Number(/(\d+) packets? dropped/.exec(errors)?.[1] ?? 0),
        stats: undefined,
      }));
    }
    case 'dnscap':
      // It writes to stderr, and says nothing when it is ready.
      return startPeer(
        name,
        ['-c', 'exec dnscap -i lo -N -g -1 2>&1'],
        /(?:)/,
        options,
        (output) => ({ lookups: count(output, /,qr\|/g), lost: undefined, stats: undefined }),
        'sh',
      );
    case 'bpftrace':
      return startPeer(name, ['-e', BPFTRACE_PROGRAM], /Attaching/, options, (output, errors, loadPid) => ({
        lookups: count(output, new RegExp(`^\\S+ ${loadPid}$`, 'gm')),
        lost: [...errors.matchAll(/Lost (\d+) events/g)].reduce((sum, found) => sum + Number(found[1]), 0),
        stats: undefined,
      }));
  }
}

function count(text: string, pattern: RegExp): number {
  let found = 0;
  while (pattern.exec(text) !== null) found++;
  return found;
}

type Reading = (output: string, errors: string, loadPid: number) => Observation;

async function startPeer(
  name: ObserverName,
  words: readonly string[],
  ready: RegExp,
  options: ObserverOptions,
  read: Reading,
  command: string = name,
): Promise<Observer> {
  const directory = mkdtempSync(join('/dev/shm', 'whodns-bench-'));
  const file = join(directory, 'output');
  const stdout = openSync(file, 'w');
  const program = await start(command, words, {
    stdout,
    ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
  });
  closeSync(stdout);
  const deadline = performance.now() + READY_LIMIT_MS;
  while (!ready.test(program.errors) && !ready.test(readFileSync(file, 'latin1'))) {
    if (performance.now() > deadline) throw new Error(`${name} is not ready: ${program.errors}`);
    await pause(50);
  }
  await pause(name === 'bpftrace' ? BPFTRACE_ATTACH_MS : SETTLE_MS);
  return {
    name,
    program,
    finish: async (loadPid) => {
      await pause(SETTLE_MS);
      await program.stop('SIGINT');
      const observation = read(readFileSync(file, 'latin1'), program.errors, loadPid);
      rmSync(directory, { recursive: true });
      return observation;
    },
  };
}

async function startConsumer(
  name: ObserverName,
  object: string,
  options: ObserverOptions,
): Promise<Observer> {
  const program = await start(join(PROGRAMS, 'consumer'), [object, 'tracepoint'], {
    ready: /^ready$/m,
    ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
  });
  return {
    name,
    program,
    finish: async () => {
      await pause(SETTLE_MS);
      const seen = JSON.parse((await program.stop()).replace(/^ready\n/, '')) as {
        responses: number;
        lost: number;
      };
      return { lookups: seen.responses, lost: seen.lost, stats: undefined };
    },
  };
}

async function startAgent(options: ObserverOptions): Promise<Observer> {
  if (!existsSync(AGENT)) throw new Error('dist/main.js is missing: run npm run build');
  const sink = await start(process.execPath, [join(REPOSITORY, 'test/clients/counting-receiver.ts')], {
    ready: /^port \d+$/m,
    stdin: 'pipe',
    ...(options.sinkCpus === undefined ? {} : { cpus: options.sinkCpus }),
  });
  const port = /^port (\d+)$/m.exec(sink.output)?.[1];
  const directory = mkdtempSync(join(tmpdir(), 'whodns-bench-'));
  const statsFile = join(directory, 'stats.json');
  const words = [
    ...(options.nodeFlags ?? []),
    options.sources === true ? SOURCES : AGENT,
    'run',
    '--exporter',
    'otlp',
    '--stats',
    statsFile,
    // What the agent can do, not what one workload may.
    '--cgroup-rate',
    '0',
    ...(options.flags ?? []),
  ];
  const program = await start(process.execPath, words, {
    ready: AGENT_READY,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` },
    ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
  });
  await pause(SETTLE_MS);
  return {
    name: 'whodns',
    program,
    finish: async (loadPid) => {
      await pause(SETTLE_MS);
      await program.stop();
      if (!existsSync(statsFile)) throw new Error(`whodns left no statistics: ${program.errors}`);
      const stats = JSON.parse(readFileSync(statsFile, 'utf8')) as AgentStats;
      sink.write('\n');
      const counts = JSON.parse((await sink.says(/^\{.*\}$/m))[0]) as Received;
      await sink.stop();
      rmSync(directory, { recursive: true });
      const lost = Object.values(stats.source.drops).reduce((sum, value) => sum + value, 0);
      return { lookups: counts.byPid[loadPid] ?? 0, lost, stats };
    },
  };
}

/** The line on stderr that says that every program is attached. */
const AGENT_READY = /^whodns: capturing with /m;
