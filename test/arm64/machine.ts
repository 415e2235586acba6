/**
 * The arm64 test machine: its root is made of Debian's arm64 packages (nothing of them is run to make it), Node of npm's package for
 * arm64, and the test clients that zig's clang compiles. Emulated, as are the x86-64 machines of test/kernel.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fetchPackages, unpackPackages } from '../../packaging/debian-packages.ts';
import { nodeProgram, TOOLS } from '../../packaging/platforms.ts';
import { cachedProgram, run } from '../collector/program-cache.ts';
import { ETC, GUEST_REPOSITORY, pack, writeInto } from '../kernel/rootfs.ts';
import type { Machine } from '../kernel/vm.ts';
import { buildArm64Clients } from './clients.ts';

const SUITE = 'bookworm';
const ARM64 = { suite: SUITE, architecture: 'arm64' } as const;
const PACKAGES = [
  'bind9-dnsutils',
  'bind9-host',
  'bpftool',
  'busybox-static',
  'curl',
  'dnsmasq-base',
  'iproute2',
  'knot-dnsutils',
  'ldnsutils',
  'libc-bin',
  'libstdc++6',
  'liburing-dev',
  'python3.11',
  'unbound',
  'util-linux',
];
/** Not needed by what the tests run, and large. */
const LEFT_OUT = [
  'usr/share/{doc,man,info,locale,i18n,lintian,zoneinfo,bash-completion,perl*,icu,common-licenses}',
  'usr/lib/{udev,systemd,apt,dpkg,git-core}',
  'usr/lib/aarch64-linux-gnu/{perl*,gconv,systemd}',
  'usr/lib/python3.11/{test,lib2to3,pydoc_data,distutils,ensurepip,idlelib,tkinter}',
  'usr/bin/{perl*,delv,named-*,nsupdate}',
  'usr/include',
  'usr/lib/aarch64-linux-gnu/*.a',
  'var/{cache,lib/dpkg}',
];

export const ARM64_MACHINE: Machine = {
  architecture: 'arm64',
  command: ['qemu-system-aarch64', '-machine', 'virt', '-cpu', 'cortex-a72'],
  memoryMb: 2500,
  kernelArguments: 'console=ttyAMA0',
  base: arm64Base,
  parts: ['package.json', 'src', 'test'],
};

/** Path of the archive; made when the cache has none for these lists, this Node and these clients. */
async function arm64Base(): Promise<string> {
  const node = nodeProgram('arm64');
  const hash = createHash('sha256').update(
    JSON.stringify([ARM64, PACKAGES, LEFT_OUT, relative(TOOLS, node)]),
  );
  for (const source of globSync('test/clients/*.{c,h}').sort())
    hash.update(`${source} ${statSync(source).size}`);
  return cachedProgram(`arm64-${hash.digest('hex').slice(0, 16)}.cpio`, (target) => make(target, node));
}

async function make(target: string, node: string): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'whodns-arm64-'));
  try {
    const stage = join(work, 'stage');
    await unpackPackages(await fetchPackages(work, { ...ARM64, withDependencies: true }, PACKAGES), stage);
    await mergeUsr(stage);
    await buildArm64Clients(join(stage, GUEST_REPOSITORY, 'build/clients'), join(stage, 'usr'));
    for (const path of globSync(LEFT_OUT, { cwd: stage }))
      rmSync(join(stage, path), { recursive: true, force: true });
    cpSync(node, join(stage, 'usr/bin/node'));
    symlinkSync('python3.11', join(stage, 'usr/bin/python3'));
    mkdirSync(join(stage, 'bin'));
    mkdirSync(join(stage, 'sbin'));
    cpSync(join(stage, 'usr/bin/busybox'), join(stage, 'bin/busybox'));
    for (const [path, text] of Object.entries(ETC)) writeInto(stage, path, text);
    pack(stage, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The packages have both /bin and /usr/bin; programs are looked for in the latter, and libraries lead there. */
async function mergeUsr(stage: string): Promise<void> {
  for (const name of ['bin', 'sbin', 'lib']) {
    const from = join(stage, name);
    if (!existsSync(from)) continue;
    mkdirSync(join(stage, 'usr', name), { recursive: true });
    await run(['cp', '-a', `${from}/.`, join(stage, 'usr', name)]);
    rmSync(from, { recursive: true });
  }
  symlinkSync('usr/lib', join(stage, 'lib'));
  chmodSync(stage, 0o755);
}
