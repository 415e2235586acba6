/** What the tests of the native side share: the addon itself, traffic, and what this process has loaded in the kernel. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NativeAddon, NativeOptions } from '../../src/capture/addon.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const OBJECT = join(ROOT, 'build/dns.bpf.o');
export const addon = createRequire(import.meta.url)(join(ROOT, 'build/whodns.node')) as NativeAddon;

/** For `test.skip`: loading needs root, everything else is a failure. */
export const skip = process.getuid?.() === 0 ? false : 'loading BPF programs needs root';

/** `nativeOptions()` as an expression, for the program of a child process. */
export function optionsText(): string {
  const { object: _, ...rest } = nativeOptions();
  return `{ ...${JSON.stringify(rest)}, object: process.getBuiltinModule('fs').readFileSync('${OBJECT}') }`;
}

export function nativeOptions(change: Partial<NativeOptions> = {}): NativeOptions {
  return {
    object: readFileSync(OBJECT),
    family: 'tracepoint',
    besides: [],
    ringBytes: 1 << 17,
    knobs: { dns_ports: [1], dns_port_count: [1] },
    ...change,
  };
}

/** Ids of the BPF programs that a process holds open (fdinfo of its descriptors). */
export function loadedPrograms(pid: number | 'self' = 'self'): number[] {
  const ids = new Set<number>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      if (!readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('anon_inode:bpf')) continue;
      const id = /^prog_id:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))?.[1];
      if (id !== undefined) ids.add(Number(id));
    } catch {
      // closed meanwhile
    }
  }
  return [...ids];
}

/** Names of a process's descriptors of BPF, epoll and eventfd, one each. */
export function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const name = readlinkSync(`/proc/self/fd/${fd}`);
      return name.startsWith('anon_inode:') ? [name] : [];
    } catch {
      return [];
    }
  });
}

/** Waits until the kernel has freed these programs (it does so after a grace period); gives those that stay. */
export async function remaining(ids: readonly number[]): Promise<number[]> {
  let left: number[] = [];
  for (let attempt = 0; attempt < 50; attempt++) {
    const all = JSON.parse(execFileSync('bpftool', ['-j', 'prog', 'show'], { encoding: 'utf8' })) as {
      readonly id: number;
    }[];
    left = ids.filter((id) => all.some((program) => program.id === id));
    if (left.length === 0) break;
    await sleep(100);
  }
  return left;
}

const open: { readonly sockets: Socket[]; readonly children: ChildProcess[] } = { sockets: [], children: [] };

/** Closes what `sink` and `sendMany` opened: for afterEach, so that a failed test cannot keep the process alive. */
export function cleanUp(): void {
  for (const socket of open.sockets.splice(0)) socket.close();
  for (const child of open.children.splice(0)) child.kill('SIGKILL');
}

/** A UDP socket on 127.0.0.1 that takes what is sent to it, so that nothing comes back. */
export async function sink(): Promise<{ readonly port: number; readonly socket: Socket }> {
  const socket = createSocket('udp4');
  open.sockets.push(socket);
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, socket };
}

/** Another process that sends `count` datagrams of 40 bytes to 127.0.0.1:port as fast as it can; `done` when it has ended. */
export function sendMany(
  port: number,
  count: number,
): { readonly child: ChildProcess; readonly done: Promise<void> } {
  const program = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${count}): s.sendto(b'x' * 40, ('127.0.0.1', ${port}))`;
  const child = spawn('python3', ['-c', program], { stdio: ['ignore', 'ignore', 'inherit'] });
  open.children.push(child);
  const done = once(child, 'exit').then(([code]) => {
    if (code !== 0) throw new Error(`sender ended with ${code}`);
  });
  return { child, done };
}

/** Holds up the event loop: no timer, no callback, no batch is served. */
export function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
