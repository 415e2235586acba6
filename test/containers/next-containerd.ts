/** containerd of Debian 13 unpacked into the cache, with its shim; nothing of it is installed. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const SUITE = 'trixie';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const DOWNLOAD_MS = 300_000;

/** Path of the daemon. */
export function nextContainerd(): string {
  const cache = join(homedir(), '.cache/whodns/containers', SUITE);
  const program = join(cache, 'usr/bin/containerd');
  if (!existsSync(program)) unpack(cache);
  return program;
}

/** By apt with lists of its own, so that what it downloads is verified as any package is. */
function unpack(cache: string): void {
  const work = `${cache}.part-${process.pid}`;
  mkdirSync(join(work, 'lists/partial'), { recursive: true });
  mkdirSync(join(work, 'cache/archives/partial'), { recursive: true });
  const sources = join(work, 'sources.list');
  writeFileSync(sources, `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${SUITE} main\n`);
  const options = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(work, 'lists'),
    'Dir::Cache': join(work, 'cache'),
    'APT::Sandbox::User': 'root',
  };
  const own = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const run = (program: string, words: readonly string[]) =>
    execFileSync(program, words, { cwd: work, stdio: 'pipe', timeout: DOWNLOAD_MS });
  try {
    run('apt-get', [...own, 'update']);
    run('apt-get', [...own, 'download', 'containerd']);
    const [archive = ''] = globSync('containerd_*.deb', { cwd: work });
    run('dpkg', ['-x', archive, 'unpacked']);
    rmSync(cache, { recursive: true, force: true });
    renameSync(join(work, 'unpacked'), cache);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
