/** Whose word a container id is: directories that look as cgroupfs does, root's and others'. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CgroupClaims } from '../../src/enrich/containers/cgroup-claims.ts';

const ID = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);
const UID = '11111111-2222-3333-4444-555555555555';
const PODS = '/kubepods.slice/kubepods-besteffort.slice';
const POD = `${PODS}/kubepods-besteffort-pod${UID.replaceAll('-', '_')}.slice`;
const GROUP = `${POD}/cri-containerd-${ID}.scope`;

describe('enrich: whose word a container id is', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let root: string;
  let claims: CgroupClaims;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'whodns-claims-'));
    claims = new CgroupClaims({ v2: { path: root, version: 2 }, hierarchies: [{ path: root, version: 1 }] });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const group = (path: string): bigint => {
    mkdirSync(root + path, { recursive: true });
    return statSync(root + path, { bigint: true }).ino;
  };
  /** Without it this file system's root is taken for the mount of a container's part. */
  const place = (): void => {
    claims.of(group(`/docker/${OTHER}`), `/docker/${OTHER}`, 2);
  };
  const of = (path: string, id = group(path), version: 1 | 2 = 2) => {
    const claim = claims.of(id, path, version);
    return claim && [claim.container.id, claim.container.podUid, claim.verified];
  };

  it('root made all of it', () => {
    assert.deepEqual(of(GROUP), [ID, UID, true]);
    assert.deepEqual(of(`${GROUP}/init.scope`), [ID, UID, true]);
    assert.equal(of('/system.slice/ssh.service'), undefined);
    assert.equal(of(PODS), undefined);
  });

  it('what lies in a container is not looked at, whoever has it', () => {
    const inner = `${GROUP}/docker/${OTHER}`;
    group(inner);
    chownSync(root + GROUP, 1000, 1000); // a user namespace's root has its own container's group
    assert.deepEqual(of(inner), [ID, UID, true]);
  });

  it('names the user whom a part of the tree was given to, and where the process is', () => {
    place();
    const user = '/user.slice/user-1000.slice/user@1000.service';
    const inner = `${user}/user.slice/libpod-${ID}.scope/container`;
    const given = () => claims.of(group(inner), inner, 2)?.given;
    group(inner);
    writeFileSync(`${root}${user}/cgroup.procs`, '');
    for (const path of [user, `${user}/cgroup.procs`]) chownSync(root + path, 1000, 1000);
    assert.deepEqual(given(), { user: 1000, group: root + inner });
  });

  it('names none where two could have made it', () => {
    place();
    for (const [name, give] of [
      ['procs', (path: string) => chownSync(`${path}/cgroup.procs`, 1001, 0)],
      ['writable', (path: string) => chmodSync(path, 0o775)],
      [
        'shared',
        (path: string) => {
          for (const each of [path, `${path}/cgroup.procs`]) chownSync(each, 1000, 1000);
          chmodSync(path, 0o775);
        },
      ],
    ] as const) {
      const path = `/${name}/libpod-${ID}`;
      group(path);
      writeFileSync(`${root}/${name}/cgroup.procs`, '');
      give(`${root}/${name}`);
      const claim = claims.of(group(path), path, 2);
      assert.deepEqual([claim?.verified, claim?.given], [false, undefined], name);
    }
  });

  for (const [what, give] of [
    ['belongs to another', (path: string) => chownSync(path, 1000, 1000)],
    ['can be written by its group', (path: string) => chmodSync(path, 0o775)],
    ['can be written by all', (path: string) => chmodSync(path, 0o777)],
    [
      'lets another move processes',
      (path: string) => {
        writeFileSync(`${path}/cgroup.procs`, '');
        chownSync(`${path}/cgroup.procs`, 1000, 0);
      },
    ],
  ] as const)
    for (const above of ['/kubepods.slice', PODS, POD])
      it(`unverified where a group above ${what}: ${above.split('/').length - 1} deep`, () => {
        place();
        const id = group(GROUP);
        give(root + above);
        assert.deepEqual(of(GROUP, id), [ID, UID, false]);
      });

  it("one that is gone was root's if its parent is, or the kubelet's", () => {
    place();
    group(POD);
    assert.deepEqual(of(GROUP, 1n), [ID, UID, true]);
    rmSync(root + POD, { recursive: true });
    assert.deepEqual(of(GROUP, 2n), [ID, UID, true]);
    group('/user.slice');
    assert.deepEqual(of(`/user.slice/user-1000.slice${GROUP}`, 3n), [ID, UID, false]);
    assert.deepEqual(of(`/user.slice/user-1000.slice/docker-${ID}.scope`, 4n), [ID, undefined, false]);
  });

  it('seen from inside a container the path above the mount does not count; its place is known by the id', () => {
    const seen = `/docker/${OTHER}${GROUP}`;
    assert.deepEqual(claims.of(7n, seen, 2)?.verified, false);
    assert.deepEqual(of(seen, group(GROUP)), [ID, UID, true]);
    const own = `/docker/${OTHER}/system.slice/ssh.service`;
    assert.equal(of(own, group('/system.slice/ssh.service')), undefined);
    assert.equal(claims.of(8n, `/docker/${ID}/a`, 2)?.verified, false); // beside us
  });

  it('version 1: the group itself too, for its owner moves his processes there; nowhere to be seen: unverified', () => {
    assert.deepEqual(of(GROUP, group(GROUP), 1), [ID, UID, true]);
    const other = `/docker/${ID}`;
    chownSync(root + (group(other) ? other : ''), 1000, 1000);
    assert.deepEqual(of(other, 0n, 1), [ID, undefined, false]);
    assert.deepEqual(claims.of(0n, `/lxc.payload.mail`, 1)?.verified, false);
  });

  it('no hierarchy to be seen: nothing is believed', () => {
    const blind = new CgroupClaims({ v2: undefined, hierarchies: [] });
    for (const version of [1, 2] as const) assert.equal(blind.of(1n, GROUP, version)?.verified, false);
    assert.equal(blind.of(1n, '/system.slice', 2), undefined);
  });
});
