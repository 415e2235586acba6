/**
 * `--kubernetes auto` where the API server gives no pods, by RBAC or since it is down: the real kubelet is asked, until the API
 * server gives them.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RbacAuthorizationV1Api, type V1PolicyRule } from '@kubernetes/client-node';
import type { Agent, JsonRecord } from '../matrix/agent.ts';
import { AGENT_RULES, Cluster, FileScope } from './cluster.ts';
import { KUBELET_URL, Kubelet } from './kubelet.ts';
import { containerId, idOf, TestNode } from './node.ts';
import { isOf, uidOf, Workloads } from './workloads.ts';

const PATIENCE_MS = 60_000;

describe('auto: the kubelet instead of the API server', () => {
  const scope = new FileScope();
  let cluster: Cluster;
  let node: TestNode;
  let workloads: Workloads;
  let kubelet: Kubelet;
  let agent: Agent;

  after(() => scope.close());
  before(async () => {
    cluster = await Cluster.start(scope);
    node = new TestNode(cluster, 'node-a');
    await node.register();
    workloads = await Workloads.open(scope);
    kubelet = await Kubelet.start(scope);
    const token = await cluster.account('whodns', []);
    const url = await kubelet.publish(scope);
    agent = await workloads.startAgent(scope, cluster, { token }, [
      ...['--kubelet-url', url, '--no-kubelet-tls-verify'],
    ]);
  });

  /** The kubelet makes the uid of a static pod, by which its cgroup is called, out of its file. */
  async function staticPod(name: string): Promise<string> {
    kubelet.addPod(name, { annotations: { 'resource.opentelemetry.io/service.name': `of-${name}` } });
    const ask = ['curl', '-skf', `${KUBELET_URL}/pods`];
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const { output } = await kubelet.namespace.run(ask);
      const list = output === '' ? undefined : (JSON.parse(output) as PodList);
      const found = list?.items?.find(({ metadata }) => metadata.name === `${name}-node-a`);
      if (found !== undefined) return found.metadata.uid;
      assert.ok(performance.now() < deadline, 'the kubelet does not know its pod');
      await sleep(200);
    }
  }

  /** Of a process in a new container of that pod, asked until the record has the pod. */
  async function recordIn(uid: string, label: string): Promise<JsonRecord> {
    const group = workloads.place(uid, containerId(), 'cgroupfs');
    const deadline = performance.now() + PATIENCE_MS;
    for (let i = 0; ; i++) {
      const name = await workloads.ask(group, `${label}-${i}`);
      assert.ok(await agent.waitFor((records) => records.some(isOf(name)), PATIENCE_MS), agent.errors);
      const record = agent.records.find(isOf(name)) as JsonRecord;
      if (record.resource['k8s.pod.name'] !== undefined) return record;
      assert.ok(performance.now() < deadline, `no pod on the records; ${agent.errors}`);
      await sleep(200);
    }
  }

  async function allow(rules: readonly V1PolicyRule[]): Promise<void> {
    const rbac = cluster.config.makeApiClient(RbacAuthorizationV1Api);
    const role = await rbac.readClusterRole({ name: 'whodns' });
    await rbac.replaceClusterRole({ name: 'whodns', body: { ...role, rules: [...rules] } });
  }

  async function says(text: string): Promise<void> {
    assert.ok(await agent.waitFor(() => agent.errors.includes(text), PATIENCE_MS), agent.errors);
  }

  test('403: the kubelet tells the pods', async () => {
    const uid = await staticPod('first');
    await says('Kubernetes API: pods: forbidden');
    await says('kubelet: connected');
    const { resource } = await recordIn(uid, 'denied');
    assert.equal(resource['k8s.pod.name'], 'first-node-a');
    assert.equal(resource['k8s.namespace.name'], 'kube-system');
    assert.equal(resource['service.name'], 'of-first');
    assert.equal(resource['k8s.node.name'], 'node-a');
  });

  test('rights are given: the API server is asked again, the kubelet no more', async () => {
    await allow(AGENT_RULES);
    await says('Kubernetes API: pods: connected');
    const pod = await node.run(await node.bind({ name: 'by-api' }));
    const group = workloads.place(uidOf(pod), idOf(pod), 'cgroupfs');
    const name = await workloads.ask(group, 'by-api');
    assert.ok(await agent.waitFor((records) => records.some(isOf(name)), PATIENCE_MS), agent.errors);
    const { resource } = agent.records.find(isOf(name)) as JsonRecord;
    assert.equal(resource['k8s.pod.name'], 'by-api');
    assert.equal(resource['k8s.node.uid'], node.uid);
    await sleep(6000); // the kubelet is asked every 5 s, and rests from then on
  });

  test('the API server is down: new pods are those that the kubelet tells, what was known stays', async () => {
    const pod = await node.run(await node.bind({ name: 'known' }));
    const group = workloads.place(uidOf(pod), idOf(pod), 'cgroupfs');
    const before = await workloads.ask(group, 'known-before');
    assert.ok(await agent.waitFor((records) => records.some(isOf(before)), PATIENCE_MS), agent.errors);
    const connections = agent.errors.split('kubelet: connected').length;
    await cluster.stopApiServer();
    await says('Kubernetes API: pods: unreachable');
    const uid = await staticPod('second');
    const isBack = () => agent.errors.split('kubelet: connected').length > connections;
    assert.ok(await agent.waitFor(isBack, PATIENCE_MS), agent.errors);
    const { resource } = await recordIn(uid, 'down');
    assert.equal(resource['k8s.pod.name'], 'second-node-a');
    const name = await workloads.ask(group, 'known-after');
    assert.ok(await agent.waitFor((records) => records.some(isOf(name)), PATIENCE_MS), agent.errors);
    assert.equal((agent.records.find(isOf(name)) as JsonRecord).resource['k8s.pod.name'], 'known');
    await cluster.startApiServer();
    await says('Kubernetes API: pods: connected again');
  });
});

interface PodList {
  readonly items: readonly { readonly metadata: { readonly name: string; readonly uid: string } }[] | null;
}
