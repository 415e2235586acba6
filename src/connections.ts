/** Connection -> the process that made it and the name that its destination was looked up as. */
import type { DnsCache } from './dnscache/cache.ts';
import { scopesOf } from './dnscache/scope.ts';
import type { ProcessTable } from './enrich/process/process.ts';
import type { Stage } from './ledger.ts';
import type { ConnectionEvent, ProcessIdentity, RawConnection, Resolution } from './model.ts';

export interface ConnectionsOptions {
  readonly processes: Pick<ProcessTable, 'identify'>;
  readonly dnsCache: Pick<DnsCache, 'nameOf'>;
  readonly onConnection: (event: ConnectionEvent) => void;
  /** The stage `connections`. */
  readonly stage: Stage<'connections'>;
}

export class Connections {
  readonly #options: ConnectionsOptions;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** The answers that came before it must be in the cache: the kernel's ring has both in the order of their time. */
  accept(connection: RawConnection): void {
    const { processes, onConnection, stage } = this.#options;
    stage.in++;
    const process = processes.identify(connection.owner);
    const resolution = this.#resolve(connection, process);
    stage.out++;
    onConnection({ kind: 'connection', time: connection.time, connection, process, resolution });
  }

  #resolve(
    { remote, time, networkNamespace }: RawConnection,
    process: ProcessIdentity,
  ): Resolution | undefined {
    const scopes = scopesOf(process, networkNamespace);
    const found = this.#options.dnsCache.nameOf(remote.address, time, scopes);
    if (found === undefined) return undefined;
    const { names, scope, answeredAt, expiresAt } = found;
    return { names, scope: scope.kind, answered: answeredAt, expires: expiresAt };
  }
}
