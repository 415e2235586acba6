/** Where control groups are mounted, which of them are workloads, and how the tree of them follows the file system. */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseMounts } from '../../src/enrich/containers/cgroup-mounts.ts';
import { CgroupTree, workloadAt } from '../../src/visibility/cgroup-tree.ts';

const ID = '0123456789abcdef'.repeat(4);
const OTHER = 'fedcba9876543210'.repeat(4);
const UID = '11111111-2222-3333-4444-555555555555';
const SLICE = `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UID.replaceAll('-', '_')}.slice`;

describe('cgroup mounts', () => {
  const UNIFIED = '26 20 0:23 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate';
  const HYBRID = [
    '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
    '42 31 0:39 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 master:2 - cgroup cgroup rw,cpu,cpuacct',
    '43 31 0:40 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
  ].join('\n');

  it('a unified host has v2 alone', () =>
    assert.deepEqual(parseMounts(UNIFIED, ''), {
      v2: { path: '/sys/fs/cgroup', version: 2 },
      v1: undefined,
      hierarchies: [],
    }));
  it('a hybrid host has both', () =>
    assert.deepEqual(parseMounts(HYBRID, '/proc/1/root'), {
      v2: { path: '/proc/1/root/sys/fs/cgroup/unified', version: 2 },
      v1: { path: '/proc/1/root/sys/fs/cgroup/pids', version: 1 },
      hierarchies: ['cpu,cpuacct', 'pids'].map((name) => ({
        path: `/proc/1/root/sys/fs/cgroup/${name}`,
        version: 1,
      })),
    }));
  it('the mount of a part is none; seen from a cgroup namespace of our own it may be the whole', () => {
    const none = { v2: undefined, v1: undefined, hierarchies: [] };
    assert.deepEqual(parseMounts(UNIFIED.replace(' / ', ' /../other '), ''), none);
    assert.deepEqual(parseMounts(UNIFIED.replace(' / ', ' /../.. '), '').v2, {
      path: '/sys/fs/cgroup',
      version: 2,
      relative: true,
    });
  });
  it('blanks in the path are escaped', () =>
    assert.equal(parseMounts(UNIFIED.replace('/sys/fs', '/my\\040dir'), '').v2?.path, '/my dir/cgroup'));
  it('nonsense has none', () =>
    assert.deepEqual(parseMounts('\0\n - cgroup2\n\n', ''), {
      v2: undefined,
      v1: undefined,
      hierarchies: [],
    }));
});

describe('workload groups', () => {
  const mount = { path: '/sys/fs/cgroup', version: 2 } as const;
  const at = (path: string) => {
    const found = workloadAt(mount, path, 7n);
    return found && [found.kind, found.containerId, found.podUid];
  };
  it('the kubelet with systemd', () => {
    assert.deepEqual(at('/kubepods.slice'), ['pods', undefined, undefined]);
    assert.deepEqual(at('/kubelet.slice/kubelet-kubepods.slice'), ['pods', undefined, undefined]);
    assert.equal(at('/kubepods.slice/kubepods-burstable.slice'), undefined);
    assert.deepEqual(at(SLICE), ['pod', undefined, UID]);
    assert.deepEqual(at(`${SLICE}/cri-containerd-${ID}.scope`), ['container', ID, UID]);
    assert.equal(at(`${SLICE}/cri-containerd-${ID}.scope/init.scope`), undefined);
  });
  it('the kubelet with cgroupfs, Docker, a container in a container', () => {
    assert.deepEqual(at('/kubepods'), ['pods', undefined, undefined]);
    assert.deepEqual(at(`/kubepods/pod${UID}`), ['pod', undefined, UID]);
    assert.deepEqual(at(`/kubepods/pod${UID}/${ID}`), ['container', ID, UID]);
    assert.deepEqual(at(`/docker/${ID}`), ['container', ID, undefined]);
    assert.equal(at(`/docker/${ID}/kubelet`), undefined);
    assert.equal(at(`/docker/${ID}/kubelet/${OTHER}`), undefined);
  });
  it('everything else is the host', () => {
    for (const path of [
      '/',
      '/system.slice/sshd.service',
      '/user.slice',
      '/kubepodsx',
      `/podless/pod${UID}x`,
    ])
      assert.equal(at(path), undefined, path);
  });
});

describe('the tree of groups', () => {
  let root: string;
  let tree: CgroupTree;
  let changes: number;
  const containers = () => [...tree.workloads()].flatMap(({ containerId }) => containerId ?? []).sort();
  async function until(condition: () => boolean): Promise<void> {
    for (let i = 0; i < 300 && !condition(); i++) await sleep(10);
    assert.ok(condition(), JSON.stringify(containers()));
  }

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'whodns-groups-'));
    changes = 0;
    tree = new CgroupTree({ mounts: [{ path: root, version: 2 }], onChange: () => changes++ });
  });
  afterEach(() => {
    tree.stop();
    rmSync(root, { recursive: true, force: true });
  });

  it('knows what is there, sees what comes and goes', async () => {
    mkdirSync(`${root}/docker/${ID}`, { recursive: true });
    tree.start();
    assert.deepEqual(containers(), [ID]);
    mkdirSync(`${root}${SLICE}/cri-containerd-${OTHER}.scope`, { recursive: true });
    await until(() => containers().length === 2);
    assert.ok(changes >= 1);
    rmSync(`${root}/docker/${ID}`, { recursive: true });
    await until(() => containers().length === 1);
    assert.deepEqual(containers(), [OTHER]);
  });

  it('what is made and removed at once leaves nothing', async () => {
    tree.start();
    for (let i = 0; i < 50; i++) {
      mkdirSync(`${root}/a/docker/${ID}`, { recursive: true });
      rmSync(`${root}/a`, { recursive: true });
    }
    mkdirSync(`${root}/b/docker/${OTHER}`, { recursive: true });
    await until(() => containers().length === 1);
    assert.deepEqual(containers(), [OTHER]);
  });

  it('groups without end fill the tree, not the memory, and those nearer to the root are found first', () => {
    for (let i = 0; i < 17_000; i++) mkdirSync(`${root}/a/b/g${i}`, { recursive: true });
    mkdirSync(`${root}/system.slice/docker-${OTHER}.scope`, { recursive: true });
    tree.start();
    assert.deepEqual(containers(), [OTHER]);
    assert.ok(tree.skipped > 500, `${tree.skipped}`);
  });

  it('what is inside a container is not looked at', () => {
    mkdirSync(`${root}/docker/${ID}/docker/${OTHER}`, { recursive: true });
    tree.start();
    assert.deepEqual(containers(), [ID]);
  });

  it('what somebody made in a part that was given to him is not there, what root made beside it is', async () => {
    mkdirSync(`${root}/user.slice`, { recursive: true });
    tree.start();
    mkdirSync(`${root}/user.slice/own`);
    await sleep(50); // known as root's
    chownSync(`${root}/user.slice/own`, 1000, 1000);
    mkdirSync(`${root}/user.slice/own${SLICE}/cri-containerd-${ID}.scope`, { recursive: true });
    mkdirSync(`${root}/user.slice/docker-${OTHER}.scope`);
    await until(() => containers().length === 1);
    tree.refresh();
    assert.deepEqual(containers(), [OTHER]);
  });

  it('no deeper than the kernel programs look', () => {
    mkdirSync(`${root}${'/n'.repeat(25)}/docker/${ID}`, { recursive: true });
    tree.start();
    assert.deepEqual(containers(), []);
  });
});
