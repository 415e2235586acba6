/**
 * Gets the kernels of kernels.txt: resolves the current version through the suite's signed index, downloads the package,
 * verifies it, unpacks it without installing. The trust chain is apt's: InRelease (OpenPGP signature by the archive's
 * keys) names the SHA256 of Packages.xz, which names the SHA256 of each .deb.
 *
 * Run as a program (`node test/kernel/kernels.ts [name ...]`) it fills the cache and prints name, version and path.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { archiveNamed } from './archives.ts';

/** Below the package's root; from Debian 14 on the kernel image lies with its modules. */
const IMAGES = ['boot/vmlinuz-*', 'usr/lib/modules/*/vmlinuz'];
const RELEASE = /(?:vmlinuz-|modules\/)([^/]+)/;
const LIST = join(import.meta.dirname, 'kernels.txt');
/** Decompressed Packages of sid is some 60 MB. */
const INDEX_LIMIT = 512 * 1024 * 1024;

/** One line of kernels.txt. */
export interface KernelEntry {
  readonly name: string;
  readonly archive: string;
  readonly suite: string;
  readonly packages: readonly RegExp[];
  /** Which runs of the tests it is in: all; those with WHODNS_KERNELS=full; of a test that asks for it by name. */
  readonly runs: Runs;
}

const RUNS = ['always', 'full', 'named'] as const;
type Runs = (typeof RUNS)[number];

/** A kernel ready to boot. `root` is where its packages were unpacked. */
export interface Kernel {
  readonly name: string;
  /** The package's version, e.g. 6.1.176-1. */
  readonly version: string;
  /** As `uname -r` says, e.g. 6.1.0-50-cloud-amd64. */
  readonly release: string;
  readonly vmlinuz: string;
  readonly root: string;
  /** Of the entry that it was made from: with others it is made anew. */
  readonly packages?: readonly string[];
}

interface Package {
  readonly name: string;
  readonly version: string;
  readonly filename: string;
  readonly sha256: string;
}

/** Where downloads are kept: $XDG_CACHE_HOME/whodns, else ~/.cache/whodns. */
export function cacheDirectory(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'whodns');
}

/** The kernels that this run tests, in the order of kernels.txt. */
export function kernelList(): KernelEntry[] {
  const isFull = process.env['WHODNS_KERNELS'] === 'full';
  return entries().filter(({ runs }) => runs === 'always' || (isFull && runs === 'full'));
}

function entries(): KernelEntry[] {
  const entries: KernelEntry[] = [];
  for (const line of readFileSync(LIST, 'utf8').split('\n')) {
    const text = line.replace(/#.*/, '').trim();
    if (text === '') continue;
    const [name, runs, archive, suite, packages, ...rest] = text.split(/\s+/);
    if (!name || !isRuns(runs) || !archive || !suite || !packages || rest.length > 0) {
      throw new Error(`kernels.txt: not "name runs archive suite packages": ${line}`);
    }
    const patterns = packages.split(',').map((pattern) => new RegExp(`^${pattern}$`));
    entries.push({ name, runs, archive, suite, packages: patterns });
  }
  return entries;
}

function isRuns(word: string | undefined): word is Runs {
  return (RUNS as readonly (string | undefined)[]).includes(word);
}

/** Debian's name of a processor. The packages of kernels.txt are named for the first. */
export type Architecture = 'amd64' | 'arm64';

/** The kernel of that name from the cache, downloaded first if it is not there. */
export async function kernel(name: string, architecture: Architecture = 'amd64'): Promise<Kernel> {
  const listed = entries().find((candidate) => candidate.name === name);
  if (listed === undefined) throw new Error(`kernels.txt has no kernel ${name}`);
  const entry = architecture === 'amd64' ? listed : forArchitecture(listed, architecture);
  const directory = join(cacheDirectory(), 'kernels', entry.name);
  const description = join(directory, 'kernel.json');
  const read = (): Kernel => JSON.parse(readFileSync(description, 'utf8')) as Kernel;
  const patterns = entry.packages.map(({ source }) => source);
  // Caches from before `packages` was written hold one package.
  const isCurrent = () => String(read().packages ?? patterns[0]) === String(patterns);
  if (!existsSync(description) || !isCurrent()) await install(entry, directory, architecture);
  return read();
}

function forArchitecture({ name, packages, ...rest }: KernelEntry, architecture: Architecture): KernelEntry {
  const named = packages.map(({ source }) => new RegExp(source.replaceAll('amd64', architecture)));
  return { ...rest, name: `${name}-${architecture}`, packages: named };
}

/** Downloads into a directory beside `directory` and renames it, so that a half-done download is never taken for one. */
async function install(entry: KernelEntry, directory: string, architecture: Architecture): Promise<void> {
  mkdirSync(join(cacheDirectory(), 'kernels'), { recursive: true });
  const work = mkdtempSync(join(cacheDirectory(), 'kernels', '.new-'));
  try {
    const { mirror, packages } = await resolvePackages(entry, architecture);
    for (const found of packages) {
      const deb = join(work, 'package.deb');
      const url = `${mirror}/${entry.archive}/${found.filename}`;
      writeFileSync(deb, verified(await download(url), found.sha256, url));
      execFileSync('dpkg-deb', ['-x', deb, work]);
      rmSync(deb);
    }
    const image = IMAGES.flatMap((pattern) => globSync(pattern, { cwd: work }))[0];
    const version = packages[0]?.version;
    const release = image === undefined ? undefined : RELEASE.exec(image)?.[1];
    if (image === undefined || version === undefined || release === undefined) {
      throw new Error(`kernel ${entry.name}: its packages hold no vmlinuz`);
    }
    const description: Kernel = {
      name: entry.name,
      version,
      release,
      vmlinuz: join(directory, image),
      root: directory,
      packages: entry.packages.map(({ source }) => source),
    };
    writeFileSync(join(work, 'kernel.json'), `${JSON.stringify(description, undefined, 2)}\n`);
    rmSync(directory, { recursive: true, force: true });
    renameSync(work, directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The newest package of each pattern, from the first mirror that has the suite. */
async function resolvePackages(
  entry: KernelEntry,
  architecture: Architecture,
): Promise<{ mirror: string; packages: readonly Package[] }> {
  const failures: string[] = [];
  const { mirrors, keyring } = archiveNamed(entry.archive);
  const keys = await keyring();
  for (const mirror of mirrors) {
    try {
      const index = await packageIndex(`${mirror}/${entry.archive}/dists/${entry.suite}`, architecture, keys);
      return { mirror, packages: entry.packages.map((pattern) => newest(index, pattern)) };
    } catch (error) {
      failures.push(`${mirror}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`kernel ${entry.name}: ${failures.join('; ')}`);
}

/** The suite's Packages file of main, its signature and checksum verified. */
async function packageIndex(suite: string, architecture: Architecture, keys: string): Promise<string> {
  const release = execFileSync('gpgv', ['--quiet', '--keyring', keys, '--output', '-', '-'], {
    input: await download(`${suite}/InRelease`),
    stdio: ['pipe', 'pipe', 'pipe'],
  }).toString();
  const member = `main/binary-${architecture}/Packages.xz`;
  const sums = release.slice(release.indexOf('\nSHA256:'));
  const line = sums.split('\n').find((candidate) => candidate.endsWith(` ${member}`));
  const sum = line?.trim().split(/\s+/)[0];
  if (sum === undefined) throw new Error(`${suite}/InRelease names no ${member}`);
  const packed = verified(await download(`${suite}/${member}`), sum, `${suite}/${member}`);
  return execFileSync('xz', ['-dc'], { input: packed, maxBuffer: INDEX_LIMIT }).toString();
}

function newest(index: string, pattern: RegExp): Package {
  let best: Package | undefined;
  for (const stanza of index.split('\n\n')) {
    const name = field(stanza, 'Package');
    if (name === undefined || !pattern.test(name)) continue;
    const version = field(stanza, 'Version');
    const filename = field(stanza, 'Filename');
    const sha256 = field(stanza, 'SHA256');
    if (version === undefined || filename === undefined || sha256 === undefined) continue;
    if (best === undefined || isNewer(version, best.version)) best = { name, version, filename, sha256 };
  }
  if (best === undefined) throw new Error(`no package matches ${pattern.source}`);
  return best;
}

function field(stanza: string, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1];
}

/** Debian's own order of versions (deb-version(7)). */
function isNewer(version: string, than: string): boolean {
  try {
    execFileSync('dpkg', ['--compare-versions', version, 'gt', than]);
    return true;
  } catch {
    return false;
  }
}

async function download(url: string): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(180_000) });
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

function verified(bytes: Buffer, sha256: string, what: string): Buffer {
  const sum = createHash('sha256').update(bytes).digest('hex');
  if (sum !== sha256) throw new Error(`${what}: SHA256 is ${sum}, the index says ${sha256}`);
  return bytes;
}

if (import.meta.main) {
  const wanted = process.argv.length > 2 ? process.argv.slice(2) : entries().map((entry) => entry.name);
  for (const name of wanted) {
    const found = await kernel(name);
    console.log(`${found.name}\t${found.version}\t${found.release}\t${found.vmlinuz}`);
  }
}
