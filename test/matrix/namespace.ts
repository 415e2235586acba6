/**
 * A network and mount namespace of its own with loopback up and its own resolv.conf, nsswitch.conf and hosts: programs in it can
 * ask nobody but the servers the test starts there.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { end, ended } from './children.ts';

/** Programs under test look names up in DNS only, never in files or by multicast. */
const NSSWITCH = 'passwd: files\ngroup: files\nhosts: dns\n';

/** What a finished program gave. */
export interface Finished {
  readonly pid: number;
  readonly exitCode: number;
  readonly output: string;
  readonly errors: string;
}

export class Namespace {
  /** Temporary directory of the namespace, removed by close(). */
  readonly directory: string;
  readonly #holder: ChildProcess;

  private constructor(directory: string, holder: ChildProcess) {
    this.directory = directory;
    this.#holder = holder;
  }

  static async open(): Promise<Namespace> {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-ns-'));
    writeFileSync(join(directory, 'resolv.conf'), 'nameserver 127.0.0.1\n');
    writeFileSync(join(directory, 'nsswitch.conf'), NSSWITCH);
    writeFileSync(join(directory, 'hosts'), '');
    const binds = ['resolv.conf', 'nsswitch.conf', 'hosts'].map(
      (name) => `mount --bind ${directory}/${name} /etc/${name}`,
    );
    const script = ['set -e', 'ip link set lo up', ...binds, 'echo ready', 'exec sleep 100000'].join('\n');
    const holder = spawn('unshare', ['--net', '--mount', '--propagation', 'private', 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const namespace = new Namespace(directory, holder);
    const kill = () => holder.kill('SIGKILL');
    process.once('exit', kill);
    holder.once('close', () => process.removeListener('exit', kill));
    const [first] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'close')]);
    if (String(first) !== 'ready\n')
      throw new Error(`a network namespace could not be made (unshare: ${first})`);
    return namespace;
  }

  /** Process id of the program that keeps the namespace alive; /proc/PID/ns/net is the namespace. */
  get pid(): number {
    return this.#holder.pid ?? 0;
  }

  /** Who programs ask from now on; they read the file when they start. */
  useServer(address: string): void {
    writeFileSync(
      join(this.directory, 'resolv.conf'),
      `nameserver ${address}\noptions timeout:5 attempts:1\n`,
    );
  }

  /** Starts a program inside. nsenter becomes the program, so the child's pid is the program's. */
  spawn(argv: readonly string[], stdio: StdioOptions = ['ignore', 'pipe', 'pipe']): ChildProcess {
    return spawn('nsenter', ['--target', String(this.pid), '--net', '--mount', '--', ...argv], { stdio });
  }

  /** Runs a program to its end. One that takes longer than `timeoutMs` is killed; its exit code is then -1. */
  async run(argv: readonly string[], timeoutMs = 180_000): Promise<Finished> {
    return finish(this.spawn(argv), timeoutMs);
  }

  async close(): Promise<void> {
    await end(this.#holder, 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Waits for the child's end and gives what it printed; SIGKILL and exit code -1 after `timeoutMs`. */
export async function finish(child: ChildProcess, timeoutMs: number): Promise<Finished> {
  let output = '';
  let errors = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const code = await ended(child, timeoutMs);
  return { pid: child.pid ?? 0, exitCode: code ?? -1, output, errors };
}
