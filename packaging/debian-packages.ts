/** Debian packages of another release or processor: fetched by apt with lists of its own, unpacked, never installed. */
import { execFile } from 'node:child_process';
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const MIRROR = 'http://deb.debian.org/debian';
const run = promisify(execFile);
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface DebianRelease {
  /** Debian's name of it. */
  readonly suite: string;
  readonly architecture: 'amd64' | 'arm64';
  readonly withDependencies: boolean;
}

/** Files of the packages named, in `folder`. apt verifies them. @throws when a package or the mirror is not there */
export async function fetchPackages(
  folder: string,
  { suite, architecture, withDependencies }: DebianRelease,
  packages: readonly string[],
): Promise<string[]> {
  const apt = join(folder, 'apt');
  for (const path of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(apt, path), { recursive: true });
  writeFileSync(join(apt, 'sources.list'), `deb [signed-by=${KEYRING}] ${MIRROR} ${suite} main\n`);
  // Nothing is installed there: so the dependencies of what is named are all missing.
  writeFileSync(join(apt, 'status'), '');
  const options = [
    `Dir::Etc::sourcelist=${apt}/sources.list`,
    'Dir::Etc::sourceparts=/dev/null',
    'Dir::Etc::preferencesparts=/dev/null',
    `Dir::State=${apt}/state`,
    `Dir::State::status=${apt}/status`,
    `Dir::Cache=${apt}/cache`,
    `APT::Architecture=${architecture}`,
    `APT::Architectures::=${architecture}`,
    'APT::Install-Recommends=false',
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  await run('apt-get', ['-qq', ...options, 'update']);
  const get = withDependencies ? ['install', '--yes', '--download-only'] : ['download'];
  await run('apt-get', ['-qq', ...options, ...get, ...packages], { cwd: join(apt, 'cache/archives') });
  const archives = join(apt, 'cache/archives');
  return globSync('*.deb', { cwd: archives }).map((name) => join(archives, name));
}

export async function unpackPackages(files: readonly string[], target: string): Promise<void> {
  mkdirSync(target, { recursive: true });
  await run('sh', ['-ec', 'for file; do dpkg-deb -x "$file" "$0"; done', target, ...files]);
}
