/**
 * Lookups (and connections) of containers that the kernel shows before their runtime or the Kubernetes API has reported them wait here, at most
 * WAIT_MS after the container was first seen, until somebody knows it. Those of one container leave in the order they came.
 * Everything else never comes here (pipeline.ts).
 */
import type { Stage } from '../../ledger.ts';
import type { Lookup, ProcessIdentity } from '../../model.ts';
import type { ProcessTable } from '../process/process.ts';
import type { Containers } from './containers.ts';

/** Lookups held at once. Full: those of the container that has most go out as they are. */
const MAX_HELD = 4096;

/** What waits: a lookup, or what has a process as it does. */
type Attributed = { readonly process: ProcessIdentity };

export interface ContainerHoldOptions<Held> {
  readonly containers: Pick<Containers, 'timeoutMs' | 'counts'>;
  readonly processes: Pick<ProcessTable, 'current'>;
  /** in = out + held. */
  readonly stage: Stage<'containers'>;
  readonly onLookup: (lookup: Held) => void;
  /** Of a lookup that is valid during the call only one that may be kept. */
  readonly keep: (lookup: Held) => Held;
  /** The lookup as one of this process. */
  readonly attribute: (lookup: Held, process: ProcessIdentity) => Held;
  readonly max?: number;
}

interface Group<Held> {
  readonly lookups: Held[];
  readonly timer: NodeJS.Timeout;
}

export class ContainerHold<Held extends Attributed = Lookup> {
  readonly #options: ContainerHoldOptions<Held>;
  readonly #max: number;
  /** By container id, in the order in which they began to wait. */
  readonly #groups = new Map<string, Group<Held>>();
  #held = 0;

  constructor(options: ContainerHoldOptions<Held>) {
    this.#options = options;
    this.#max = options.max ?? MAX_HELD;
    options.stage.held = () => this.#held;
  }

  /** A lookup whose process is `incomplete`. */
  accept(lookup: Held): void {
    const { stage, processes, containers } = this.#options;
    stage.in++;
    const process = processes.current(lookup.process);
    const id = process.containerId;
    const timeoutMs = process.incomplete === true && id !== undefined ? containers.timeoutMs(id) : 0;
    if (timeoutMs === 0 || id === undefined) {
      // Those that wait came before.
      if (id !== undefined) this.#release(id, 'timeout');
      this.#emit(lookup);
      return;
    }
    if (this.#held >= this.#max) {
      const largest = this.#largest();
      if (largest !== undefined) this.#release(largest, 'overflow');
    }
    containers.counts.held++;
    this.#held++;
    const group = this.#groups.get(id);
    if (group !== undefined) {
      group.lookups.push(this.#options.keep(lookup));
      return;
    }
    const timer = setTimeout(() => this.#release(id, 'timeout'), timeoutMs);
    this.#groups.set(id, { lookups: [this.#options.keep(lookup)], timer });
  }

  /** Something was learnt of the container. */
  changed(containerId: string): void {
    const first = this.#groups.get(containerId)?.lookups[0];
    if (first === undefined) return;
    const isAwaited =
      this.#options.processes.current(first.process).incomplete === true &&
      this.#options.containers.timeoutMs(containerId) > 0;
    if (!isAwaited) this.#release(containerId, 'timeout');
  }

  /** End of the run: all leave with what is known. */
  flush(): void {
    for (const id of [...this.#groups.keys()]) this.#release(id, 'flushed');
  }

  /** At most as many groups are looked at as lookups leave by it, on average. */
  #largest(): string | undefined {
    let largest: string | undefined;
    let max = 0;
    for (const [id, { lookups }] of this.#groups) {
      if (lookups.length <= max) continue;
      largest = id;
      max = lookups.length;
    }
    return largest;
  }

  #release(containerId: string, reason: 'timeout' | 'overflow' | 'flushed'): void {
    const group = this.#groups.get(containerId);
    if (group === undefined) return;
    clearTimeout(group.timer);
    this.#groups.delete(containerId);
    this.#held -= group.lookups.length;
    const { counts } = this.#options.containers;
    for (const lookup of group.lookups) {
      const isComplete = this.#emit(lookup);
      counts[isComplete ? 'completed' : reason]++;
    }
  }

  /** @returns whether everything is known of its container. */
  #emit(lookup: Held): boolean {
    const { stage, processes, onLookup, attribute } = this.#options;
    const process = processes.current(lookup.process);
    stage.out++;
    onLookup(process === lookup.process ? lookup : attribute(lookup, process));
    return process.incomplete !== true;
  }
}
