/** The source of pods against a real API server: what it knows of pods of every kind, as they come, change and go. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AGENT_RULES, Cluster, FileScope, OWNER_RULES } from './cluster.ts';
import { idOf, TestNode } from './node.ts';
import { openSource, until } from './source.ts';

/** One control plane for all tests of this file. */
let cluster: Cluster;
let node: TestNode;
let token: string;

describe('pods of a real API server', () => {
  const scope = new FileScope();
  after(() => scope.close());
  before(async () => {
    cluster = await Cluster.start(scope);
    node = new TestNode(cluster, 'node-a');
    await node.register();
    token = await cluster.account('whodns', AGENT_RULES);
    assert.equal(await cluster.whoIs(token), 'system:serviceaccount:kube-system:whodns');
  });

  test('only of this node, with place, owner and service', async (t) => {
    const other = new TestNode(cluster, 'node-b');
    const far = await other.bind({ name: 'far' });
    const pod = await node.run(
      await node.bind({
        name: 'web-7d9f8b6c5-x2x7k',
        metadata: {
          labels: { app: 'web', 'pod-template-hash': '7d9f8b6c5' },
          annotations: { 'whodns/capture': 'on', 'other/annotation': 'x' },
          ownerReferences: [owner('apps/v1', 'ReplicaSet', 'web-7d9f8b6c5')],
        },
      }),
    );
    const source = openSource(t, cluster.url, cluster, token, { rules: { podLabels: ['a*'] } });
    const uid = pod.metadata?.uid ?? '';
    await until(() => source.pod(uid) !== undefined && source.connected, 'pod known');
    assert.equal(source.pod(far.metadata?.uid ?? ''), undefined);
    const known = source.pod(uid);
    assert.deepEqual(known?.annotations, { 'whodns/capture': 'on' });
    const system = await cluster.core.readNamespace({ name: 'kube-system' });
    assert.deepEqual(known?.attributes, {
      'service.name': 'web',
      'service.namespace': 'default',
      'k8s.pod.label.app': 'web',
      'k8s.node.name': 'node-a',
      'k8s.node.uid': node.uid,
      'k8s.cluster.name': 'test',
      'k8s.cluster.uid': system.metadata?.uid,
      'k8s.namespace.name': 'default',
      'k8s.pod.name': 'web-7d9f8b6c5-x2x7k',
      'k8s.pod.uid': uid,
      'k8s.replicaset.name': 'web-7d9f8b6c5',
      'k8s.deployment.name': 'web',
    });
    assert.deepEqual(source.container(idOf(pod))?.pod, {
      uid,
      name: 'web-7d9f8b6c5-x2x7k',
      namespace: 'default',
      container: 'main',
    });
  });

  test('init and ephemeral containers, and the run before a restart', async (t) => {
    const source = openSource(t, cluster.url, cluster, token);
    const bound = await node.bind({
      name: 'several',
      spec: {
        initContainers: [{ name: 'setup', image: 'registry.test/setup@sha256:'.concat('ab'.repeat(32)) }],
      },
    });
    await cluster.core.replaceNamespacedPodEphemeralcontainers({
      name: 'several',
      namespace: 'default',
      body: {
        ...(await cluster.core.readNamespacedPod({ name: 'several', namespace: 'default' })),
        spec: {
          ...bound.spec,
          containers: bound.spec?.containers ?? [],
          ephemeralContainers: [{ name: 'debugger', image: 'busybox' }],
        },
      },
    });
    const running = await node.run(
      await cluster.core.readNamespacedPod({ name: 'several', namespace: 'default' }),
    );
    const first = idOf(running);
    for (const [name, kind] of [
      ['main', 'container'],
      ['setup', 'init'],
      ['debugger', 'ephemeral'],
    ] as const) {
      await until(() => source.container(idOf(running, name)) !== undefined, name);
      assert.equal(source.container(idOf(running, name))?.pod?.container, name);
      const entry = source.pod(running.metadata?.uid ?? '')?.containers.find((one) => one.name === name);
      assert.equal(entry?.kind, kind);
      assert.equal(entry?.attributes['k8s.container.name'], name);
    }
    const second = 'ab'.repeat(32);
    const statuses = (running.status?.containerStatuses ?? []).map((status) => ({
      ...status,
      restartCount: 1,
      containerID: `containerd://${second}`,
      lastState: { terminated: { exitCode: 1, containerID: `containerd://${first}` } },
    }));
    await node.setStatus(running, { containerStatuses: statuses });
    await until(() => source.container(second) !== undefined, 'second run');
    assert.equal(source.container(second)?.restartCount, 1);
    assert.equal(source.container(first)?.restartCount, 0);
    assert.equal(source.container(first)?.pod?.name, 'several');
  });

  test('a static pod is known by the uid of its cgroup; its mirror may be made anew', async (t) => {
    const source = openSource(t, cluster.url, cluster, token, { lingerMs: 1000 });
    const hash = 'c0ffee'.repeat(6).slice(0, 32);
    const mirror = () =>
      node.bind({
        name: 'etcd-node-a',
        namespace: 'kube-system',
        metadata: {
          annotations: {
            'kubernetes.io/config.hash': hash,
            'kubernetes.io/config.mirror': hash,
            'kubernetes.io/config.source': 'file',
          },
          ownerReferences: [{ ...owner('v1', 'Node', 'node-a'), uid: node.uid }],
        },
        spec: { hostNetwork: true },
      });
    const first = await mirror();
    await until(() => source.pod(hash) !== undefined, 'static pod');
    assert.equal(source.pod(hash)?.attributes['k8s.pod.uid'], first.metadata?.uid);
    assert.equal(source.pod(hash)?.hostNetwork, true);
    assert.equal(source.pod(first.metadata?.uid ?? ''), undefined);
    await node.remove(first);
    const second = await mirror();
    await until(() => source.pod(hash)?.attributes['k8s.pod.uid'] === second.metadata?.uid, 'second mirror');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.notEqual(source.pod(hash), undefined);
    // Anyone may write such annotations on a pod of theirs: the pod that has this uid itself is not hidden by them.
    const victim = await node.run(await node.bind({ name: 'victim' }));
    const uid = victim.metadata?.uid ?? '';
    await until(() => source.pod(uid) !== undefined, 'victim');
    await node.bind({
      name: 'impostor',
      metadata: {
        annotations: { 'kubernetes.io/config.hash': uid, 'kubernetes.io/config.mirror': 'x' },
        ownerReferences: [{ ...owner('v1', 'Node', 'node-a'), uid: node.uid }],
      },
    });
    await until(() => source.stats().changes['refused'] === 1, 'refused');
    assert.equal(source.pod(uid)?.name, 'victim');
  });

  test('a pod that goes is known a while longer, then forgotten; the same name again is another pod', async (t) => {
    const source = openSource(t, cluster.url, cluster, token, { lingerMs: 3000 });
    const first = await node.run(
      await node.bind({ name: 'database-0', metadata: { labels: { version: 'one' } } }),
    );
    const uid = first.metadata?.uid ?? '';
    // `run` binds, then sets the status with the container: two events
    await until(() => source.container(idOf(first)) !== undefined, 'first');
    await node.remove(first);
    const second = await node.run(
      await node.bind({ name: 'database-0', metadata: { labels: { version: 'two' } } }),
    );
    await until(() => source.container(idOf(second)) !== undefined, 'second');
    assert.equal(source.pod(uid)?.labels['version'], 'one');
    assert.equal(source.container(idOf(first))?.pod?.uid, uid);
    assert.equal(source.container(idOf(second))?.pod?.uid, second.metadata?.uid);
    await until(() => source.pod(uid) === undefined, 'forgotten');
    assert.equal(source.container(idOf(first)), undefined);
    assert.equal(source.pod(second.metadata?.uid ?? '')?.labels['version'], 'two');
    assert.ok(source.changes.some(({ podUid, gone }) => podUid === uid && gone === true));
    assert.equal(source.stats().changes['removed'], 1);
  });

  test('a pod that has ended is of no use, even before it leaves the API', async (t) => {
    const source = openSource(t, cluster.url, cluster, token, { lingerMs: 0 });
    const pod = await node.run(await node.bind({ name: 'done' }));
    const uid = pod.metadata?.uid ?? '';
    await until(() => source.pod(uid) !== undefined, 'running');
    await node.setStatus(pod, { phase: 'Succeeded' });
    await until(() => source.pod(uid) === undefined, 'ended');
  });

  test('namespace labels and annotations change for the pods in it', async (t) => {
    const body = {
      metadata: { name: 'team-a', labels: { team: 'a' }, annotations: { 'whodns/capture': 'off' } },
    };
    await cluster.core.createNamespace({ body });
    const pod = await node.bind({ name: 'member', namespace: 'team-a' });
    const uid = pod.metadata?.uid ?? '';
    const source = openSource(t, cluster.url, cluster, token, { rules: { namespaceLabels: ['team'] } });
    await until(() => source.pod(uid)?.namespaceLabels['team'] === 'a', 'namespace known');
    assert.equal(source.pod(uid)?.namespaceAnnotations['whodns/capture'], 'off');
    const now = await cluster.core.readNamespace({ name: 'team-a' });
    const changed = { ...now.metadata, labels: { team: 'b' }, annotations: { 'whodns/capture': 'on' } };
    await cluster.core.replaceNamespace({ name: 'team-a', body: { ...now, metadata: changed } });
    await until(() => source.pod(uid)?.namespaceAnnotations['whodns/capture'] === 'on', 'annotation changed');
    assert.equal(source.pod(uid)?.attributes['k8s.namespace.label.team'], 'b');
    assert.ok(source.changes.filter(({ podUid }) => podUid === uid).length >= 2);
  });

  test('owners that the name does not tell are asked for, where wanted', async (t) => {
    const { AppsV1Api, BatchV1Api } = await import('@kubernetes/client-node');
    const asker = await cluster.account('whodns-owners', [...AGENT_RULES, ...OWNER_RULES]);
    const template = {
      metadata: { labels: { a: 'b' } },
      spec: { containers: [{ name: 'main', image: 'x' }], restartPolicy: 'Never' },
    };
    const set = await cluster.config.makeApiClient(AppsV1Api).createNamespacedReplicaSet({
      namespace: 'default',
      body: {
        metadata: { name: 'odd-name', ownerReferences: [owner('apps/v1', 'Deployment', 'front')] },
        spec: {
          selector: { matchLabels: { a: 'b' } },
          template: { ...template, spec: { ...template.spec, restartPolicy: 'Always' } },
        },
      },
    });
    const job = await cluster.config.makeApiClient(BatchV1Api).createNamespacedJob({
      namespace: 'default',
      body: {
        metadata: { name: 'night-1', ownerReferences: [owner('batch/v1', 'CronJob', 'night')] },
        spec: { template },
      },
    });
    const ofSet = await node.bind({
      name: 'of-set',
      metadata: {
        ownerReferences: [{ ...owner('apps/v1', 'ReplicaSet', 'odd-name'), uid: set.metadata?.uid ?? '' }],
      },
    });
    const ofJob = await node.bind({
      name: 'of-job',
      metadata: {
        ownerReferences: [{ ...owner('batch/v1', 'Job', 'night-1'), uid: job.metadata?.uid ?? '' }],
      },
    });
    const byName = openSource(t, cluster.url, cluster, token);
    const byApi = openSource(t, cluster.url, cluster, asker, { askOwners: true });
    const attributes = (source: typeof byApi, pod: typeof ofSet) =>
      source.pod(pod.metadata?.uid ?? '')?.attributes;
    await until(() => attributes(byApi, ofSet)?.['k8s.deployment.name'] === 'front', 'deployment');
    await until(() => attributes(byApi, ofJob)?.['k8s.cronjob.name'] === 'night', 'cron job');
    assert.equal(attributes(byApi, ofSet)?.['service.name'], 'front');
    await until(() => attributes(byName, ofSet) !== undefined, 'by name');
    assert.equal(attributes(byName, ofSet)?.['k8s.deployment.name'], undefined);
    assert.equal(attributes(byName, ofSet)?.['service.name'], 'odd-name');
  });
});

function owner(apiVersion: string, kind: string, name: string) {
  return { apiVersion, kind, name, uid: '11111111-2222-4333-8444-555555555555', controller: true };
}
