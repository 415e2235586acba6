/** Who asked, in network, PID and mount namespaces and in cgroups of all container runtimes. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { finish } from '../matrix/namespace.ts';
import { ACTOR, ANSWER, assertOwner, claimsOf, only, SERVER, Stage } from './stage.ts';

const OTHER_ANSWER = '192.0.2.2';

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage?.close());

test('setns: a socket of the old network namespace and one of the new', async () => {
  await stage.withTwin(OTHER_ANSWER, async (twin, server) => {
    const names = [`old.setns.${stage.zone}`, `new.setns.${stage.zone}`] as const;
    const claims = await stage.play('setns', `/proc/${twin.pid}/ns/net`, ...names);
    assert.deepEqual(server.requests(), [{ name: names[1], type: 'A' }]);
    for (const [index, answer] of [ANSWER, OTHER_ANSWER].entries()) {
      const claim = claims[index];
      assert.ok(claim);
      const record = await stage.recordOf(claim.name);
      assertOwner(record, claim.pid, ACTOR);
      assert.deepEqual(record.attributes['dns.answers'], [answer]);
    }
  });
});

/** Processes whose parent is `pid`, by their /proc/PID/stat; the name in brackets may hold anything. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        return (
          Number(
            readFileSync(`/proc/${entry}/stat`, 'latin1')
              .replace(/^.*\) /s, '')
              .split(' ')[1],
          ) === pid
        );
      } catch {
        return false; // ended meanwhile
      }
    })
    .map(Number);
}

async function childOf(pid: number): Promise<number> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const child = childrenOf(pid)[0];
    if (child !== undefined) return child;
    await sleep(10);
  }
  throw new Error(`process ${pid} has no child`);
}

for (const depth of [1, 2]) {
  test(`PID namespaces, ${depth} deep`, async () => {
    const name = `pidns-${depth}.${stage.zone}`;
    const enter = Array.from({ length: depth }, () => ['/usr/bin/unshare', '--pid', '--fork']).flat();
    const child = stage.namespace.spawn([...enter, ACTOR, 'wait', SERVER, name], ['pipe', 'pipe', 'inherit']);
    let pid = child.pid ?? 0;
    for (let level = 0; level < depth; level++) pid = await childOf(pid);
    const end = finish(child, 30_000);
    child.stdin?.end('go\n');
    const claim = only(claimsOf((await end).output));
    assert.equal(claim.pid, 1);
    const record = await stage.recordOf(name);
    assertOwner(record, pid, ACTOR);
    assert.equal(record.resource['process.vpid'], 1);
  });
}

test('two namespaces with the same addresses, ports, id and question at the same time', async () => {
  await stage.withTwin(OTHER_ANSWER, async (twin) => {
    const name = `twin.${stage.zone}`;
    const argv = [ACTOR, 'bound', SERVER, '4343', name];
    const children = [stage.namespace, twin].map((where) => where.spawn(argv, ['pipe', 'pipe', 'inherit']));
    const ends = children.map((child) => finish(child, 30_000));
    await sleep(300); // both wait, their sockets bound
    for (const child of children) child.stdin?.end('go\n');
    await Promise.all(ends);
    const records = await stage.recordsOf(name, 2);
    for (const [index, answer] of [ANSWER, OTHER_ANSWER].entries()) {
      const pid = children[index]?.pid;
      const record = only(records.filter((candidate) => candidate.resource['process.pid'] === pid));
      assert.deepEqual(record.attributes['dns.answers'], [answer]);
      assert.equal(record.attributes['network.local.port'], 4343);
    }
  });
});

/** Mount points of the cgroup v2 hierarchy, and of those v1 hierarchies that a new group can be joined in without setup. */
function cgroupMounts(): { v2: string[]; v1: string[] } {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  const points = (type: string): string[] =>
    mounts.filter((mount) => mount[2] === type).map((mount) => mount[1] ?? '');
  return { v2: points('cgroup2'), v1: points('cgroup').filter((point) => !point.includes('cpuset')) };
}

const ID = 'c0ffee'.repeat(11).slice(0, 64);
const POD = 'pod0123abcd-0000-4000-8000-00000000cafe';
const CGROUPS: readonly (readonly [path: string, runtime: string])[] = [
  [`system.slice/docker-${ID}.scope`, 'docker'],
  [`docker/${ID}`, 'docker'],
  [
    `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-${POD.replaceAll('-', '_')}.slice/cri-containerd-${ID}.scope`,
    'containerd',
  ],
  [`kubepods.slice/kubepods-${POD.replaceAll('-', '_')}.slice/crio-${ID}.scope`, 'cri-o'],
  [`machine.slice/libpod-${ID}.scope/container`, 'podman'],
  // The cgroupfs driver of Kubernetes names no runtime.
  [`kubepods/besteffort/${POD}/${ID}`, ''],
];

for (const version of ['v2', 'v1'] as const) {
  const mounts = cgroupMounts()[version];
  const skip = mounts.length === 0 ? `this host has no cgroup ${version} hierarchy mounted` : false;
  for (const [index, [path, runtime]] of CGROUPS.entries()) {
    test(`cgroup ${version}: ${path.replaceAll(ID, '<id>')}`, { skip }, async () => {
      const made = mounts.map((mount) => makeGroup(mount, path));
      try {
        const claim = only(
          await stage.play(
            'cgroup',
            made.map((group) => group.at(-1)).join(':'),
            `cgroup-${version}-${index}.${stage.zone}`,
          ),
        );
        const record = await stage.recordOf(claim.name);
        assertOwner(record, claim.pid, ACTOR);
        assert.equal(record.resource['container.id'], ID);
        assert.equal(record.resource['container.runtime.name'] ?? '', runtime);
        assert.equal(record.resource['process.linux.cgroup'], version === 'v2' ? `0::/${path}` : `/${path}`);
      } finally {
        for (const group of made) for (const level of group.reverse()) removeGroup(level);
      }
    });
  }
}

/** Makes every level of the path below the mount; gives those that were not there, outermost first. */
function makeGroup(mount: string, path: string): string[] {
  const levels = path.split('/').map((_, index, parts) => join(mount, ...parts.slice(0, index + 1)));
  return levels.filter(
    (level, index) => mkdirSync(level, { recursive: true }) !== undefined || index === levels.length - 1,
  );
}

function removeGroup(level: string): void {
  try {
    rmdirSync(level);
  } catch {
    // the members' exit is still being cleaned up, or another test is inside
  }
}

test('no record of a query that no server saw, none twice', async () => {
  await stage.assertNothingMore();
});
