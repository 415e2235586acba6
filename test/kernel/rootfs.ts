/**
 * Builds the initial RAM file systems of the test machines. Two archives are concatenated (the kernel unpacks one after
 * the other): the base with all programs and libraries, kept in the cache under the hash of what went in, and a small one
 * per run with the repository's files and the job.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { cacheDirectory } from './kernels.ts';

export const REPOSITORY = join(import.meta.dirname, '../..');
/** Where the repository lies in the machine. */
export const GUEST_REPOSITORY = '/whodns';

/** Programs in the base image; each comes with its shared libraries. */
const PROGRAMS = [
  'busybox',
  'bpftool',
  'curl',
  'dig',
  'dnsmasq',
  'drill',
  'getent',
  'host',
  'ip',
  'kdig',
  'nsenter',
  'python3.11',
  'setpriv',
  'strace',
  'tcpdump',
  'unbound',
  'unshare',
] as const;

/** Found by dlopen, so ldd does not name them. */
const LIBRARIES = [
  '/usr/lib/x86_64-linux-gnu/libnss_dns.so.2',
  '/usr/lib/x86_64-linux-gnu/libnss_files.so.2',
  '/usr/lib/x86_64-linux-gnu/libgcc_s.so.1',
];

const TREES: readonly (readonly [from: string, to: string])[] = [
  ['/usr/lib/python3.11', '/usr/lib/python3.11'],
  ['/etc/services', '/etc/services'],
  ['/etc/protocols', '/etc/protocols'],
];
/** Not needed to run a script, and large. */
const LEFT_OUT =
  /\/(__pycache__|config-3\.11-[^/]+|test|lib2to3|pydoc_data|distutils|ensurepip|idlelib|tkinter)$/;

export const ETC: Readonly<Record<string, string>> = {
  '/etc/passwd':
    'root:x:0:0:root:/root:/bin/sh\nunbound:x:100:100::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n',
  '/etc/group': 'root:x:0:\nunbound:x:100:\ntty:x:5:\nnogroup:x:65534:\n',
  '/etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  '/etc/resolv.conf': 'nameserver 127.0.0.1\n',
};

/** What the agent needs to run; the rest of the repository stays outside. */
export const REPOSITORY_PARTS = ['package.json', 'src', 'dist', 'build', 'bpf', 'native', 'test'];
/** Of packaging/, hundreds of MB that no test in a machine needs. */
const RELEASE_BUILDS = /\/build\/(toolchain|platforms|objects|npm|system)$/;

/** Files to add: path in the machine -> path here, or the content itself. */
export type GuestFiles = Readonly<Record<string, string | Uint8Array>>;

/** The base archive's path, built if the cache has none for today's programs. */
export function baseArchive(): string {
  const directory = join(cacheDirectory(), 'vm');
  mkdirSync(directory, { recursive: true });
  const programs = PROGRAMS.map(findProgram);
  const sources = [...programs, process.execPath, ...LIBRARIES, ...TREES.map(([from]) => from)];
  const hash = createHash('sha256');
  hash.update(readFileSync(import.meta.filename)).update(readFileSync(join(REPOSITORY, 'package-lock.json')));
  for (const source of sources) {
    const { size, mtimeMs } = statSync(source);
    hash.update(`${source} ${size} ${mtimeMs}\n`);
  }
  const archive = join(directory, `base-${hash.digest('hex').slice(0, 16)}.cpio`);
  if (existsSync(archive)) return archive;

  const stage = mkdtempSync(join(tmpdir(), 'whodns-base-'));
  try {
    for (const link of ['bin', 'sbin']) mkdirSync(join(stage, link), { recursive: true });
    for (const [link, target] of [
      ['lib', 'usr/lib'],
      ['lib64', 'usr/lib64'],
    ] as const) {
      mkdirSync(join(stage, target), { recursive: true });
      symlinkSync(target, join(stage, link));
    }
    for (const program of programs) addProgram(stage, program, program);
    addProgram(stage, process.execPath, '/usr/bin/node');
    cpSync(join(stage, findProgram('busybox')), join(stage, 'bin/busybox'));
    for (const library of LIBRARIES) if (existsSync(library)) addFile(stage, library, library);
    for (const [from, to] of TREES) {
      cpSync(from, join(stage, to), { recursive: true, filter: (path) => !LEFT_OUT.test(path) });
    }
    // Extension modules of Python are loaded by dlopen; their libraries must come too.
    for (const library of librariesOf(
      '/usr/lib/python3.11/lib-dynload/_hashlib.cpython-311-x86_64-linux-gnu.so',
    )) {
      addFile(stage, library, library);
    }
    symlinkSync('python3.11', join(stage, 'usr/bin/python3'));
    for (const [path, text] of Object.entries(ETC)) writeInto(stage, path, text);
    for (const path of productionModules()) {
      cpSync(join(REPOSITORY, path), join(stage, GUEST_REPOSITORY, path), { recursive: true });
    }
    const fresh = `${archive}.${process.pid}`;
    pack(stage, fresh);
    renameSync(fresh, archive);
    forgetOthers(directory, archive);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
  return archive;
}

/** The cache keeps one base; another one may be in use by a machine that is starting, so it stays for an hour. */
function forgetOthers(directory: string, archive: string): void {
  for (const name of globSync('base-*.cpio', { cwd: directory })) {
    const path = join(directory, name);
    if (path !== archive && Date.now() - statSync(path).mtimeMs > 3_600_000) rmSync(path, { force: true });
  }
}

/** The per-run archive's path in `directory`: parts of the repository, init, job, the caller's files and programs. */
export function runArchive(
  directory: string,
  job: string,
  files: GuestFiles,
  programs: readonly string[],
  parts: readonly string[],
): string {
  const stage = join(directory, 'stage');
  cpSync(join(import.meta.dirname, 'init.sh'), mkParent(join(stage, 'init')));
  for (const part of parts) {
    const from = join(REPOSITORY, part);
    const to = join(stage, GUEST_REPOSITORY, part);
    if (existsSync(from)) cpSync(from, to, { recursive: true, filter: (path) => !RELEASE_BUILDS.test(path) });
  }
  for (const addon of addons(join(stage, GUEST_REPOSITORY, 'build'))) {
    for (const library of librariesOf(addon)) addFile(stage, library, library);
  }
  for (const program of programs) addProgram(stage, findProgram(program), findProgram(program));
  for (const [path, content] of Object.entries(files)) {
    if (typeof content === 'string')
      cpSync(content, mkParent(join(stage, path)), { recursive: true, dereference: true });
    else writeFileSync(mkParent(join(stage, path)), content);
  }
  writeInto(stage, '/job', job);
  execFileSync('chmod', ['0755', join(stage, 'init')]);
  const archive = join(directory, 'run.cpio');
  pack(stage, archive);
  rmSync(stage, { recursive: true });
  return archive;
}

/** Every .node and executable below `directory` whose shared libraries the machine must have. */
function addons(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const found = execFileSync('find', [
    directory,
    '-type',
    'f',
    '(',
    '-name',
    '*.node',
    '-o',
    '-perm',
    '-100',
    ')',
    '-print',
  ]);
  return found
    .toString()
    .split('\n')
    .filter((path) => path !== '');
}

export function pack(stage: string, archive: string): void {
  execFileSync(
    'sh',
    ['-c', 'cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 >"$2"', 'sh', stage, archive],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
}

function addProgram(stage: string, from: string, to: string): void {
  addFile(stage, from, to);
  for (const library of librariesOf(from)) addFile(stage, library, library);
}

/** Copies the file that `from` leads to; a program found in /bin lies in /usr/bin (merged /usr). */
function addFile(stage: string, from: string, to: string): void {
  const target = join(stage, to.replace(/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/'));
  if (lstatSync(target, { throwIfNoEntry: false }) === undefined)
    cpSync(realpathSync(from), mkParent(target));
}

/** Absolute paths of the shared libraries and the dynamic loader, as ldd finds them; none for a static program. */
function librariesOf(program: string): string[] {
  try {
    const output = execFileSync('ldd', [program], { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
    return [...output.matchAll(/(\/\S+) \(0x/g)]
      .map((match) => match[1] ?? '')
      .filter((path) => path !== program);
  } catch {
    return []; // ldd's exit code for "not a dynamic executable"
  }
}

function findProgram(name: string): string {
  if (name.startsWith('/')) return name;
  for (const directory of ['/usr/bin', '/usr/sbin', ...(process.env['PATH'] ?? '').split(delimiter)]) {
    const path = join(directory, name);
    if (existsSync(path)) return realpathSync(path);
  }
  throw new Error(`the test machine needs ${name}, which this host has not installed`);
}

/** The packages that src/ imports and those that they need: all are bundled, so the lock calls each of them `dev`. */
function productionModules(): string[] {
  const { packages } = JSON.parse(readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage | undefined>;
  };
  const found = new Set<string>();
  const add = (name: string, from: string): void => {
    // As Node looks for it: next to who asks, then further up.
    for (
      let folder = from;
      ;
      folder = folder.slice(0, Math.max(folder.lastIndexOf('node_modules/') - 1, 0))
    ) {
      const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
      const entry = packages[path];
      if (entry === undefined && folder !== '') continue;
      if (entry === undefined || found.has(path) || !existsSync(join(REPOSITORY, path))) return;
      found.add(path);
      const { dependencies, optionalDependencies, peerDependencies } = entry;
      for (const each of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
        add(each, path);
      return;
    }
  };
  for (const file of globSync('src/**/*.ts', { cwd: REPOSITORY })) {
    const text = readFileSync(join(REPOSITORY, file), 'utf8');
    for (const [, name = ''] of text.matchAll(/(?:from|import)\s*\(?\s*'(@[^/']+\/[^/']+|[^@./'][^/':]*)/g))
      if (name !== 'node') add(name, '');
  }
  return [...found];
}

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export function writeInto(stage: string, path: string, text: string): void {
  writeFileSync(mkParent(join(stage, path)), text);
}

function mkParent(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  return path;
}
