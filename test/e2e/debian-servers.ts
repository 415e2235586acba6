/**
 * Name servers and responders of Debian that tests run: fetched once, unpacked into the programs' cache, never installed. They run by the
 * loader and the libraries they came with, whatever this host is.
 */
import { createHash } from 'node:crypto';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedProgram } from '../collector/program-cache.ts';

const RELEASE = { suite: 'bookworm', architecture: 'amd64', withDependencies: true } as const;
const PACKAGES = ['avahi-daemon', 'bind9', 'llmnrd'];
/** Of Python alone: for the interpreter of this host. */
const MODULES = ['python3-zeroconf', 'python3-ifaddr', 'python3-async-timeout'];
/** Not needed by what runs, and large. */
const LEFT_OUT = [
  'usr/share/{doc,man,info,locale,i18n,lintian,zoneinfo,perl*,icu,common-licenses}',
  'usr/lib/x86_64-linux-gnu/{perl*,gconv,systemd}',
  'usr/bin/perl*',
];

export class DebianServers {
  /** Where the packages are unpacked. */
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** @throws when they are not in the cache and the mirror is not there */
  static async open(): Promise<DebianServers> {
    const hash = createHash('sha256').update(JSON.stringify([RELEASE, PACKAGES, MODULES, LEFT_OUT]));
    return new DebianServers(
      await cachedProgram(`name-servers-${hash.digest('hex').slice(0, 16)}`, async (target) => {
        // In a test machine they are in the cache, and packaging/ is not there.
        const { fetchPackages, unpackPackages } = await import('../../packaging/debian-packages.ts');
        const work = mkdtempSync(join(tmpdir(), 'whodns-servers-'));
        try {
          await unpackPackages(await fetchPackages(join(work, 'servers'), RELEASE, PACKAGES), target);
          const alone = { ...RELEASE, withDependencies: false };
          await unpackPackages(await fetchPackages(join(work, 'modules'), alone, MODULES), target);
        } finally {
          rmSync(work, { recursive: true });
        }
        for (const path of globSync(LEFT_OUT, { cwd: target }))
          rmSync(join(target, path), { recursive: true, force: true });
      }),
    );
  }

  /** PYTHONPATH of the modules. */
  get modules(): string {
    return join(this.root, 'usr/lib/python3/dist-packages');
  }

  /** @param program its path in its package, e.g. `usr/sbin/named` */
  command(program: string, ...words: readonly string[]): string[] {
    const libraries = ['lib', 'usr/lib'].map((folder) => `${this.root}/${folder}/x86_64-linux-gnu`).join(':');
    const loader = `${this.root}/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2`;
    return [loader, '--library-path', libraries, join(this.root, program), ...words];
  }
}
