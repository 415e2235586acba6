/**
 * Where the files are that belong to the program: in a checkout and an installed package beside it, in the single file inside it.
 * What is built for one processor and libc is in build/, or in the package `@whodns/linux-ARCH-LIBC`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { getAsset, isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { UserError } from './errors.ts';
import { extract } from './extracted-files.ts';

/** What is built from bpf/ and native/. */
export type NativeFile = 'whodns.node' | 'whodns-inspector' | 'dns.bpf.o';

/** The folder of the nearest package.json above this file; undefined in the single file. */
const ROOT = isSea() ? undefined : rootAbove(new URL('./', import.meta.url));

/** URL of the folder that the program's own modules are in; undefined in the single file. */
export const OWN_MODULES = ROOT === undefined ? undefined : firstFolder(ROOT, import.meta.url);

/** @param path in the package */
export function readPackageFile(path: string): string {
  return ROOT === undefined ? getAsset(path, 'utf8') : readFileSync(new URL(path, ROOT), 'utf8');
}

/** Threads of the program, by the name of their bundle, and where they are in a checkout. */
const WORKERS = { 'history-worker': 'history/worker.ts' } as const;
export type WorkerName = keyof typeof WORKERS;

/** What a worker thread runs: a file, or in the single file its source. */
export function workerScript(name: WorkerName): {
  readonly script: URL | string;
  readonly isSource: boolean;
} {
  if (OWN_MODULES === undefined) return { script: getAsset(`dist/${name}.cjs`, 'utf8'), isSource: true };
  const source = new URL(WORKERS[name], OWN_MODULES);
  const isCheckout = existsSync(source);
  return { script: isCheckout ? source : new URL(`${name}.js`, OWN_MODULES), isSource: false };
}

/** Path of a native file. @throws UserError: the package for this machine is not installed */
export function nativeFile(name: NativeFile): string {
  if (ROOT === undefined) return extract(name, Buffer.from(getAsset(`build/${name}`)));
  const built = new URL(`build/${name}`, ROOT);
  if (existsSync(built)) return fileURLToPath(built);
  const platform = platformPackage();
  try {
    return createRequire(new URL('package.json', ROOT)).resolve(`${platform}/${name}`);
  } catch (cause) {
    const version = (JSON.parse(readPackageFile('package.json')) as { version: string }).version;
    throw new UserError(`the package ${platform} is missing: it has the part of whodns for this machine`, {
      hint: `npm install ${platform}@${version} (npm leaves it out with --omit=optional), or in a checkout: npm run build`,
      cause,
    });
  }
}

/** The npm package with what is built for this processor and this libc. */
export function platformPackage(): string {
  return `@whodns/linux-${process.arch}-${usesMusl() ? 'musl' : 'glibc'}`;
}

/** The dynamic loader of musl is mapped into each program that is linked with it. */
function usesMusl(): boolean {
  try {
    return readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-');
  } catch {
    return false;
  }
}

function rootAbove(folder: URL): URL {
  if (existsSync(new URL('package.json', folder))) return folder;
  const parent = new URL('../', folder);
  if (parent.href === folder.href) throw new Error(`no package.json above ${import.meta.url}`);
  return rootAbove(parent);
}

function firstFolder(root: URL, file: string): string {
  const [first = ''] = file.slice(root.href.length).split('/');
  return new URL(`${first}/`, root).href;
}
