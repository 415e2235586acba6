/** The last word on a lookup before it becomes a record; ledger stage `visibility`. */
import type { Stage } from '../ledger.ts';
import type { LookupView } from '../lookup/view.ts';
import type { ConnectionEvent, ProcessIdentity } from '../model.ts';
import type { LookupFilter } from './lookup-filter.ts';
import type { Visibility } from './visibility.ts';

export interface GateOptions {
  readonly filter: LookupFilter;
  /** undefined: a capture file, which knows no workloads. */
  readonly visibility: Visibility | undefined;
  readonly stage: Stage<'visibility'>;
  /** Learns what a process is called that is only counted. */
  readonly introduce: (process: ProcessIdentity) => void;
}

export class VisibilityGate {
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  admits(lookup: LookupView): boolean {
    const { filter, visibility, stage, introduce } = this.#options;
    stage.in++;
    const level = visibility?.levelOf(lookup.process) ?? 'on';
    if (level === 'metrics') introduce(lookup.process);
    const reason = level === 'on' ? filter.reason(lookup) : (`workload_${level}` as const);
    if (reason === undefined) stage.out++;
    else stage.filter(reason);
    return reason === undefined;
  }

  /** Of what a process does besides asking: connections. */
  admitsConnection(event: ConnectionEvent): boolean {
    const { filter, visibility, stage } = this.#options;
    stage.in++;
    const level = visibility?.levelOf(event.process) ?? 'on';
    const reason = level === 'on' ? filter.connectionReason(event) : (`workload_${level}` as const);
    if (reason === undefined) stage.out++;
    else stage.filter(reason);
    return reason === undefined;
  }

  /** The kernel announced a process. */
  announced(process: ProcessIdentity): void {
    const { visibility, introduce } = this.#options;
    if (visibility === undefined) return;
    visibility.seen(process);
    if (visibility.decisionFor(process) === 'metrics') introduce(process);
  }
}
