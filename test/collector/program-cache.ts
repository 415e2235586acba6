/**
 * Programs the tests need are built once and kept in `${XDG_CACHE_HOME:-~/.cache}/whodns/bin`, named by their version, so
 * that a second run, another test file and CI's next stage find them. A lock keeps two test files from building the same.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the programs are kept; made when missing. */
export function programDirectory(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const directory = join(base, 'whodns', 'bin');
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Go reads these: modules only from the proxy, the toolchain that is installed. GOFLAGS of the caller (`-p=1`) are kept. */
export const GO_ENVIRONMENT: NodeJS.ProcessEnv = {
  GOFLAGS: `-buildvcs=false ${process.env.GOFLAGS ?? ''}`.trim(),
  GOPROXY: 'https://proxy.golang.org',
  GOTOOLCHAIN: 'local',
};

/**
 * Path of the cached program, made by `build` when it is missing. `build` writes to the path it is given, which is
 * renamed when it has succeeded, so a killed build leaves nothing that looks finished.
 */
export async function cachedProgram(name: string, build: (target: string) => Promise<void>): Promise<string> {
  const path = join(programDirectory(), name);
  if (existsSync(path)) return path;
  const release = await lock(`${path}.lock`);
  try {
    if (existsSync(path)) return path;
    const partial = `${path}.partial-${process.pid}`;
    await build(partial);
    renameSync(partial, path);
    return path;
  } finally {
    release();
  }
}

/**
 * Runs a program to its end at the lowest priority; throws with the end of what it printed when it fails.
 * @returns its standard output
 */
export async function run(
  command: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const child = spawn('nice', ['-n', '19', ...command], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-20_000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${command.join(' ')}: exit ${code}\n${stderr.slice(-4000)}`);
  return stdout;
}

/** An exclusive flock(2) on a file, held by a child process: the kernel drops it however we end. */
async function lock(path: string): Promise<() => void> {
  const holder = spawn('flock', ['-x', path, 'sh', '-c', 'echo locked; cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    holder.on('error', reject);
    holder.on('exit', (code) => reject(new Error(`flock ${path}: exit ${code}`)));
    holder.stdout.once('data', () => resolve());
  });
  return () => {
    holder.removeAllListeners('exit');
    holder.stdin.end();
  };
}

/**
 * A program of a Debian package. The package is unpacked, not installed: installing one of a server would start it. Keyed by
 * the package's version.
 */
export async function debianProgram(packageName: string, name: string): Promise<string> {
  const policy = await run(['apt-cache', 'policy', packageName]);
  const version = /Candidate: (\S+)/.exec(policy)?.[1];
  if (version === undefined || version === '(none)')
    throw new Error(`Debian package \`${packageName}\` is unknown: run \`apt-get update\` first`);
  return cachedProgram(`${name}-${version.replaceAll(/[^\w.]/g, '-')}`, async (target) => {
    const directory = mkdtempSync(join(tmpdir(), `whodns-${packageName}-`));
    try {
      await run(['apt-get', 'download', `${packageName}=${version}`], { cwd: directory });
      await run(['sh', '-c', `dpkg-deb -x ${packageName}_*.deb .`], { cwd: directory });
      const program = join(directory, 'usr/bin', name);
      if (!existsSync(program)) throw new Error(`${packageName} ${version}: no ${name} in the package`);
      cpSync(program, target);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}
