/** What a metric says of a process, numbered: a process is looked up by its object, without a string. */
import { type HolderId, textHash } from '../../lib/fairness.ts';
import type { Attributes, ProcessIdentity } from '../../model.ts';
import { measuredOf } from '../../records/lookup-result.ts';

/** Attributes of a process that one metric shows; those of different owners are different parts. */
export interface Part {
  readonly number: number;
  /** Tells the attributes apart. */
  readonly key: string;
  readonly attributes: Attributes;
  /** Whose share of the series it is. */
  readonly owner: HolderId;
}

/** Parts kept; beyond it all are forgotten and numbered anew. */
export const MAX_PARTS = 4096;

export class ProcessParts {
  readonly #names: readonly string[];
  readonly #forgotten: () => void;
  readonly #parts = new Map<string, Part>();
  #processes = new WeakMap<ProcessIdentity, Part>();

  /** @param names of the attributes; @param forgotten called when the numbers mean nothing any more */
  constructor(names: readonly string[], forgotten: () => void) {
    this.#names = names;
    this.#forgotten = forgotten;
  }

  of(process: ProcessIdentity): Part {
    return this.#processes.get(process) ?? this.#add(process);
  }

  #add(process: ProcessIdentity): Part {
    const attributes = measuredOf(process, this.#names);
    const owner = ownerOf(process);
    const key = JSON.stringify(attributes);
    const whole = `${key}\0${owner.cgroupId}:${owner.uid}:${owner.pid}`;
    if (this.#parts.size >= MAX_PARTS && !this.#parts.has(whole)) this.#forget();
    const part = this.#parts.get(whole) ?? { number: this.#parts.size, key, attributes, owner };
    this.#parts.set(whole, part);
    this.#processes.set(process, part);
    return part;
  }

  #forget(): void {
    this.#parts.clear();
    this.#processes = new WeakMap();
    this.#forgotten();
  }
}

/** Container or cgroup, user, executable: series are of no single process. */
function ownerOf({ resource, containerId, executableName }: ProcessIdentity): HolderId {
  const workload = containerId ?? String(resource['process.linux.cgroup'] ?? '');
  return {
    cgroupId: BigInt(textHash(workload)),
    uid: Number(resource['process.user.id'] ?? 0),
    pid: textHash(executableName),
  };
}
