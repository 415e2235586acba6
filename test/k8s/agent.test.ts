/** The whole way: pods in a real API server, their processes in real cgroups, the real agent's records. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import type { Agent, JsonRecord } from '../matrix/agent.ts';
import { AGENT_RULES, Cluster, FileScope } from './cluster.ts';
import { containerId, idOf, TestNode } from './node.ts';
import { until } from './source.ts';
import { type Driver, isOf, uidOf, Workloads } from './workloads.ts';

const PATIENCE_MS = 60_000;
const MANY = 500;
const CHURN = 200;
const CHURN_PER_SECOND = 20;

let cluster: Cluster;
let node: TestNode;
let workloads: Workloads;
let agent: Agent;

describe('records of pods', () => {
  const scope = new FileScope();
  after(() => scope.close());
  before(async () => {
    cluster = await Cluster.start(scope);
    node = new TestNode(cluster, 'node-a');
    await node.register();
    workloads = await Workloads.open(scope);
    const token = await cluster.account('whodns', AGENT_RULES);
    agent = await workloads.startAgent(scope, cluster, { token }, [
      ...['--cluster-name', 'blue', '--stats', join(cluster.directory, 'stats.json')],
      ...['--exporter', 'console', '--exporter', `otlp-file:${metricsFile()}`],
    ]);
  });

  for (const driver of ['cgroupfs', 'systemd'] as const) {
    test(`containers of all kinds, exec and restart (${driver})`, async () => {
      const name = `kinds-${driver}`;
      const bound = await node.bind({
        name,
        metadata: { annotations: { 'resource.opentelemetry.io/service.name': 'told' } },
        spec: { initContainers: [{ name: 'setup', image: 'registry.test/setup:2' }] },
      });
      const pod = await node.run(bound);
      for (const container of ['main', 'setup']) {
        const group = workloads.place(uidOf(pod), idOf(pod, container), driver);
        await workloads.ask(group, `${container}.${name}`);
        const { resource } = await recordOf(`${container}.${name}`);
        assert.equal(resource['k8s.container.name'], container);
        assert.equal(resource['k8s.pod.name'], name);
        assert.equal(resource['k8s.cluster.name'], 'blue');
        assert.equal(resource['k8s.node.uid'], node.uid);
        assert.equal(resource['service.name'], 'told');
        assert.equal(resource['service.instance.id'], `default.${name}.${container}`);
        assert.equal(resource['container.runtime.name'], 'containerd');
      }
      const again = containerId();
      const statuses = (pod.status?.containerStatuses ?? []).map((status) => ({
        ...status,
        restartCount: 1,
        containerID: `containerd://${again}`,
        lastState: { terminated: { exitCode: 1, containerID: status.containerID ?? '' } },
      }));
      await node.setStatus(pod, { containerStatuses: statuses });
      await workloads.ask(workloads.place(uidOf(pod), again, driver), `again.${name}`);
      const { resource } = await recordOf(`again.${name}`);
      assert.equal(resource['k8s.container.restart_count'], 1);
      assert.equal(resource['container.id'], again);
    });
  }

  test('a static pod, whose cgroup has the hash and not the uid of its mirror', async () => {
    const hash = 'ab12'.repeat(8);
    const pod = await node.run(
      await node.bind({
        name: 'etcd-node-a',
        namespace: 'kube-system',
        metadata: {
          annotations: { 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.mirror': hash },
          ownerReferences: [
            { apiVersion: 'v1', kind: 'Node', name: 'node-a', uid: node.uid, controller: true },
          ],
        },
        spec: { hostNetwork: true },
      }),
    );
    await workloads.ask(workloads.place(hash, idOf(pod), 'systemd'), 'static');
    const { resource } = await recordOf('static');
    assert.equal(resource['k8s.pod.name'], 'etcd-node-a');
    assert.equal(resource['k8s.pod.uid'], uidOf(pod));
    assert.equal(resource['k8s.namespace.name'], 'kube-system');
  });

  test('what a process says of itself stands before its pod, but not who it is', async () => {
    const pod = await node.run(await node.bind({ name: 'speaker' }));
    const group = workloads.place(uidOf(pod), idOf(pod), 'cgroupfs');
    await workloads.askSlowly(group, 'speaker', {
      OTEL_SERVICE_NAME: 'my-own-name',
      OTEL_RESOURCE_ATTRIBUTES: 'k8s.pod.name=victim,k8s.namespace.name=kube-system,service.version=9',
    });
    const { resource } = await recordOf('speaker');
    assert.equal(resource['service.name'], 'my-own-name');
    assert.equal(resource['service.version'], '9');
    assert.equal(resource['k8s.pod.name'], 'speaker');
    assert.equal(resource['k8s.namespace.name'], 'default');
  });

  test('the API server is away: pods known stay known, others do not hold records up; the agent says so', async () => {
    const known = await startPod('known', 'systemd');
    await workloads.ask(known.group, 'before.known');
    await recordOf('before.known');
    await cluster.stopApiServer();
    await until(() => agent.errors.includes('Kubernetes API: pods: unreachable'), 'outage told');
    await workloads.ask(known.group, 'after.known');
    assert.equal((await recordOf('after.known')).resource['k8s.pod.name'], 'known');
    const uid = '0f0f0f0f-0000-4000-8000-000000000000';
    await workloads.ask(workloads.place(uid, containerId(), 'cgroupfs'), 'stranger');
    const { resource } = await recordOf('stranger');
    assert.equal(resource['k8s.pod.name'], undefined);
    assert.equal(resource['k8s.pod.uid'], uid);
    await cluster.startApiServer();
    const late = await startPod('late', 'cgroupfs');
    await until(() => agent.errors.includes('pods: connected again'), 'recovery told');
    await workloads.ask(late.group, 'late');
    assert.equal((await recordOf('late')).resource['k8s.pod.name'], 'late');
  });

  test(`${MANY} pods on the node, then ${CHURN} that come and go: never a wrong pod, none missing after a second`, async (t) => {
    const steady = await inTurns(MANY, 8, (index) => startPod(`steady-${index}`, driverOf(index)));
    await inTurns(MANY, 8, (index) => workloads.ask(steady[index]?.group ?? '', `steady-${index}`));
    const started = performance.now();
    const lives: Promise<void>[] = [];
    for (let index = 0; index < CHURN; index++) {
      const due = started + (index * 1000) / CHURN_PER_SECOND;
      if (due > performance.now()) await sleep(due - performance.now());
      lives.push(live(`churn-${index}`, driverOf(index)));
    }
    const seconds = (performance.now() - started) / 1000;
    t.diagnostic(`${(CHURN / seconds).toFixed(1)} pods/s came and went`);
    await Promise.all(lives);
    const names = [
      ...steady.map((_, index) => `steady-${index}`),
      ...Array.from({ length: CHURN }, (_, index) =>
        ['early', 'later', 'last'].map((at) => `${at}.churn-${index}`),
      ).flat(),
    ];
    const found = await recordsOf(names);
    const without: string[] = [];
    for (const [name, { resource }] of found) {
      const pod = name.slice(name.indexOf('.') + 1);
      const told = resource['k8s.pod.name'];
      if (told === undefined) without.push(name);
      else assert.equal(told, pod, `record of ${name} has a wrong pod`);
    }
    const resident = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1]);
    // A message that the kernel skipped has no record; it says so itself.
    await agent.stop();
    const stats = JSON.parse(readFileSync(join(cluster.directory, 'stats.json'), 'utf8')) as Stats;
    t.diagnostic(`the agent has ${Math.round(resident / 1024)} MiB resident with ${MANY} pods and more`);
    const { connected, pods } = lastMetrics();
    assert.equal(connected, 1);
    assert.ok(pods >= MANY, `${pods} pods by its own count`);
    const missing = names.length - found.size;
    t.diagnostic(`${missing} lookups without record, ${stats.source.missedRuns} runs skipped by the kernel`);
    const { drops, counters } = stats.source;
    const counted = JSON.stringify({ drops, counters, stages: stats.stages });
    assert.ok(missing <= stats.source.missedRuns, `${missing} lookups have no record: ${counted}`);
    const early = without.filter((name) => name.startsWith('early.'));
    t.diagnostic(
      `${early.length} of ${CHURN} records of a pod's first instant came before its pod was known`,
    );
    assert.deepEqual(
      without.filter((name) => !name.startsWith('early.')),
      [],
    );
  });
});

function metricsFile(): string {
  return join(cluster.directory, 'metrics.jsonl');
}

/** What the agent reported of itself at its end. */
function lastMetrics(): { readonly connected: number; readonly pods: number } {
  const lines = readFileSync(metricsFile(), 'utf8').split('\n');
  const last = lines.findLast((line) => line.includes('whodns.kubernetes.connected')) ?? '';
  const value = (name: string): number =>
    Number(new RegExp(`"name":"whodns.kubernetes.${name}".*?"asInt":"?(\\d+)`).exec(last)?.[1]);
  return { connected: value('connected'), pods: value('pods') };
}

interface Stats {
  readonly source: { readonly missedRuns: number; readonly drops: object; readonly counters: object };
  readonly stages: object;
}

/** The records of these labels, as soon as all are there or no more come. */
async function recordsOf(labels: readonly string[]): Promise<Map<string, JsonRecord>> {
  const wanted = new Map(labels.map((label) => [`${label}.${workloads.zone}`, label]));
  const nameOf = ({ attributes }: JsonRecord): string => String(attributes['dns.question.name']);
  await agent.waitFor(
    (records) => records.filter((record) => wanted.has(nameOf(record))).length >= wanted.size,
    15_000,
  );
  const found = new Map<string, JsonRecord>();
  for (const record of agent.records) {
    const label = wanted.get(nameOf(record));
    if (label !== undefined) found.set(label, record);
  }
  return found;
}

/** A pod's life: its process asks as soon as it is bound, again after a second, and once more when it has been deleted. */
async function live(name: string, driver: Driver): Promise<void> {
  const bound = await node.bind({ name });
  const id = containerId();
  const group = workloads.place(uidOf(bound), id, driver);
  const early = workloads.ask(group, `early.${name}`);
  const pod = await node.run(bound, { main: id });
  await early;
  await sleep(1000);
  await workloads.ask(group, `later.${name}`);
  await node.remove(pod);
  await workloads.ask(group, `last.${name}`);
}

async function startPod(
  name: string,
  driver: Driver,
): Promise<{ readonly pod: V1Pod; readonly group: string }> {
  const pod = await node.run(await node.bind({ name }));
  return { pod, group: workloads.place(uidOf(pod), idOf(pod), driver) };
}

function driverOf(index: number): Driver {
  return index % 2 === 0 ? 'cgroupfs' : 'systemd';
}

async function recordOf(label: string): Promise<JsonRecord> {
  const isWanted = isOf(`${label}.${workloads.zone}`);
  assert.ok(
    await agent.waitFor((records) => records.some(isWanted), PATIENCE_MS),
    `no record of ${label}: ${agent.errors}`,
  );
  const found = agent.records.filter(isWanted);
  assert.equal(found.length, 1);
  return found[0] as JsonRecord;
}

/** Results in order, so many at once. */
async function inTurns<T>(count: number, atOnce: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      results[index] = await work(index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}
