/** Systems of apt: where their archives are, and whose signature debootstrap asks for. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedProgram, run } from '../collector/program-cache.ts';
import { MIRROR } from './debian-packages.ts';

export interface System {
  /** As docs/platforms.md calls it. */
  readonly title: string;
  readonly suite: string;
  readonly mirror: string;
  readonly components: string;
  /** What debootstrap is told of it; '' = it knows the suite itself. */
  readonly script: string;
  /** Path of the keys that sign the archive. */
  keyring(): Promise<string>;
}

const debian = (suite: string): System => ({
  title: `Debian ${suite}`,
  suite,
  mirror: MIRROR,
  components: 'main',
  script: '',
  keyring: async () => '/usr/share/keyrings/debian-archive-keyring.gpg',
});

const UBUNTU = 'http://archive.ubuntu.com/ubuntu';
/** Debian 12 has no package of Ubuntu's keys: theirs, by its digest. */
const UBUNTU_KEYS = 'pool/main/u/ubuntu-keyring/ubuntu-keyring_2021.03.26_all.deb';
const UBUNTU_KEYS_SHA256 = '0d0e7ed6b112f5d03eabf3c7eb01ebdacf9c57714b279e90495cfc58c8c4520f';

const ubuntu = (suite: string, version: string): System => ({
  title: `Ubuntu ${version}`,
  suite,
  mirror: UBUNTU,
  components: 'main,universe',
  // The script of all of Ubuntu's releases; debootstrap of Debian 12 does not know the last by its name.
  script: '/usr/share/debootstrap/scripts/gutsy',
  keyring: ubuntuKeyring,
});

export const DEBIAN = ['bullseye', 'bookworm', 'trixie'].map(debian);
export const UBUNTUS = [ubuntu('jammy', '22.04'), ubuntu('noble', '24.04')];

export function systemOf(suite: string): System {
  const found = [...DEBIAN, ...UBUNTUS].find((system) => system.suite === suite);
  if (found === undefined) throw new Error(`${suite}: no such system`);
  return found;
}

function ubuntuKeyring(): Promise<string> {
  return cachedProgram('ubuntu-keyring-2021.03.26.gpg', async (target) => {
    const response = await fetch(`${UBUNTU}/${UBUNTU_KEYS}`, { signal: AbortSignal.timeout(60_000) });
    if (!response.ok) throw new Error(`${UBUNTU_KEYS}: HTTP ${response.status}`);
    const bytes = Buffer.from(await response.arrayBuffer());
    const sum = createHash('sha256').update(bytes).digest('hex');
    if (sum !== UBUNTU_KEYS_SHA256) throw new Error(`${UBUNTU_KEYS}: SHA256 is ${sum}`);
    const work = mkdtempSync(join(tmpdir(), 'whodns-keyring-'));
    try {
      writeFileSync(join(work, 'keys.deb'), bytes);
      await run(['dpkg-deb', '-x', join(work, 'keys.deb'), join(work, 'root')]);
      writeFileSync(target, readFileSync(join(work, 'root/usr/share/keyrings/ubuntu-archive-keyring.gpg')));
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
}

/** A minimal system in a new directory. */
export async function debootstrap(suite: string, packages: readonly string[], target: string): Promise<void> {
  const { mirror, components, script, keyring } = systemOf(suite);
  const include = packages.length > 0 ? [`--include=${packages.join(',')}`] : [];
  const options = [
    '--variant=minbase',
    `--keyring=${await keyring()}`,
    `--components=${components}`,
    ...include,
  ];
  await run(['debootstrap', ...options, suite, target, mirror, ...(script === '' ? [] : [script])]);
}
