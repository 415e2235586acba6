/** What whodns is built for, and where the parts lie. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');
export const RELEASE = join(ROOT, 'release');
export const TOOLS = join(ROOT, 'build/toolchain');

export const PLATFORMS = [
  'linux-x64-glibc',
  'linux-arm64-glibc',
  'linux-x64-musl',
  'linux-arm64-musl',
] as const;
export type Platform = (typeof PLATFORMS)[number];
export type Arch = 'x64' | 'arm64';

export const NATIVE_FILES = ['whodns.node', 'whodns-inspector', 'dns.bpf.o'] as const;

export function isPlatform(name: string): name is Platform {
  return (PLATFORMS as readonly string[]).includes(name);
}

/** Folder with the native files of a platform. */
export function platformFolder(platform: Platform): string {
  return join(ROOT, 'build/platforms', platform);
}

export function archOf(platform: Platform): Arch {
  return platform.includes('x64') ? 'x64' : 'arm64';
}

export const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly [key: string]: unknown;
};

/** The Node that npm scripts run with, for another processor too. @returns path of its program */
export function nodeProgram(arch: Arch): string {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules/node/package.json'), 'utf8'));
  const folder = join(TOOLS, `node-${version}-${arch}`);
  const program = join(folder, 'package/bin/node');
  if (existsSync(program)) return program;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const name = `node-linux-${arch}@${version}`;
  const archive = execFileSync('npm', ['pack', '--silent', name], { cwd: folder, encoding: 'utf8' }).trim();
  execFileSync('tar', ['-xzf', archive, 'package/bin/node', 'package/LICENSE'], { cwd: folder });
  return program;
}

/** What the program needs beside its native files, paths in the checkout; source maps left out. */
export const SHARED = [
  'dist',
  'data',
  'src/enrich/runtimes/cri.proto',
  'src/enrich/runtimes/containerd-events.proto',
];
