/** The API server and a real containerd together: a pod is in both, its processes run in real containers, entered by exec too. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Containerd, IMAGE } from '../containers/containerd.ts';
import { buildImage } from '../containers/image.ts';
import { Site } from '../containers/site.ts';
import type { Agent, JsonRecord } from '../matrix/agent.ts';
import { AGENT_RULES, Cluster, FileScope } from './cluster.ts';
import { TestNode } from './node.ts';
import { isOf, uidOf, Workloads } from './workloads.ts';

const PATIENCE_MS = 60_000;

describe('pods of the API server in containerd', () => {
  const scope = new FileScope();
  let cluster: Cluster;
  let node: TestNode;
  let site: Site;
  let containerd: Containerd;
  let agent: Agent;

  after(() => scope.close());
  before(async () => {
    cluster = await Cluster.start(scope);
    node = new TestNode(cluster, 'node-a');
    await node.register();
    site = await Site.open();
    scope.after(() => site.close());
    containerd = await Containerd.start(`${site.directory}/c`, site.namespace, site.cgroups);
    scope.after(() => containerd.close());
    containerd.importImage(buildImage(site.directory, Containerd.imageNames()).file);
    const workloads = await Workloads.open(scope);
    const token = await cluster.account('whodns', AGENT_RULES);
    agent = await workloads.startAgent(scope, cluster, { token }, [
      ...['--container-runtime', `cri:${containerd.socket}`],
    ]);
  });

  /** As scheduler and kubelet do it: bound, sandbox with the pod's annotations, container, status. */
  async function runPod(
    name: string,
    annotations: Readonly<Record<string, string>>,
  ): Promise<{ readonly uid: string; readonly id: string }> {
    const labels = { 'pod-template-hash': '7d9f' };
    const ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'shop-7d9f', uid: 'o', controller: true },
    ];
    const containers = [{ name: 'main', image: `${IMAGE.name}:${IMAGE.tag}` }];
    const metadata = { labels, annotations, ownerReferences };
    const bound = await node.bind({ name, metadata, spec: { containers } });
    const uid = uidOf(bound);
    const pod = await containerd.runPod({ name, namespace: 'default', uid, labels, annotations });
    const id = await containerd.runContainer(pod, 'main');
    await node.run(bound, { main: id });
    return { uid, id };
  }

  async function exec(id: string, label: string): Promise<string> {
    const name = `${label}.${site.zone}`;
    const { exitCode, errors } = await containerd.exec(id, ['getent', 'hosts', name]);
    assert.equal(exitCode, 0, errors);
    return name;
  }

  async function recordOf(name: string): Promise<JsonRecord> {
    assert.ok(await agent.waitFor((records) => records.some(isOf(name)), PATIENCE_MS), agent.errors);
    return agent.records.find(isOf(name)) as JsonRecord;
  }

  test('a process entered by exec: owner and place by the API, image by the runtime', async () => {
    const { uid, id } = await runPod('shop-7d9f-abcde', {});
    const { resource } = await recordOf(await exec(id, 'exec'));
    const wanted = {
      'container.id': id,
      'container.name': 'main',
      'container.image.name': IMAGE.name,
      'container.runtime.name': 'containerd',
      'k8s.pod.uid': uid,
      'k8s.pod.name': 'shop-7d9f-abcde',
      'k8s.container.name': 'main',
      'k8s.deployment.name': 'shop',
      'k8s.node.uid': node.uid,
      'service.name': 'shop',
      'process.executable.name': 'getent',
    };
    const shown = Object.fromEntries(Object.keys(wanted).map((key) => [key, resource[key]]));
    assert.deepEqual(shown, wanted);
  });

  test('an annotation is changed: the API knows, the runtime does not', async () => {
    const isChange = (level: string) => (record: JsonRecord) =>
      record.event_name === 'whodns.visibility' &&
      record.resource['k8s.pod.name'] === 'shop-7d9f-fghij' &&
      record.attributes['whodns.visibility.level'] === level;
    const { id } = await runPod('shop-7d9f-fghij', { 'whodns/capture': 'off' });
    assert.ok(await agent.waitFor((records) => records.some(isChange('off')), PATIENCE_MS), agent.errors);
    const hidden = await exec(id, 'hidden');
    const at = { name: 'shop-7d9f-fghij', namespace: 'default' };
    const body = await cluster.core.readNamespacedPod(at);
    const metadata = { ...body.metadata, annotations: { 'whodns/capture': 'on' } };
    await cluster.core.replaceNamespacedPod({ ...at, body: { ...body, metadata } });
    assert.ok(await agent.waitFor((records) => records.some(isChange('on')), PATIENCE_MS), agent.errors);
    await recordOf(await exec(id, 'shown'));
    await sleep(600); // a record may wait half a second
    assert.ok(!agent.records.some(isOf(hidden)));
  });
});
