/** One workload of the node: what is known of it, what holds for it and where that is enforced. */
import type { Attributes, ContainerMetadata, PodMetadata, ProcessIdentity } from '../model.ts';
import type { WorkloadGroup } from './cgroup-tree.ts';
import type { Decision, Level, Subject } from './decide.ts';

/** Answers from caches: the metadata sources together. */
export interface Directory {
  container(id: string): ContainerMetadata | undefined;
  pod(uid: string): PodMetadata | undefined;
}

export interface Known {
  readonly container: ContainerMetadata | undefined;
  readonly pod: PodMetadata | undefined;
  /** Name in the pod; undefined for the pause container too. */
  readonly name: string | undefined;
}

export interface Workload {
  readonly group: WorkloadGroup;
  readonly decision: Decision;
  /** Some source knew it when that was decided, now or before. */
  readonly known: boolean;
  /** In the kernel's map as it is now. */
  enforced: boolean;
}

/** One line of `whodns status`. All strings are hostile. */
export interface WorkloadStatus {
  readonly kind: 'host' | 'container';
  readonly namespace: string | undefined;
  readonly pod: string | undefined;
  readonly container: string | undefined;
  readonly containerId: string | undefined;
  readonly cgroup: string;
  readonly level: Level;
  readonly origin: Decision['origin'];
  readonly reason: string;
  readonly enforcedBy: 'kernel' | 'agent';
}

export interface LevelChange {
  readonly name: string;
  readonly known: Known | undefined;
  readonly containerId: string | undefined;
  readonly podUid: string | undefined;
  readonly previous: Level;
  readonly decision: Decision;
}

const SHORT_ID = 12;

export function lookUp(
  directory: Directory,
  containerId: string | undefined,
  podUid: string | undefined,
): Known {
  const container = containerId === undefined ? undefined : directory.container(containerId);
  const uid = podUid ?? container?.pod?.uid;
  const pod = uid === undefined ? undefined : directory.pod(uid);
  const listed = pod?.containers.find(({ id }) => id !== undefined && id === containerId);
  const name = container?.sandbox === true ? undefined : (listed?.name ?? container?.pod?.container);
  return { container, pod, name: name === '' ? undefined : name };
}

export function isKnown({ container, pod }: Known): boolean {
  return container !== undefined || pod !== undefined;
}

export function subjectOf({ container, pod, name }: Known): Subject {
  return {
    namespace: pod?.namespace ?? container?.pod?.namespace,
    labels: pod?.labels,
    annotations: pod?.annotations,
    namespaceAnnotations: pod?.namespaceAnnotations,
    container: name,
  };
}

/** `namespace/pod/container`, or what there is of it. Hostile. */
export function nameOf(
  known: Known,
  { containerId, podUid }: { containerId?: string | undefined; podUid?: string | undefined },
): string {
  const pod = known.pod ?? known.container?.pod;
  const own = known.name ?? known.container?.name ?? containerId?.slice(0, SHORT_ID);
  const parts =
    pod === undefined
      ? [podUid === undefined ? undefined : `pod ${podUid}`, own]
      : [pod.namespace, pod.name, own];
  return parts.filter((part) => part !== undefined && part !== '').join('/');
}

export function statusOf(workload: Workload, known: Known): WorkloadStatus {
  const { group, decision, enforced } = workload;
  const pod = known.pod ?? known.container?.pod;
  return {
    kind: 'container',
    namespace: pod?.namespace,
    pod: pod?.name,
    container: known.name ?? known.container?.name,
    containerId: group.containerId,
    cgroup: group.path,
    level: decision.level,
    origin: decision.origin,
    reason: decision.reason,
    enforcedBy: enforced ? 'kernel' : 'agent',
  };
}

/** Whom a record about a workload is of: the workload, no process. */
export function workloadIdentity(host: Attributes, change: LevelChange): ProcessIdentity {
  const { known, containerId, podUid } = change;
  const pod = known?.container?.pod;
  const named: Record<string, string | undefined> = {
    'container.id': containerId,
    'container.name': known?.container?.name,
    'k8s.pod.uid': podUid ?? pod?.uid,
    'k8s.pod.name': pod?.name,
    'k8s.namespace.name': pod?.namespace,
    'k8s.container.name': known?.name,
  };
  const there = Object.entries(named).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    pid: 0,
    startTime: 0n,
    attribution: 'none',
    executableName: '',
    containerId,
    workload: change.name,
    resource: {
      'service.name': 'unknown_service',
      ...host,
      ...Object.fromEntries(there),
      ...known?.pod?.attributes,
    },
  };
}
