/** Archives of Debian and Ubuntu: where they are, and the keys that sign them. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedProgram } from '../collector/program-cache.ts';

export const UBUNTU = 'http://archive.ubuntu.com/ubuntu';
/** Debian 12 has no package of Ubuntu's keys: theirs, by its digest. */
const UBUNTU_KEYS = 'pool/main/u/ubuntu-keyring/ubuntu-keyring_2021.03.26_all.deb';
const UBUNTU_KEYS_SHA256 = '0d0e7ed6b112f5d03eabf3c7eb01ebdacf9c57714b279e90495cfc58c8c4520f';

export interface Archive {
  /** What the archive's name is put behind. A suite leaves the first for the second when its support ends. */
  readonly mirrors: readonly string[];
  /** Path of the keys. */
  keyring(): Promise<string>;
}

/** @param name as in kernels.txt: debian, debian-security, ubuntu */
export function archiveNamed(name: string): Archive {
  return name === 'ubuntu'
    ? { mirrors: ['http://archive.ubuntu.com', 'http://old-releases.ubuntu.com'], keyring: ubuntuKeyring }
    : { mirrors: ['http://deb.debian.org', 'http://archive.debian.org'], keyring: debianKeyring };
}

export async function debianKeyring(): Promise<string> {
  return '/usr/share/keyrings/debian-archive-keyring.gpg';
}

export function ubuntuKeyring(): Promise<string> {
  return cachedProgram('ubuntu-keyring-2021.03.26.gpg', async (target) => {
    const response = await fetch(`${UBUNTU}/${UBUNTU_KEYS}`, { signal: AbortSignal.timeout(60_000) });
    if (!response.ok) throw new Error(`${UBUNTU_KEYS}: HTTP ${response.status}`);
    const bytes = Buffer.from(await response.arrayBuffer());
    const sum = createHash('sha256').update(bytes).digest('hex');
    if (sum !== UBUNTU_KEYS_SHA256) throw new Error(`${UBUNTU_KEYS}: SHA256 is ${sum}`);
    const work = mkdtempSync(join(tmpdir(), 'whodns-keyring-'));
    try {
      writeFileSync(join(work, 'keys.deb'), bytes);
      execFileSync('dpkg-deb', ['-x', join(work, 'keys.deb'), join(work, 'root')]);
      writeFileSync(target, readFileSync(join(work, 'root/usr/share/keyrings/ubuntu-archive-keyring.gpg')));
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
}
