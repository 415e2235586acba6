/** What a process is an instance of: processes come and go, pods are replaced, the workload stays. */
import type { ProcessIdentity } from '../model.ts';

/** Owners of pods, the outermost first. */
const OWNERS = ['deployment', 'statefulset', 'daemonset', 'cronjob', 'job', 'replicaset', 'pod'];

const known = new WeakMap<ProcessIdentity, string>();

/** One line; the same for all processes of a workload. */
export function workloadOf(process: ProcessIdentity): string {
  let workload = known.get(process);
  if (workload === undefined) {
    workload = nameOf(process);
    known.set(process, workload);
  }
  return workload;
}

function nameOf({ resource, containerId, attribution }: ProcessIdentity): string {
  const text = (name: string) =>
    typeof resource[name] === 'string' ? (resource[name] as string) : undefined;
  const namespace = text('k8s.namespace.name');
  if (namespace !== undefined) {
    const kind = OWNERS.find((owner) => text(`k8s.${owner}.name`) !== undefined) ?? 'pod';
    return `${namespace}/${text(`k8s.${kind}.name`) ?? ''}/${text('k8s.container.name') ?? ''}`;
  }
  const executable = text('process.executable.path') ?? '';
  // What a user calls a container of his own may be what another's is called.
  const container = attribution === 'unverified' ? undefined : (text('container.name') ?? containerId);
  return container === undefined ? executable : `${container} ${executable}`;
}
