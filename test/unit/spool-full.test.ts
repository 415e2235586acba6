/** The spool on a full disk, a real one: a small tmpfs in a mount namespace. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';

const skip = process.getuid?.() === 0 ? false : 'mounting needs root';

it('full disk: memory takes over, order and books hold, and it recovers', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-full-'));
  const script = 'mount -t tmpfs -o size=1m whodns-test "$1" && exec "$2" "$3" "$1"';
  const program = join(import.meta.dirname, 'spool-full.ts');
  const words = [
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    script,
    'sh',
    directory,
    process.execPath,
    program,
  ];
  const result = spawnSync('unshare', words, { encoding: 'utf8' });
  rmSync(directory, { recursive: true });
  assert.equal(result.status, 0, result.stderr + result.stdout);
  assert.match(result.stdout, /done/);
});
