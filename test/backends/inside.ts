/** Tests that run in a network and mount namespace of their own, where port 53 of loopback and /etc/resolv.conf are theirs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ADDRESS = '192.0.2.80';
// With an address of each family resolvers ask for A and AAAA.
const SETUP = `ip link set lo up && ip address add ${ADDRESS}/32 dev lo && ip address add 2001:db8::80/128 dev lo &&
mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`;

/** Runs a test file there, with WORK (a directory for everything that is written) and ADDRESS (one of its own). */
export function runInside(file: string, resolvConf: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-inside-'));
  try {
    const path = join(directory, 'resolv.conf');
    writeFileSync(path, resolvConf);
    // Without NODE_TEST_CONTEXT the inner run reports as text, not to this one.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const result = spawnSync(
      'unshare',
      ['-n', '-m', 'sh', '-c', SETUP, 'sh', path, process.execPath, '--test', file],
      { encoding: 'utf8', env: { ...env, WORK: directory, ADDRESS } },
    );
    assert.equal(result.status, 0, result.stdout + result.stderr);
    assert.match(result.stdout, /^# pass [1-9]|ℹ pass [1-9]/m);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
