/** The test in the role of scheduler and kubelet: pods bound to a node, their status, and their cgroups. */
import { randomBytes } from 'node:crypto';
import type { V1ContainerStatus, V1ObjectMeta, V1Pod, V1PodSpec } from '@kubernetes/client-node';
import type { Cluster } from './cluster.ts';

export interface PodSpec {
  readonly name: string;
  readonly namespace?: string;
  readonly metadata?: Omit<V1ObjectMeta, 'name' | 'namespace'>;
  readonly spec?: Partial<V1PodSpec>;
}

/** 64 hexadecimal digits, as container runtimes make them. */
export function containerId(): string {
  return randomBytes(32).toString('hex');
}

export class TestNode {
  readonly name: string;
  readonly cluster: Cluster;
  uid = '';

  constructor(cluster: Cluster, name: string) {
    this.cluster = cluster;
    this.name = name;
  }

  async register(): Promise<void> {
    const { metadata } = await this.cluster.core.createNode({ body: { metadata: { name: this.name } } });
    this.uid = metadata?.uid ?? '';
  }

  /** A pod that the scheduler has bound here; nothing runs yet. */
  async bind({ name, namespace = 'default', metadata, spec }: PodSpec): Promise<V1Pod> {
    return this.cluster.core.createNamespacedPod({
      namespace,
      body: {
        metadata: { ...metadata, name, namespace },
        spec: {
          nodeName: this.name,
          containers: [{ name: 'main', image: 'registry.test/shop/web:1.2.3' }],
          terminationGracePeriodSeconds: 0,
          automountServiceAccountToken: false,
          ...spec,
        },
      },
    });
  }

  /** The status that a kubelet writes when the containers run. Ids of the containers that have none are made up. */
  async run(pod: V1Pod, ids: Readonly<Record<string, string>> = {}): Promise<V1Pod> {
    const status = (kind: 'containers' | 'initContainers' | 'ephemeralContainers'): V1ContainerStatus[] =>
      (pod.spec?.[kind] ?? []).map(({ name, image }) => ({
        name,
        image: image ?? '',
        imageID: `registry.test/shop/web@sha256:${'5e'.repeat(32)}`,
        containerID: `containerd://${ids[name] ?? containerId()}`,
        ready: true,
        restartCount: 0,
        state: { running: {} },
      }));
    return this.setStatus(pod, {
      phase: 'Running',
      containerStatuses: status('containers'),
      initContainerStatuses: status('initContainers'),
      ephemeralContainerStatuses: status('ephemeralContainers'),
    });
  }

  async setStatus(pod: V1Pod, status: NonNullable<V1Pod['status']>): Promise<V1Pod> {
    const { name = '', namespace = '' } = pod.metadata ?? {};
    const now = await this.cluster.core.readNamespacedPod({ name, namespace });
    return this.cluster.core.replaceNamespacedPodStatus({
      name,
      namespace,
      body: { ...now, status: { ...now.status, ...status } },
    });
  }

  /** As a kubelet ends it: the object goes at once. */
  async remove(pod: V1Pod): Promise<void> {
    const { name = '', namespace = '' } = pod.metadata ?? {};
    await this.cluster.core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 });
  }
}

export function idOf(pod: V1Pod, container = 'main'): string {
  const statuses = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.ephemeralContainerStatuses ?? []),
  ];
  return statuses.find(({ name }) => name === container)?.containerID?.replace(/^\w+:\/\//, '') ?? '';
}
