/** A tiny image made here: busybox, getent and dig with their libraries, as an archive that `ctr import` and `docker load` take. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const PROGRAMS = ['/usr/bin/getent', '/usr/bin/dig'];
const APPLETS = ['sh', 'sleep', 'cat', 'true', 'nslookup', 'ls'];

export interface ImageArchive {
  readonly file: string;
  /** The image's id: the digest of its configuration. */
  readonly id: string;
}

/** @param names `repository:tag` of the image. */
export function buildImage(directory: string, names: readonly string[]): ImageArchive {
  const root = join(directory, 'root');
  buildRoot(root);
  const layer = join(directory, 'layer.tar');
  execFileSync('tar', ['-C', root, '--owner=0', '--group=0', '-cf', layer, '.']);
  const config = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: ['/bin/sleep', '1000000'], Env: ['PATH=/bin:/usr/bin'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(readFileSync(layer))}`] },
  });
  const id = sha256(Buffer.from(config));
  writeFileSync(join(directory, `${id}.json`), config);
  const manifest = [{ Config: `${id}.json`, RepoTags: names, Layers: ['layer.tar'] }];
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(manifest));
  const file = join(directory, 'image.tar');
  execFileSync('tar', ['-C', directory, '-cf', file, 'manifest.json', `${id}.json`, 'layer.tar']);
  return { file, id: `sha256:${id}` };
}

function buildRoot(root: string): void {
  for (const folder of ['bin', 'usr/bin', 'etc', 'proc', 'sys', 'dev', 'tmp'])
    mkdirSync(join(root, folder), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
  for (const applet of APPLETS) copyFileSync('/bin/busybox', join(root, 'bin', applet));
  for (const program of PROGRAMS) copyWithLibraries(root, program);
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: dns\n');
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
}

function copyWithLibraries(root: string, program: string): void {
  copyInto(root, program);
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, library = '']) => library);
  for (const library of libraries) copyInto(root, library);
  // What glibc loads while it runs lies beside it.
  const libc = dirname(libraries.find((library) => library.includes('/libc.so')) ?? '/lib/libc.so');
  for (const module of ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2'])
    if (existsSync(join(libc, module))) copyInto(root, join(libc, module));
}

function copyInto(root: string, file: string): void {
  const target = join(root, file);
  if (existsSync(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(file, target);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
