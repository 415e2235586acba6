/** Container ids from cgroup paths: the forms are those real hosts show (file names of the projects in brackets). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { chooseCgroup, containerOf } from '../../src/enrich/containers/container.ts';

const ID = '4c01db0b339c9a4d9d12a9e1a7b2c2e8a9f2f2c7d4d5e6f708192a3b4c5d6e7f';
const OUTER = '7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605';
const POD = '275ecb36-5aa8-4c2a-9c47-d8bb681b9aff';
const POD_ = POD.replaceAll('-', '_');

type Maybe = string | undefined;
type Row = readonly [what: string, path: string, runtime?: Maybe, podUid?: Maybe, qos?: Maybe, id?: string];

const CONTAINERS: readonly Row[] = [
  ['docker, cgroupfs', `/docker/${ID}`, 'docker'],
  ['docker, systemd', `/system.slice/docker-${ID}.scope`, 'docker'],
  [
    'docker, rootless',
    `/user.slice/user-1000.slice/user@1000.service/user.slice/docker-${ID}.scope`,
    'docker',
  ],
  ['docker, a process deeper inside', `/docker/${ID}/system.slice/ssh.service`, 'docker'],
  ['docker, own --cgroup-parent', `/actions_job/${ID}`],
  ['docker in docker', `/docker/${ID}/docker/${OUTER}`, 'docker'],
  [
    'a container of which somebody says that it is a pod',
    `/docker/${ID}/kubepods/pod${POD}/${OUTER}`,
    'docker',
  ],
  [
    'a build in dockerd',
    '/docker/buildkit/5cf82fwiumld3vcs5d5l5pzyv',
    'buildkit',
    undefined,
    undefined,
    '5cf82fwiumld3vcs5d5l5pzyv',
  ],
  [
    'a build in dockerd, systemd',
    '/system.slice/docker-5cf82fwiumld3vcs5d5l5pzyv.scope',
    'docker',
    undefined,
    undefined,
    '5cf82fwiumld3vcs5d5l5pzyv',
  ],
  ['kubelet cgroupfs, burstable', `/kubepods/burstable/pod${POD}/${ID}`, undefined, POD, 'burstable'],
  ['kubelet cgroupfs, best effort', `/kubepods/besteffort/pod${POD}/${ID}`, undefined, POD, 'besteffort'],
  ['kubelet cgroupfs, guaranteed', `/kubepods/pod${POD}/${ID}`, undefined, POD, 'guaranteed'],
  [
    'kubelet cgroupfs, static pod',
    `/kubepods/burstable/pod6a5c8b1e0f9d4a3b8c7d6e5f4a3b2c1d/${ID}`,
    undefined,
    '6a5c8b1e0f9d4a3b8c7d6e5f4a3b2c1d',
    'burstable',
  ],
  [
    'kubelet systemd, containerd',
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${POD_}.slice/cri-containerd-${ID}.scope`,
    'containerd',
    POD,
    'burstable',
  ],
  [
    'kubelet systemd, guaranteed',
    `/kubepods.slice/kubepods-pod${POD_}.slice/cri-containerd-${ID}.scope`,
    'containerd',
    POD,
    'guaranteed',
  ],
  [
    'kubelet systemd, docker',
    `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${POD_}.slice/docker-${ID}.scope`,
    'docker',
    POD,
    'besteffort',
  ],
  [
    'kubelet systemd, cri-o',
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${POD_}.slice/crio-${ID}.scope`,
    'cri-o',
    POD,
    'burstable',
  ],
  ['cri-o, cgroupfs', `/kubepods/besteffort/pod${POD}/crio-${ID}`, 'cri-o', POD, 'besteffort'],
  [
    'cri-o, process below a container cgroup',
    `/kubepods/pod${POD}/crio-${ID}/container`,
    'cri-o',
    POD,
    'guaranteed',
  ],
  [
    'containerd without systemd but with its names',
    `/system.slice/containerd.service/kubepods-besteffort-pod${POD_}.slice:cri-containerd:${ID}`,
    'containerd',
    POD,
    'besteffort',
  ],
  [
    'the same at the root',
    `/kubepods-burstable-pod${POD_}.slice:cri-containerd:${ID}`,
    'containerd',
    POD,
    'burstable',
  ],
  ['kind: a node in docker', `/docker/${ID}/kubelet/kubepods/besteffort/pod${POD}/${OUTER}`, 'docker'],
  [
    'kind, systemd, seen from inside the node',
    `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod${POD_}.slice/cri-containerd-${ID}.scope`,
    'containerd',
    POD,
    'burstable',
  ],
  ['podman, quadlet', `/system.slice/web.service/libpod-payload-${ID}`, 'podman'],
  ['seen from inside a cgroup namespace', `/../../pod${POD}/${ID}`, undefined, POD, 'guaranteed'],
  ['seen from inside, cri-o', `/../crio-${ID}.scope`, 'cri-o'],
  ['podman, root', `/machine.slice/libpod-${ID}.scope`, 'podman'],
  ['podman, process below', `/machine.slice/libpod-${ID}.scope/container`, 'podman'],
  [
    'podman, rootless',
    `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope/container`,
    'podman',
  ],
  ['podman, pod', `/machine.slice/machine-libpod_pod_${OUTER}.slice/libpod-${ID}.scope`, 'podman'],
  ['podman, cgroupfs', `/libpod_parent/libpod-${ID}`, 'podman'],
  ['nerdctl, systemd', `/system.slice/nerdctl-${ID}.scope`, 'containerd'],
  ['nerdctl, cgroupfs', `/default/${ID}`],
  ['ECS on EC2', `/ecs/test-ecs-classic/5a0d5ceddf6c44c1928d367a815d890f/${ID}`],
  ['ECS, old', `/ecs/eb9d3d0c-8936-42d7-80d8-f82b2f1a629e/${ID}`],
  [
    'Fargate',
    '/ecs/34dc0b5e626f2c5c4c5170e34b10e765/34dc0b5e626f2c5c4c5170e34b10e765-1234567890',
    undefined,
    undefined,
    undefined,
    '34dc0b5e626f2c5c4c5170e34b10e765-1234567890',
  ],
  [
    'Cloud Foundry',
    '/system.slice/garden.service/garden/70eb4ce5-a065-4401-6990-88ed',
    'garden',
    undefined,
    undefined,
    '70eb4ce5-a065-4401-6990-88ed',
  ],
  ['LXC', '/lxc.payload.mail/system.slice/postfix.service', 'lxc', undefined, undefined, 'mail'],
  ['LXC, old', '/lxc/101/init.scope', 'lxc', undefined, undefined, '101'],
];

const NONE: readonly (readonly [string, string])[] = [
  ['unknown', ''],
  ['root', '/'],
  ['a service', '/system.slice/ssh.service'],
  ['dockerd itself', '/system.slice/docker.service'],
  ['a session', '/user.slice/user-1000.slice/session-3.scope'],
  ['kubelet', '/system.slice/kubelet.service'],
  ['a pod without a container', `/kubepods/burstable/pod${POD}`],
  ["podman's monitor", `/machine.slice/libpod-conmon-${ID}.scope`],
  ["cri-o's monitor", `/kubepods.slice/kubepods-pod${POD_}.slice/crio-conmon-${ID}.scope`],
  ["LXC's monitor", '/lxc.monitor.mail'],
  ['a virtual machine', '/machine.slice/machine-qemu\\x2d1\\x2dvm.scope'],
  ['63 digits', `/docker/${ID.slice(1)}`],
  ['65 digits', `/docker/a${ID}`],
  ['an id inside something longer', `/system.slice/docker-${ID}-helper.scope`],
  ['an id behind something', `/system.slice/backup-${ID}.service`],
  ['upper case', `/docker/${ID.toUpperCase()}`],
  ['other letters', `/docker/${'g'.repeat(64)}`],
  ['a newline behind', `/docker/${ID}\n`],
  ['longer than a path can be', `/${'a/'.repeat(3000)}${ID}`],
  ['colons without an end', `/${'a:'.repeat(2000)}`],
];

describe('enrich: container of a cgroup path', () => {
  for (const [what, path, runtime, podUid, qos, id] of CONTAINERS) {
    it(what, () => assert.deepEqual(containerOf(path), { id: id ?? ID, runtime, podUid, qos }));
  }

  for (const [what, path] of NONE) {
    it(`none: ${what}`, () => assert.equal(containerOf(path), undefined));
  }

  it('the monitor of a container in a kind node is in the node', () => {
    assert.equal(containerOf(`/docker/${OUTER}/system.slice/crio-conmon-${ID}.scope`)?.id, OUTER);
  });

  it('takes hostile paths in no time', () => {
    const started = performance.now();
    for (const piece of ['a', '/', ':', '-', 'pod', 'kubepods-', `${ID}:`, `docker-${ID}`, '../'])
      containerOf(`/${piece.repeat(Math.floor(4095 / piece.length))}`);
    assert.ok(performance.now() - started < 50);
  });
});

describe('enrich: line of /proc/PID/cgroup', () => {
  const rows: readonly (readonly [string, string, string | undefined, 1 | 2 | undefined])[] = [
    ['version 2', '0::/system.slice/ssh.service\n', '/system.slice/ssh.service', 2],
    ['version 1', `12:pids:/docker/${ID}\n1:name=systemd:/docker/${ID}\n`, `/docker/${ID}`, 1],
    ['hybrid: version 2 is the root', '4:memory:/jobs/7\n1:name=systemd:/\n0::/\n', '/jobs/7', 1],
    [
      'hybrid: version 2 is a service',
      '1:name=systemd:/x\n0::/system.slice/a.service\n',
      '/system.slice/a.service',
      2,
    ],
    [
      'hybrid: only one hierarchy has the container',
      `0::/init.scope\n4:memory:/docker/${ID}\n`,
      `/docker/${ID}`,
      1,
    ],
    ['all at the root', '3:cpu:/\n0::/\n', '/', 1],
    ['several controllers', `12:cpu,cpuacct:/docker/${ID}\n0::/\n`, `/docker/${ID}`, 1],
    ['a path with colons', '0::/a:b:c\n', '/a:b:c', 2],
    ['nothing', '', undefined, undefined],
    ['no lines of the kind', 'hello\n\n', undefined, undefined],
  ];
  for (const [what, text, path, version] of rows) {
    it(what, () => {
      const chosen = chooseCgroup(text);
      assert.equal(chosen?.path, path);
      assert.equal(chosen?.version, version);
    });
  }

  it('of this very process is one of its lines', () => {
    const text = readFileSync('/proc/self/cgroup', 'utf8');
    assert.ok(text.split('\n').includes(chooseCgroup(text)?.line ?? 'none'));
  });
});
