/** Annotations in a real API server decide who is captured: namespace, pod and container, changed while the agent runs. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import type { Agent, JsonRecord } from '../matrix/agent.ts';
import { AGENT_RULES, Cluster, FileScope } from './cluster.ts';
import { idOf, TestNode } from './node.ts';
import { isOf, uidOf, Workloads } from './workloads.ts';

const PATIENCE_MS = 60_000;
/** The issue says one second; the machine may be busy. */
const DEADLINE_MS = 3000;

describe('visibility by annotations', () => {
  const scope = new FileScope();
  let cluster: Cluster;
  let workloads: Workloads;
  let agent: Agent;
  let pod: V1Pod;
  let group: string;

  after(() => scope.close());
  before(async () => {
    cluster = await Cluster.start(scope);
    const node = new TestNode(cluster, 'node-a');
    await node.register();
    workloads = await Workloads.open(scope);
    const token = await cluster.account('whodns', AGENT_RULES);
    agent = await workloads.startAgent(scope, cluster, { token });
    pod = await node.run(await node.bind({ name: 'web-0' }));
    group = workloads.place(uidOf(pod), idOf(pod), 'systemd');
  });

  const events = (): JsonRecord[] =>
    agent.records.filter(({ event_name }) => event_name === 'whodns.visibility');

  /** Waits for the change that an annotation makes. */
  async function changed(level: string, origin: string, annotate: () => Promise<unknown>): Promise<void> {
    const before = events().length;
    await annotate();
    const isThere = await agent.waitFor(() => events().length > before, DEADLINE_MS);
    assert.ok(isThere, `no change in time: ${agent.errors}`);
    const { attributes, resource } = events().at(-1) as JsonRecord;
    assert.deepEqual(
      [attributes['whodns.visibility.level'], attributes['whodns.visibility.origin']],
      [level, origin],
    );
    assert.equal(resource['k8s.pod.name'], 'web-0');
    assert.equal(resource['k8s.container.name'], 'main');
  }

  async function annotatePod(annotations: Readonly<Record<string, string>>): Promise<void> {
    const at = { name: 'web-0', namespace: 'default' };
    const body = await cluster.core.readNamespacedPod(at);
    await cluster.core.replaceNamespacedPod({
      ...at,
      body: { ...body, metadata: { ...body.metadata, annotations } },
    });
  }

  async function annotateNamespace(annotations: Readonly<Record<string, string>>): Promise<void> {
    const body = await cluster.core.readNamespace({ name: 'default' });
    await cluster.core.replaceNamespace({
      name: 'default',
      body: { ...body, metadata: { ...body.metadata, annotations } },
    });
  }

  async function isRecorded(label: string): Promise<boolean> {
    const name = await workloads.ask(group, label);
    // What is captured arrives in order: a probe of the host after it ends the wait.
    const probe = workloads.place('00000000-0000-4000-8000-000000000000', '0'.repeat(64), 'cgroupfs');
    const last = await workloads.ask(probe, `after-${label}`);
    await agent.expect((records) => records.some(isOf(last)), PATIENCE_MS);
    await sleep(600); // a record may wait half a second for its pod
    return agent.records.some(isOf(name));
  }

  test('from nothing to off by the namespace, on by the pod, off by the container, and back', async () => {
    assert.ok(await isRecorded('unsaid'));
    await changed('off', 'namespace', () => annotateNamespace({ 'whodns/capture': 'off' }));
    assert.ok(!(await isRecorded('namespace-off')));
    await changed('on', 'pod', () => annotatePod({ 'kubearmor-visibility': 'process,dns' }));
    assert.ok(await isRecorded('pod-on'));
    await changed('metrics', 'container', () =>
      annotatePod({ 'whodns/capture': 'on', 'whodns/capture.main': 'metrics' }),
    );
    assert.ok(!(await isRecorded('container-metrics')));
    await annotateNamespace({});
    await changed('on', 'default', () => annotatePod({}));
    assert.ok(await isRecorded('back'));
  });
});
