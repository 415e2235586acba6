/**
 * Lookups (and connections) of processes that the inspector has been asked about wait here until it has answered, at most WAIT_MS. It
 * answers within a millisecond or so; that of a process which does not let itself be read is not waited for longer. Those of
 * one process leave in the order they came. Everything else passes through.
 */
import type { Stage } from '../../ledger.ts';
import type { ProcessIdentity } from '../../model.ts';
import type { ProcessTable } from './process.ts';

/** Held at once. Full: those of the process that has most of them go out as they are. */
const MAX_HELD = 4096;
const WAIT_MS = 500;

type Attributed = { readonly process: ProcessIdentity };

export interface InspectionHoldOptions<Held> {
  readonly processes: Pick<ProcessTable, 'current' | 'pending'>;
  /** What else must be known of an event before it goes on. */
  readonly pending?: ((event: Held) => Promise<unknown> | undefined) | undefined;
  /** in = out + held; what does not wait is not counted. */
  readonly stage: Stage<'inspection'>;
  readonly onEvent: (event: Held) => void;
  /** Of an event that is valid during the call only one that may be kept. */
  readonly keep: (event: Held) => Held;
  /** The event as one of this process. */
  readonly attribute: (event: Held, process: ProcessIdentity) => Held;
  readonly max?: number;
}

interface Group<Held> {
  readonly events: Held[];
  readonly timer: NodeJS.Timeout;
}

export class InspectionHold<Held extends Attributed> {
  readonly #options: InspectionHoldOptions<Held>;
  readonly #max: number;
  readonly #groups = new Map<string, Group<Held>>();
  #held = 0;
  #empty: PromiseWithResolvers<void> | undefined;

  constructor(options: InspectionHoldOptions<Held>) {
    this.#options = options;
    this.#max = options.max ?? MAX_HELD;
    options.stage.held = () => this.#held;
  }

  accept(event: Held): void {
    const waiting = this.#groups.size === 0 ? undefined : this.#groups.get(keyOf(event.process));
    if (waiting !== undefined) this.#hold(event, waiting);
    else {
      const pending = this.#pending(event);
      if (pending === undefined) this.#emit(event);
      else this.#wait(event, pending);
    }
  }

  /** End of the run: resolves when nothing waits any more, WAIT_MS from now at the latest. */
  async drained(): Promise<void> {
    if (this.#groups.size === 0) return;
    this.#empty ??= Promise.withResolvers<void>();
    await this.#empty.promise;
  }

  #pending(event: Held): Promise<unknown> | undefined {
    const { processes, pending } = this.#options;
    const identity = processes.pending(event.process);
    const further = pending?.(event);
    return identity === undefined || further === undefined
      ? (identity ?? further)
      : Promise.all([identity, further]);
  }

  #wait(event: Held, pending: Promise<unknown>): void {
    const key = keyOf(event.process);
    const release = () => this.#release(key, group);
    const group: Group<Held> = { events: [], timer: setTimeout(release, WAIT_MS) };
    this.#groups.set(key, group);
    void pending.then(release);
    this.#hold(event, group);
  }

  #hold(event: Held, group: Group<Held>): void {
    this.#options.stage.in++;
    this.#held++;
    group.events.push(this.#options.keep(event));
    if (this.#held <= this.#max) return;
    const [max] = [...this.#groups].sort(([, a], [, b]) => b.events.length - a.events.length);
    if (max !== undefined) this.#release(...max);
  }

  /** Once: a group may be released before what it waits for has come. */
  #release(key: string, group: Group<Held>): void {
    if (this.#groups.get(key) !== group) return;
    clearTimeout(group.timer);
    this.#groups.delete(key);
    this.#held -= group.events.length;
    this.#options.stage.out += group.events.length;
    for (const event of group.events) this.#emit(event);
    if (this.#groups.size === 0) this.#empty?.resolve();
  }

  #emit(event: Held): void {
    const { processes, onEvent, attribute } = this.#options;
    const process = event.process.awaited === true ? processes.current(event.process) : event.process;
    onEvent(process === event.process ? event : attribute(event, process));
  }
}

function keyOf({ pid, startTime }: ProcessIdentity): string {
  return `${pid}/${startTime}`;
}
