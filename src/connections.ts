/** Connection -> the process that made it and the name that its destination was looked up as. */
import type { ProcessTable } from './enrich/process.ts';
import type { Stage } from './health.ts';
import type { ConnectionEvent, ProcessIdentity, RawConnection, Resolution } from './model.ts';

export interface ConnectionsOptions {
  readonly processes: Pick<ProcessTable, 'identify'>;
  /** The DNS cache: what an address was looked up as, in the nearest scope of the process. */
  readonly resolve: (connection: RawConnection, process: ProcessIdentity) => Resolution | undefined;
  readonly onConnection: (event: ConnectionEvent) => void;
  /** The stage `connections`. */
  readonly stage: Stage;
}

export class Connections {
  readonly #options: ConnectionsOptions;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  accept(connection: RawConnection): void {
    const { processes, resolve, onConnection, stage } = this.#options;
    stage.in++;
    const process = processes.identify(connection.owner);
    const resolution = resolve(connection, process);
    stage.out++;
    onConnection({ kind: 'connection', time: connection.time, connection, process, resolution });
  }
}
