/**
 * Runs the bare C loader (loader.c) around some traffic and reads what it prints: the kernel programs without the agent.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');
export const LOADER = join(ROOT, 'build/test/loader');
export const OBJECT = process.env['WHODNS_BPF_OBJECT'] ?? join(ROOT, 'build/dns.bpf.o');

/** bpf/event.h, enum message_flags. */
export const FLAG = {
  owner: 1,
  ownerCached: 2,
  streamStart: 4,
  streamEnd: 8,
  more: 16,
  unreadable: 32,
  dialed: 64,
  fragment: 1024,
  unreachable: 2048,
};
/** bpf/event.h, enum counter and enum drop_reason. */
export const COUNTER = {
  requests: 0,
  responses: 1,
  submitted: 2,
  processes: 3,
  skipped: 4,
  self: 5,
  unmatched: 6,
  connections: 8,
  loopback: 9,
  off: 10,
  metricsOnly: 11,
  exits: 12,
};
export const DUPLICATE_DEVICE = 7;
export const DROP = {
  ringFull: 0,
  processRingFull: 1,
  noOwner: 4,
  connectionRingFull: 6,
  responseRingFull: 7,
  requestSuppressed: 8,
  responseSuppressed: 9,
  connectionSuppressed: 10,
};
/** Messages without a record: no room, or over their share of it. */
export function lostMessages({ drops }: Pick<Captured, 'drops'>): number {
  const { ringFull, responseRingFull, requestSuppressed, responseSuppressed } = DROP;
  return [ringFull, responseRingFull, requestSuppressed, responseSuppressed].reduce(
    (sum, index) => sum + (drops[index] ?? 0),
    0,
  );
}

export interface Owner {
  /** By which records name it; 0: not known. */
  readonly id: number;
  readonly tgid: number;
  readonly tid: number;
  readonly ppid: number;
  readonly vpid: number;
  readonly uid: number;
  readonly pid_ns: number;
  readonly net_ns: number;
  readonly start_time: string;
  readonly comm: string;
  readonly leader: string;
}

export interface Message {
  readonly kind: 'message';
  readonly hook: number;
  readonly direction: 'request' | 'response';
  readonly protocol: number;
  readonly family: number;
  readonly flags: number;
  readonly socket: string;
  readonly local: string;
  readonly local_port: number;
  readonly remote: string;
  readonly remote_port: number;
  readonly dialed: string;
  readonly dialed_port: number;
  readonly sequence: number;
  readonly net_ns: number;
  readonly length: number;
  readonly captured: number;
  readonly owner: Owner;
  /** Hexadecimal. */
  readonly payload: string;
}

export interface Process {
  readonly kind: 'process';
  readonly flags: number;
  readonly exe: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly cgroup: string;
  readonly parent: string;
  readonly owner: Owner;
}

export interface Connection {
  readonly kind: 'connection';
  /** 1: `owner` is filled. */
  readonly flags: number;
  readonly family: number;
  readonly socket: string;
  readonly local: string;
  readonly local_port: number;
  readonly remote: string;
  readonly remote_port: number;
  readonly net_ns: number;
  readonly owner: Owner;
}

export interface Counted {
  readonly tgid: number;
  readonly start_time: string;
  readonly udp: number;
  readonly tcp: number;
  readonly bytes: number;
}

export interface Captured {
  readonly messages: readonly Message[];
  readonly connections: readonly Connection[];
  readonly processes: readonly Process[];
  readonly counters: readonly number[];
  readonly drops: readonly number[];
  readonly counted: readonly Counted[];
  /** Processes that are gone (--exits). */
  readonly exits: readonly Counted[];
  readonly records: number;
}

/**
 * What the agent can have the kernel load, as options of the loader (src/capture/kernel.ts sets the same): the knobs that
 * decide which code the verifier sees. Of its own process the agent always tells, and four ports are the most code.
 * Connections are a program more and change no other, so that they are always among them.
 */
export const LOADS: Readonly<Record<string, string>> = Object.fromEntries(
  ['', '--trace', '--level 1=3', '--trace --level 1=3'].map((knobs) => [
    knobs.replaceAll(/--| 1=3/g, '').replace(' ', '+') || 'plain',
    `--load --connections --limit 4096 --rate 5000 --self 1 --port 53 --port 54 --port 55 --port 56 ${knobs}`.trim(),
  ]),
);

/** Compiles the loader if it is missing or older than its source. */
export function buildLoader(): void {
  mkdirSync(join(ROOT, 'build/test'), { recursive: true });
  const source = join(ROOT, 'test/bpf/loader.c');
  const headers = ['bpf/event.h', 'bpf/kernel_calls.h', 'test/bpf/object.h'].map((path) => join(ROOT, path));
  execFileSync('make', ['-s', '-f', '-', LOADER], {
    input: `${LOADER}: ${source} ${headers.join(' ')}\n\tgcc -O2 -g -Wall -Wextra -Werror -o $@.part ${source} -lbpf && mv $@.part $@\n`,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
}

/** Parses the loader's output. Messages and connections of other network namespaces than `netNs` are left out. */
export function parseOutput(text: string, netNs?: number): Captured {
  const lines = text.split('\n').filter((line) => line !== '');
  const all = lines.map((line) => JSON.parse(line) as { kind: string; values: never; records: number });
  const values = (kind: string) => all.find((line) => line.kind === kind)?.values ?? [];
  const messages = all.filter((line) => line.kind === 'message') as unknown as Message[];
  const connections = all.filter((line) => line.kind === 'connection') as unknown as Connection[];
  const isThere = ({ net_ns }: { readonly net_ns: number }) => netNs === undefined || net_ns === netNs;
  return {
    messages: messages.filter(isThere),
    connections: connections.filter(isThere),
    processes: all.filter((line) => line.kind === 'process') as unknown as Process[],
    counters: values('counters'),
    drops: values('drops'),
    counted: values('processes'),
    exits: all.filter((line) => line.kind === 'exit') as unknown as Counted[],
    records: all.at(-1)?.records ?? 0,
  };
}

/** Runs a shell script in a network namespace of its own, loopback up. Its first output line is the namespace's inode. */
function inNamespace(script: string): Promise<{ netNs: number; output: string }> {
  const child = spawn(
    'unshare',
    ['-n', 'sh', '-ec', `ip link set lo up; stat -Lc %i /proc/self/ns/net; ${script}`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: ROOT,
    },
  );
  return finished(child).then(({ code, output }) => {
    if (code !== 0) throw new Error(`the traffic script ended with ${code}: ${output}`);
    const end = output.indexOf('\n');
    return { netNs: Number(output.slice(0, end)), output: output.slice(end + 1) };
  });
}

function finished(child: ReturnType<typeof spawn>): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output: Buffer.concat(pieces).toString('latin1') }));
  });
}

/** Captures with one hook family on this kernel while `script` runs (inNamespace); messages of that namespace only. */
export async function captureWhile(
  family: string,
  script: string,
  options: readonly string[] = [],
  where: 'there' | 'everywhere' = 'there',
): Promise<{ captured: Captured; output: string; netNs: number }> {
  const loader = spawn(LOADER, [OBJECT, family, ...options], { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = finished(loader);
  await new Promise<void>((resolve, reject) => {
    let said = '';
    loader.stderr.on('data', (piece: Buffer) => {
      said += piece.toString();
      if (said.includes('ready')) resolve();
    });
    loader.on('close', () => reject(new Error(`the loader ended: ${said}`)));
  });
  try {
    const { netNs, output } = await inNamespace(script);
    await new Promise((resolve) => setTimeout(resolve, 50)); // the loader looks into the ring every 5 ms
    loader.stdin.end();
    const { code, output: text } = await ended;
    if (code !== 0) throw new Error(`the loader ended with ${code}`);
    return { captured: parseOutput(text, where === 'there' ? netNs : undefined), output, netNs };
  } finally {
    loader.kill('SIGINT');
    await ended;
  }
}
