/**
 * The image built by an ordinary user, who has subordinate ids and nothing else: buildah in a user namespace. The user exists in
 * a mount namespace of the test only.
 */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from '../collector/program-cache.ts';
import { baseArchive } from './image.ts';

const ROOT = join(import.meta.dirname, '../..');
const UID = 64321;
/** What the Dockerfile reads. */
const CONTEXT = [
  ...[
    'Dockerfile',
    '.dockerignore',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'bpf',
    'native',
    'packaging',
    'data',
    'src',
  ],
  'deploy/image.sh',
];
const ACCOUNTS: Readonly<Record<string, string>> = {
  passwd: `builder:x:${UID}:${UID}::/:/bin/sh`,
  group: `builder:x:${UID}:`,
  subuid: 'builder:1000000:65536',
  subgid: 'builder:1000000:65536',
};
/** Argument: the base archive. */
const BUILD = `
set -eu
cd
c=$(buildah from scratch)
buildah add --quiet $c "$1" / >&2
buildah commit --quiet --rm $c localhost/base >&2
buildah bud --isolation chroot --network host --pull-never --quiet --build-arg BASE=localhost/base --tag whodns context >&2
c=$(buildah from --pull-never localhost/whodns)
buildah unshare sh -c 'cat /proc/self/uid_map; chroot $(buildah mount "$1") /usr/local/bin/node /opt/whodns/dist/main.js --version' sh $c
`;

describe('image, built by an ordinary user', { timeout: 3_600_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-rootless-'));
  let base: string;

  before(async () => {
    base = join(directory, 'base.tar');
    copyFileSync(await baseArchive(), base);
    mkdirSync(join(directory, 'run'));
    for (const path of CONTEXT)
      cpSync(join(ROOT, path), join(directory, 'context', path), { recursive: true });
    await run(['chown', '-R', `${UID}:${UID}`, directory]);
  });
  // Root: the files belong to subordinate ids.
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('builds, and runs', async () => {
    const binds = Object.entries(ACCOUNTS).map(([name, line]) => {
      const file = join(directory, `etc-${name}`);
      writeFileSync(file, `${readFileSync(`/etc/${name}`, 'utf8')}${line}\n`);
      return `mount --bind ${file} /etc/${name}`;
    });
    const environment = [`HOME=${directory}`, `XDG_RUNTIME_DIR=${directory}/run`, `PATH=${process.env.PATH}`];
    const script = [...binds, 'exec "$@"'].join(' && ');
    const output = await run([
      ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'],
      ...['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups'],
      ...['env', '-i', ...environment, 'STORAGE_DRIVER=overlay', 'sh', '-c', BUILD, 'sh', base],
    ]);
    const lines = output.trim().split('\n');
    assert.match(lines[0] ?? '', new RegExp(`^0 +${UID} +1$`), output);
    assert.equal(lines.at(-1), '0.1.0', output);
  });
});
