/** Containers and pods on the identity of a process: what is joined, when it is renewed, when it is forgotten. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Containers } from '../../src/enrich/containers/containers.ts';
import { ProcessTable } from '../../src/enrich/process/process.ts';
import { UserNames } from '../../src/enrich/process/users.ts';
import { container, ID, ListedSource, ownerIn, pod, recordOf, UID } from './workload-sources.ts';

function world(...sources: ListedSource[]) {
  const containers = new Containers({ sources });
  const changed: string[] = [];
  containers.start((id) => changed.push(id));
  const table = new ProcessTable({ host: {}, users: new UserNames(), bootTime: 0n, containers });
  return { containers, table, changed };
}

const OWNER = ownerIn();

describe('workloads: what a record says of its container and pod', () => {
  it('joins the runtime and the API', () => {
    const runtime = new ListedSource('cri', 'containers');
    const api = new ListedSource('kubernetes', 'pods');
    const { table } = world(runtime, api);
    runtime.addContainer(container({ labels: { tier: 'front' } }));
    api.addPod(pod());
    table.announce(recordOf(OWNER));
    const { resource, workload, incomplete } = table.identify(OWNER);
    assert.equal(workload, 'shop-1');
    assert.equal(incomplete, undefined);
    const wanted = {
      'container.id': ID,
      'container.name': 'web',
      'container.image.name': 'registry.example/shop/web',
      'container.image.id': 'sha256:11',
      'container.image.tags': ['1.2'],
      'container.image.repo_digests': ['registry.example/shop/web@sha256:22'],
      'container.runtime.name': 'containerd',
      'container.runtime.version': '1.6.20',
      'container.label.tier': 'front',
      'k8s.pod.uid': UID,
      'k8s.pod.name': 'shop-1',
      'k8s.namespace.name': 'prod',
      'k8s.container.name': 'web',
      'k8s.container.restart_count': 3,
      'k8s.deployment.name': 'shop',
      'service.name': 'shop',
      'service.namespace': 'prod',
      'service.instance.id': 'prod.shop-1.web',
      'service.version': '1.2@sha256:22',
    };
    const shown = Object.fromEntries(Object.keys(wanted).map((name) => [name, resource[name]]));
    assert.deepEqual(shown, wanted);
  });

  it('of the runtime alone: the pod, but no service', () => {
    const runtime = new ListedSource('cri', 'containers');
    const { table } = world(runtime);
    runtime.addContainer(container());
    table.announce(recordOf(OWNER));
    const { resource } = table.identify(OWNER);
    assert.equal(resource['k8s.pod.name'], 'shop-1');
    assert.equal(resource['k8s.namespace.name'], 'prod');
    assert.equal(resource['service.name'], 'unknown_service:getent');
    assert.equal(resource['service.instance.id'], undefined);
  });

  it('of the runtime alone, with annotations: the service as they have it; what the API says then comes first', () => {
    const runtime = new ListedSource('cri', 'containers');
    const api = new ListedSource('kubernetes');
    api.connected = false;
    const { table } = world(runtime, api);
    const told = { attributes: { 'service.name': 'told' }, containers: [] };
    runtime.addContainer(container());
    runtime.addPod(pod(told));
    table.announce(recordOf(OWNER));
    const early = table.identify(OWNER);
    assert.equal(early.resource['service.name'], 'told');
    assert.equal(early.resource['service.instance.id'], 'prod.shop-1.web');
    assert.equal(early.incomplete, undefined, 'nothing is waited for while the API is away');
    api.connected = true;
    runtime.addPod(pod({ ...told, labels: { a: 'b' } }));
    assert.equal(table.identify(OWNER).incomplete, true, 'the API has more');
    api.addPod(pod());
    assert.equal(table.identify(OWNER).incomplete, undefined);
    assert.equal(table.identify(OWNER).resource['service.name'], 'shop');
    // The API gives the pod up before the runtime does.
    api.removePod(UID);
    assert.equal(table.identify(OWNER).resource['k8s.pod.name'], 'shop-1');
  });

  it('of the API alone: the container by its id', () => {
    const api = new ListedSource('kubernetes', 'pods');
    const { table } = world(api);
    api.addPod(pod());
    table.announce(recordOf(OWNER));
    const { resource } = table.identify(OWNER);
    assert.equal(resource['k8s.container.name'], 'web');
    assert.equal(resource['container.name'], undefined);
  });

  it('a pod known only by the runtime, no uid in the path (docker with the cgroupfs driver)', () => {
    const runtime = new ListedSource('docker', 'containers');
    const api = new ListedSource('kubernetes', 'pods');
    const { table } = world(runtime, api);
    runtime.addContainer(container());
    table.announce(recordOf(OWNER, { cgroupPath: `/docker/${ID}` }));
    assert.equal(table.identify(OWNER).incomplete, true);
    api.addPod(pod());
    assert.equal(table.identify(OWNER).resource['k8s.deployment.name'], 'shop');
    assert.equal(table.identify(OWNER).resource['k8s.pod.uid'], UID);
  });

  it('the pause container has a pod but is none of its containers', () => {
    const runtime = new ListedSource('cri', 'containers');
    const { table } = world(runtime);
    runtime.addContainer(container({ sandbox: true, name: 'POD' }));
    table.announce(recordOf(OWNER));
    const { resource } = table.identify(OWNER);
    assert.equal(resource['k8s.pod.name'], 'shop-1');
    assert.equal(resource['k8s.container.name'], undefined);
    assert.equal(resource['k8s.container.restart_count'], undefined);
  });

  it('several tags or digests name no version', () => {
    const runtime = new ListedSource('cri', 'containers');
    const api = new ListedSource('kubernetes', 'pods');
    const { table } = world(runtime, api);
    api.addPod(pod({ containers: [] }));
    runtime.addContainer(container({ imageTags: ['1', '2'], imageRepoDigests: [] }));
    table.announce(recordOf(OWNER));
    assert.equal(table.identify(OWNER).resource['service.version'], undefined);
  });

  it('hostile names are values like others, and override nothing measured', () => {
    const runtime = new ListedSource('cri', 'containers');
    const api = new ListedSource('kubernetes', 'pods');
    const { table } = world(runtime, api);
    const name = `\u001b[2J\u0000${'x'.repeat(10)}__proto__`;
    runtime.addContainer(container({ name, labels: { __proto__x: 'a', constructor: 'b' } }));
    api.addPod(pod({ attributes: { 'process.pid': 1, 'service.name': '\n' } }));
    table.announce(recordOf(OWNER));
    const { resource } = table.identify(OWNER);
    assert.equal(resource['container.name'], name);
    assert.equal(resource['container.label.constructor'], 'b');
    assert.equal(resource['process.pid'], OWNER.pid);
  });
});

describe('workloads: renewal', () => {
  it('one object until something is learnt, then another; the old one keeps what it said', () => {
    const runtime = new ListedSource('cri', 'containers');
    const { table, changed } = world(runtime);
    table.announce(recordOf(OWNER));
    const first = table.identify(OWNER);
    assert.equal(first.incomplete, true);
    assert.equal(table.identify(OWNER), first);
    assert.deepEqual(runtime.sought, [ID]);
    runtime.addContainer(container());
    const second = table.identify(OWNER);
    assert.notEqual(second, first);
    assert.equal(second.incomplete, undefined);
    assert.equal(table.identify(OWNER), second);
    assert.equal(table.current(first), second);
    assert.equal(first.resource['container.name'], undefined);
    assert.deepEqual(changed, [ID]);
    // the same once more says nothing new
    runtime.addContainer(container());
    assert.equal(table.identify(OWNER), second);
  });

  it('an incomplete identity stays that of its program when the process has executed another', () => {
    const runtime = new ListedSource('cri', 'containers');
    const { table } = world(runtime);
    table.announce(recordOf(OWNER));
    const first = table.identify(OWNER);
    table.announce(recordOf(OWNER, { executablePath: '/usr/bin/dig' }));
    runtime.addContainer(container());
    const then = table.current(first);
    assert.equal(then.executableName, 'getent');
    assert.equal(then.resource['container.name'], 'web');
    assert.equal(table.current(first), then);
    assert.equal(table.identify(OWNER).executableName, 'dig');
  });

  it('a pod that changes renews all its containers, and no other', () => {
    const api = new ListedSource('kubernetes', 'pods');
    const { table } = world(api);
    const other = ownerIn({ pid: 4_194_301 });
    const otherUid = UID.replace('2', '3');
    api.addPod(pod());
    api.addPod(pod({ uid: otherUid, name: 'other' }));
    table.announce(recordOf(OWNER));
    table.announce(recordOf(other, { cgroupPath: `/kubepods/pod${otherUid}/${ID.replace('4', '5')}` }));
    const before = table.identify(other);
    api.addPod(pod({ attributes: { 'k8s.pod.label.version': '2' } }));
    assert.equal(table.identify(OWNER).resource['k8s.pod.label.version'], '2');
    assert.equal(table.identify(other), before);
  });

  it('a plain process never asks', () => {
    const runtime = new ListedSource('cri', 'containers');
    const { table, containers } = world(runtime);
    table.announce(recordOf(OWNER, { cgroupPath: '/system.slice/ssh.service' }));
    assert.equal(table.identify(OWNER).incomplete, undefined);
    assert.equal(containers.size, 0);
    assert.deepEqual(runtime.sought, []);
  });

  it('nobody connected, or an id that no runtime with a socket gives: nothing is waited for', () => {
    const runtime = new ListedSource('cri', 'containers');
    const { table } = world(runtime);
    table.announce(recordOf(OWNER, { cgroupPath: '/lxc.payload.box' }));
    assert.equal(table.identify(OWNER).incomplete, undefined);
    runtime.connected = false;
    const other = ownerIn({ pid: 4_194_301 });
    table.announce(recordOf(other));
    assert.equal(table.identify(other).incomplete, undefined);
    runtime.connected = true;
    runtime.addContainer(container());
    assert.equal(table.identify(other).resource['container.name'], 'web');
  });
});

describe('workloads: the end of a container', () => {
  it('what is gone stands for the time of grace, then it is forgotten', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let now = 0;
    const runtime = new ListedSource('cri', 'containers');
    const containers = new Containers({ sources: [runtime], now: () => now });
    containers.start();
    runtime.addContainer(container());
    assert.equal(containers.find(ID, UID).name, 'shop-1');
    runtime.removeContainer(ID);
    assert.equal(containers.find(ID, UID).name, 'shop-1');
    // one that nobody had asked for is kept as well: its last process may still be in the ring
    const late = ID.replace('4', '9');
    runtime.addContainer(container({ id: late, name: 'late' }));
    runtime.removeContainer(late);
    assert.equal(containers.find(late, UID).measured['container.name'], 'late');
    now += 10_001;
    t.mock.timers.tick(10_001);
    assert.equal(containers.size, 0);
    assert.equal(containers.counts.forgotten, 2);
    assert.equal(containers.find(ID, UID).name, ID.slice(0, 12));
  });

  it('churn is bounded', () => {
    const runtime = new ListedSource('cri', 'containers');
    const { containers } = world(runtime);
    for (let i = 0; i < 20_000; i++) containers.find(i.toString(16).padStart(64, '0'), `${UID}${i}`);
    assert.equal(containers.size, 8192);
    assert.equal(containers.counts.evicted, 20_000 - 8192);
  });

  it('a source that comes up later is asked as soon as a container shows', async () => {
    const runtime = new ListedSource('docker', 'containers');
    const containers = new Containers({ sources: [], discover: async () => [runtime] });
    containers.start();
    assert.equal(containers.find(ID, undefined).complete, true);
    await new Promise(setImmediate);
    runtime.addContainer(container({ pod: undefined }));
    assert.deepEqual(runtime.sought, [ID]);
    assert.equal(containers.find(ID, undefined).name, 'web');
  });
});
