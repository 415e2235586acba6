/** Starting, measuring and ending other programs; whatever is still running when this one ends is ended with it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAMS } from './machine.ts';

export interface StartOptions {
  /** Text on stdout or stderr that says it is ready; without it the program counts as ready at once. */
  readonly ready?: RegExp;
  /** Processors it may run on, as taskset(1) takes them. */
  readonly cpus?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Where stdout goes instead of into `output`: a file descriptor. */
  readonly stdout?: number;
  readonly stdin?: 'pipe';
}

const READY_LIMIT_MS = 30_000;
const END_LIMIT_MS = 20_000;

const running = new Set<Running>();
process.once('exit', () => {
  for (const program of running) program.kill();
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

export class Running {
  readonly pid: number;
  /** What it said so far on stdout. */
  output = '';
  /** What it said so far on stderr. */
  errors = '';
  readonly ended: Promise<number>;
  readonly #child: ChildProcess;
  readonly #listeners = new Set<() => void>();

  constructor(program: string, words: readonly string[], options: StartOptions) {
    const [file = '', ...rest] =
      options.cpus === undefined ? [program, ...words] : ['taskset', '-c', options.cpus, program, ...words];
    this.#child = spawn(file, rest, {
      stdio: [options.stdin ?? 'ignore', options.stdout ?? 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    this.pid = this.#child.pid ?? 0;
    running.add(this);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#heard('output', text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#heard('errors', text));
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code) => {
        running.delete(this);
        resolve(code ?? 128);
        for (const listener of this.#listeners) listener();
      });
    });
  }

  #heard(stream: 'output' | 'errors', text: string): void {
    this[stream] += text;
    for (const listener of this.#listeners) listener();
  }

  /** Waits for text on stdout or stderr. Throws with what it said if it ends or takes too long. */
  async says(pattern: RegExp, limitMs = READY_LIMIT_MS): Promise<RegExpExecArray> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const found = pattern.exec(this.output) ?? pattern.exec(this.errors);
      if (found !== null) return found;
      const left = deadline - performance.now();
      if (left <= 0 || !running.has(this)) {
        this.kill();
        throw new Error(
          `${this.#child.spawnargs.join(' ')}: never said ${pattern}:\n${this.errors}${this.output}`,
        );
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        const listener = () => {
          clearTimeout(timer);
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Asks it to end; gives all of its stdout. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
    this.signal(signal);
    const timer = setTimeout(() => this.kill(), END_LIMIT_MS);
    await this.ended;
    clearTimeout(timer);
    return this.output;
  }

  /** CPU time of the process and its descendants so far, ns. A descendant that has ended is not in it. */
  cpuNs(): number {
    const pids = [this.pid, ...descendants(this.pid)].map(String);
    const lines = execFileSync(join(PROGRAMS, 'cputime'), pids).toString().trim().split('\n');
    return lines.reduce((sum, line) => sum + Number(line), 0);
  }

  /** Resident and proportional memory of the process and its descendants, bytes (proc(5), smaps_rollup). */
  memory(): { readonly rss: number; readonly pss: number } {
    const total = { rss: 0, pss: 0 };
    for (const pid of [this.pid, ...descendants(this.pid)]) {
      const path = `/proc/${pid}/smaps_rollup`;
      if (!existsSync(path)) continue;
      const text = readFileSync(path, 'utf8');
      const kilobytes = (name: string) =>
        Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0);
      total.rss += kilobytes('Rss') * 1024;
      total.pss += kilobytes('Pss') * 1024;
    }
    return total;
  }
}

function descendants(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return (children === '' ? [] : children.split(' ').map(Number)).flatMap((child) => [
      child,
      ...descendants(child),
    ]);
  } catch {
    return []; // it has just ended
  }
}

/** Starts a program and waits until it is ready. */
export async function start(
  program: string,
  words: readonly string[],
  options: StartOptions = {},
): Promise<Running> {
  const started = new Running(program, words, options);
  if (options.ready !== undefined) await started.says(options.ready);
  return started;
}

/** Runs a program to its end and reads the one line of JSON it prints. Throws if it fails. */
export async function runJson<T>(
  program: string,
  words: readonly string[],
  options: StartOptions = {},
): Promise<T> {
  const started = new Running(program, words, options);
  const code = await started.ended;
  if (code !== 0) throw new Error(`${program} ${words.join(' ')}: exit code ${code}: ${started.errors}`);
  return JSON.parse(started.output) as T;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
