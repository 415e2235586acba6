/** The collector's k8s_attributes processor, as shipped in otel-config/, and this agent say the same of the same pods. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { parse, stringify } from 'yaml';
import { containerAttributes } from '../../src/enrich/containers/container-facts.ts';
import { collectorProgram } from '../collector/build.ts';
import { CONFIGURATIONS } from '../collector/collector.ts';
import { freePorts, startProgram } from '../collector/running-program.ts';
import { AGENT_RULES, Cluster, FileScope } from './cluster.ts';
import { idOf, type PodSpec, TestNode } from './node.ts';
import { type ObservedSource, openSource, until } from './source.ts';
import { uidOf } from './workloads.ts';

/** What the agent tells besides: the collector has no name for it, or it is not in the shipped list. */
const MORE = [
  'container.name',
  'container.image.id',
  'container.runtime.name',
  'k8s.container.restart_count',
  'k8s.cluster.name',
  'k8s.node.uid',
  'k8s.replicaset.name',
];
const GATES = ['EmitV1K8sConventions', 'DontEmitV0K8sConventions'];
const DIGEST = `sha256:${'5e'.repeat(32)}`;

const PODS: readonly PodSpec[] = [
  { name: 'plain' },
  owned('apps/v1', 'ReplicaSet', 'web-7d9f8b6c5', { labels: { 'pod-template-hash': '7d9f8b6c5' } }),
  owned('apps/v1', 'ReplicaSet', 'alone'),
  owned('apps/v1', 'StatefulSet', 'database'),
  owned('apps/v1', 'DaemonSet', 'shipper'),
  owned('batch/v1', 'Job', 'migrate'),
  owned('batch/v1', 'Job', `backup-${Math.floor(Date.now() / 60_000)}`),
  owned('batch/v1', 'Job', 'backup-10000000'),
  owned('apps/v1', 'StatefulSet', 'named', {
    labels: { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/version': '5.7.21' },
  }),
  owned('apps/v1', 'StatefulSet', 'instance', {
    labels: { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/instance': 'shop-eu' },
  }),
  owned('apps/v1', 'StatefulSet', 'annotated', {
    labels: { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/version': '1' },
    annotations: {
      'resource.opentelemetry.io/service.name': 'told',
      'resource.opentelemetry.io/service.namespace': 'told-namespace',
      'resource.opentelemetry.io/service.version': 'told-version',
      'resource.opentelemetry.io/service.instance.id': 'told-instance',
      'resource.opentelemetry.io/deployment.environment.name': 'staging',
    },
  }),
  {
    name: 'several',
    spec: {
      initContainers: [{ name: 'setup', image: `registry.test:5000/tools/setup@${DIGEST}` }],
      containers: [
        { name: 'main', image: 'nginx' },
        { name: 'side', image: `registry.test/side:2.0@${DIGEST}` },
      ],
    },
  },
];

let cluster: Cluster;
let source: ObservedSource;
const pods: V1Pod[] = [];

describe('agent and collector agree', () => {
  const scope = new FileScope();
  after(() => scope.close());
  before(async () => {
    cluster = await Cluster.start(scope);
    const node = new TestNode(cluster, 'node-a');
    await node.register();
    for (const pod of PODS) pods.push(await node.run(await node.bind(pod)));
    source = openSource(scope, cluster.url, cluster, await cluster.account('whodns', AGENT_RULES));
    await until(() => pods.every((pod) => source.pod(uidOf(pod)) !== undefined), 'pods known');
  });

  test('on every container of every kind of pod', async () => {
    const containers = pods.flatMap((pod) =>
      [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].map(({ name }) => ({
        uid: uidOf(pod),
        id: idOf(pod, name),
      })),
    );
    const theirs = await collectorSays(containers);
    assert.equal(theirs.size, containers.length);
    for (const { uid, id } of containers) {
      const { measured, advised } = containerAttributes(id, uid, source.container(id), source.pod(uid));
      const ours = { 'container.id': id, ...advised, ...measured };
      const comparable = Object.entries(ours).filter(([key]) => !MORE.includes(key));
      assert.deepEqual(Object.fromEntries(comparable), theirs.get(id));
    }
  });

  /** Attributes by container id. */
  async function collectorSays(containers: readonly { readonly uid: string; readonly id: string }[]) {
    const [port, health] = await freePorts(2);
    const at = (name: string): string => join(cluster.directory, name);
    writeFileSync(at('kubeconfig'), cluster.config.exportConfig());
    writeFileSync(at('collector.yaml'), stringify(configuration(port ?? 0, health ?? 0, at('sink.jsonl'))));
    const gates = GATES.map((gate) => `+processor.k8sattributes.${gate}`).join(',');
    const running = await startProgram({
      command: [await collectorProgram(), '--config', at('collector.yaml'), `--feature-gates=${gates}`],
      env: { KUBE_NODE_NAME: 'node-a', KUBECONFIG: at('kubeconfig') },
      readyUrl: `http://127.0.0.1:${health}/`,
    });
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/logs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ resourceLogs: containers.map(({ uid, id }) => resourceLogs(uid, id)) }),
      });
      assert.equal(answer.status, 200, running.log());
      await until(() => sinkOf(at('sink.jsonl')).size >= containers.length, 'collector wrote');
      return sinkOf(at('sink.jsonl'));
    } finally {
      await running.stop();
      await sleep(0);
    }
  }
});

function owned(
  apiVersion: string,
  kind: string,
  name: string,
  metadata: NonNullable<PodSpec['metadata']> = {},
): PodSpec {
  const reference = { apiVersion, kind, name, uid: '11111111-2222-4333-8444-555555555555', controller: true };
  return { name: `of-${name}`, metadata: { ...metadata, ownerReferences: [reference] } };
}

/** The shipped processor, with the test's credentials. */
function configuration(port: number, health: number, sink: string): object {
  const shipped = parse(readFileSync(join(CONFIGURATIONS, 'kubernetes.yaml'), 'utf8')) as {
    readonly processors: { readonly k8s_attributes: object };
  };
  return {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    processors: { k8s_attributes: { ...shipped.processors.k8s_attributes, auth_type: 'kubeConfig' } },
    exporters: { file: { path: sink, flush_interval: '100ms' } },
    extensions: { health_check: { endpoint: `127.0.0.1:${health}` } },
    service: {
      extensions: ['health_check'],
      telemetry: { metrics: { level: 'none' } },
      pipelines: { logs: { receivers: ['otlp'], processors: ['k8s_attributes'], exporters: ['file'] } },
    },
  };
}

interface KeyValue {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly arrayValue?: { readonly values?: readonly { readonly stringValue?: string }[] };
  };
}

function resourceLogs(uid: string, id: string): object {
  const attributes = [
    { key: 'k8s.pod.uid', value: { stringValue: uid } },
    { key: 'container.id', value: { stringValue: id } },
  ];
  return { resource: { attributes }, scopeLogs: [{ logRecords: [{ body: { stringValue: 'x' } }] }] };
}

function sinkOf(file: string): Map<string, Readonly<Record<string, unknown>>> {
  const found = new Map<string, Readonly<Record<string, unknown>>>();
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return found; // nothing written yet
  }
  for (const line of text.split('\n').filter((one) => one.endsWith('}'))) {
    const { resourceLogs: logs } = JSON.parse(line) as {
      readonly resourceLogs: readonly { readonly resource: { readonly attributes: readonly KeyValue[] } }[];
    };
    for (const { resource } of logs) {
      const plain = Object.fromEntries(resource.attributes.map(({ key, value }) => [key, plainOf(value)]));
      found.set(String(plain['container.id']), plain);
    }
  }
  return found;
}

function plainOf({ stringValue, arrayValue }: KeyValue['value']): unknown {
  return arrayValue === undefined ? stringValue : (arrayValue.values ?? []).map((one) => one.stringValue);
}
