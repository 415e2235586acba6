/** What events say of a process: its resource (tables/resource-attributes.ts) as typed parts, made once a process. */
import type { Attributes, ProcessIdentity } from '../model.ts';
import type { ResourceAttributeName } from '../tables/resource-attributes.ts';
import type { LookupContainer, LookupEvent, LookupKubernetes, LookupProcess } from './event.ts';

export type ProcessParts = Pick<LookupEvent, 'process' | 'container' | 'kubernetes' | 'resource'>;

/** The outermost first: a Deployment owns the ReplicaSet, a CronJob the Job. */
const OWNERS = ['deployment', 'statefulset', 'daemonset', 'cronjob', 'job', 'replicaset'] as const;

const made = new WeakMap<ProcessIdentity, ProcessParts>();

export function partsOf(identity: ProcessIdentity): ProcessParts {
  const known = made.get(identity);
  if (known !== undefined) return known;
  const read = new Reader(identity.resource);
  const parts: ProcessParts = {
    process: processOf(identity, read),
    container: containerOf(read),
    kubernetes: kubernetesOf(read),
    resource: read.all,
  };
  made.set(identity, parts);
  return parts;
}

/** What others chose to say may be of any type. */
class Reader {
  readonly all: Attributes;

  constructor(resource: Attributes) {
    const copy = Object.entries(resource).map(([name, value]) => [
      name,
      Array.isArray(value) ? Object.freeze([...value]) : value,
    ]);
    this.all = Object.freeze(Object.fromEntries(copy) as Attributes);
  }

  text(name: ResourceAttributeName): string | undefined {
    const value = this.all[name];
    return typeof value === 'string' ? value : undefined;
  }

  number(name: ResourceAttributeName): number | undefined {
    const value = this.all[name];
    return typeof value === 'number' ? value : undefined;
  }

  texts(name: ResourceAttributeName): readonly string[] | undefined {
    const value = this.all[name];
    return Array.isArray(value) ? (value as readonly string[]) : undefined;
  }
}

function processOf({ pid, attribution, executableName }: ProcessIdentity, read: Reader): LookupProcess {
  const uid = read.number('process.user.id');
  const parent = read.number('process.parent_pid');
  return Object.freeze({
    pid,
    startTime: read.text('process.creation.time'),
    name: executableName,
    executable: read.text('process.executable.path'),
    command: read.text('process.command'),
    args: read.texts('process.command_args'),
    workingDirectory: read.text('process.working_directory'),
    user: uid === undefined ? undefined : Object.freeze({ id: uid, name: read.text('process.user.name') }),
    parent:
      parent === undefined
        ? undefined
        : Object.freeze({ pid: parent, name: read.text('whodns.process.parent.executable.name') }),
    vpid: read.number('process.vpid'),
    cgroup: read.text('process.linux.cgroup'),
    service: Object.freeze({
      name: read.text('service.name') ?? '',
      namespace: read.text('service.namespace'),
      version: read.text('service.version'),
      instanceId: read.text('service.instance.id'),
    }),
    attribution,
  });
}

function containerOf(read: Reader): LookupContainer | undefined {
  const id = read.text('container.id');
  if (id === undefined) return undefined;
  return Object.freeze({
    id,
    name: read.text('container.name'),
    runtime: read.text('container.runtime.name'),
    image: Object.freeze({
      name: read.text('container.image.name'),
      tags: read.texts('container.image.tags') ?? Object.freeze([]),
    }),
  });
}

/** Of a node that a host process runs on too, so only with a pod. */
function kubernetesOf(read: Reader): LookupKubernetes | undefined {
  const pod = Object.freeze({ name: read.text('k8s.pod.name'), uid: read.text('k8s.pod.uid') });
  if (pod.name === undefined && pod.uid === undefined) return undefined;
  const kind = OWNERS.find((each) => read.text(`k8s.${each}.name`) !== undefined);
  return Object.freeze({
    cluster: read.text('k8s.cluster.name'),
    node: read.text('k8s.node.name'),
    namespace: read.text('k8s.namespace.name'),
    pod,
    container: read.text('k8s.container.name'),
    owner:
      kind === undefined ? undefined : Object.freeze({ kind, name: read.text(`k8s.${kind}.name`) as string }),
  });
}
