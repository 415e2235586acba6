/** What the numbers were measured on, and the network namespace they are measured in. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

export const REPOSITORY = join(import.meta.dirname, '..');
export const PROGRAMS = join(REPOSITORY, 'build/bench');
/** Built with the others; tests that only describe the machine do not build them. */
const PAGES = join(PROGRAMS, 'pages');
export const BPF_OBJECT = join(REPOSITORY, 'build/dns.bpf.o');

export interface Machine {
  readonly date: string;
  readonly commit: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGiB: number;
  readonly node: string;
  readonly distribution: string;
  /** Tasks that wanted a CPU when the run began (/proc/loadavg, one minute): above 0.5 other work disturbs the times. */
  readonly loadBefore: number;
  /** ns to come back to a page of memory, at once and after 100 ms (pages.c). Missing where that is not built. */
  readonly pages?: Pages;
}

interface Pages {
  readonly again: number;
  readonly afterPause: number;
}

export function describeMachine(): Machine {
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit:
      git('rev-parse', '--short=12', 'HEAD') +
      (git('status', '--porcelain', 'src', 'bpf', 'native') === '' ? '' : ' with changes'),
    kernel: release(),
    cpu: cpus()[0]?.model.trim() ?? '',
    cpus: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    distribution: /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '',
    loadBefore: Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]),
    ...(existsSync(PAGES) ? { pages: JSON.parse(execFileSync(PAGES, { encoding: 'utf8' })) as Pages } : {}),
  };
}

function git(...words: string[]): string {
  try {
    return execFileSync('git', words, { cwd: REPOSITORY, stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return '';
  }
}

/** Builds the load generators and probes of this directory. */
export function buildPrograms(): void {
  execFileSync('make', ['-s', '-C', import.meta.dirname], { stdio: ['ignore', 'ignore', 'inherit'] });
}

const MARK = 'WHODNS_BENCH_NAMESPACE';

/**
 * Runs this program again in a network and a mount namespace of its own, with nothing but loopback, and gives its exit code;
 * undefined if this already is the inner one.
 */
export function enterNamespace(): number | undefined {
  if (process.env[MARK] !== undefined) return undefined;
  // bpftrace finds tracepoints in tracefs, which not every host has mounted
  const inner = `ip link set lo up && { mount -t tracefs none /sys/kernel/tracing 2>/dev/null; exec "$@"; }`;
  const command = [
    '-n',
    'sh',
    '-c',
    inner,
    'sh',
    process.execPath,
    ...process.execArgv,
    ...process.argv.slice(1),
  ];
  const done = spawnSync('unshare', command, { stdio: 'inherit', env: { ...process.env, [MARK]: '1' } });
  return done.status ?? 1;
}
