/** Directories stand for cgroups here: what counts is whose they are. */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DelegatedCgroups } from '../../src/enrich/containers/delegated-cgroups.ts';
import { OWNER } from './correlate-events.ts';
import { recordOf } from './workload-sources.ts';

test('the topmost directory that is not root’s is the root of what is below it', (t) => {
  const mount = mkdtempSync(join(tmpdir(), 'whodns-cgroups-'));
  t.after(() => rmSync(mount, { recursive: true }));
  mkdirSync(join(mount, 'user.slice/user-1000.slice/user@1000.service/a/b'), { recursive: true });
  const service = join(mount, 'user.slice/user-1000.slice/user@1000.service');
  for (const each of [service, join(service, 'a')]) chownSync(each, 1000, 1000);
  const id = statSync(service, { bigint: true }).ino;
  const cgroups = new DelegatedCgroups(mount);
  const rootOf = (cgroupPath: string, cgroupId: bigint, cgroupVersion: 1 | 2 = 2) =>
    cgroups.rootOf(recordOf({ ...OWNER, cgroupId }, { cgroupPath, cgroupVersion }));
  assert.equal(rootOf('/user.slice/user-1000.slice/user@1000.service/a/b', 2n), id);
  assert.equal(rootOf('/user.slice/user-1000.slice/user@1000.service', 3n), id);
  assert.equal(rootOf('/user.slice/user-1000.slice', 4n), undefined);
  assert.equal(rootOf('/user.slice/../user.slice/user-1000.slice/user@1000.service', 5n), undefined);
  assert.equal(rootOf('/gone/away', 6n), undefined);
  assert.equal(rootOf('/user.slice/user-1000.slice/user@1000.service', 7n, 1), undefined);
  assert.equal(rootOf('/', 8n), undefined);
  for (let i = 100n; i < 10_000n; i++) rootOf('/user.slice', i);
  assert.equal(rootOf('/user.slice/user-1000.slice/user@1000.service/a/b', 2n), id);
});
