/** Identities of processes: nobody's, and whether two are the same. */
import type { Attributes, ProcessIdentity } from '../../model.ts';
import { unknownService } from './service.ts';

/** A request nobody is known for: a capture file, or a packet whose socket was not seen before. */
export function anonymous(host: Attributes): ProcessIdentity {
  return {
    pid: 0,
    startTime: 0n,
    attribution: 'none',
    executableName: '',
    containerId: undefined,
    workload: '',
    resource: { ...host, 'service.name': unknownService('') },
  };
}

export function isSame(a: ProcessIdentity, b: ProcessIdentity): boolean {
  const names = Object.keys(a.resource);
  return (
    a.attribution === b.attribution &&
    a.workload === b.workload &&
    a.incomplete === b.incomplete &&
    names.length === Object.keys(b.resource).length &&
    names.every((name) => String(a.resource[name]) === String(b.resource[name]))
  );
}
