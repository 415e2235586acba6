/**
 * Whether a process serves names: it has a UDP or TCP socket bound to a DNS port. The socket tables are those of a network namespace, and
 * long on a busy host: they are read once for all processes of the namespace that are asked about meanwhile.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Inspector } from '../../inspector/inspector.ts';
import { type ReadResult, socketsOf } from '../../inspector/protocol.ts';
import type { Owner } from '../../model.ts';

/** Of the lines of a socket table that name a wanted port without a peer. */
const TABLE_BYTES = 256 * 1024;
const MAX_DESCRIPTORS = 4096;
const TABLES = ['udp', 'udp6', 'tcp', 'tcp6'];
const TCP_LISTEN = '0A';
/** Remote address of a socket without a peer, in the tables of IPv4 and IPv6. */
const NO_PEER = ['00000000:0000', `${'0'.repeat(32)}:0000`];
/** Tables of 100 000 sockets take the kernel longer than other files. */
const TABLES_MS = 5000;
/** EFBIG: a table was not looked through to its end. */
const TOO_LONG = 27;
/** Who asks within this time of the first is answered by one reading. */
const GATHER_MS = 20;

/** How sockets of others are read. undefined: the process is gone, cannot be looked into, or its tables are too long. */
export interface SocketReader {
  /** Inodes of the sockets of its network namespace that are bound to one of the ports and have no peer. */
  bound(owner: Owner, ports: readonly number[]): Promise<ReadonlySet<string> | undefined>;
  /** It has one of these sockets among its descriptors. */
  holds(owner: Owner, inodes: ReadonlySet<string>): Promise<boolean | undefined>;
}

type Table = Promise<ReadonlySet<string> | undefined>;

interface Reading {
  begun: boolean;
  table: Table;
}

export class NameServing {
  readonly #reader: SocketReader;
  readonly #ports: readonly number[];
  /** By network namespace, the latest. Empty when nothing is read. */
  readonly #reading = new Map<number, Reading>();

  constructor(reader: SocketReader, ports: readonly number[]) {
    this.#reader = reader;
    this.#ports = ports;
  }

  /** undefined: not known. */
  async of(owner: Owner): Promise<boolean | undefined> {
    // The one that it was read through may have ended before.
    const inodes = (await this.#shared(owner)) ?? (await this.#shared(owner));
    if (inodes === undefined) return undefined;
    return inodes.size === 0 ? false : this.#reader.holds(owner, inodes).catch(() => undefined);
  }

  /** Its reading begins after this call: a socket that was bound before is in it. */
  #shared(owner: Owner): Table {
    const namespace = owner.networkNamespace;
    const latest = this.#reading.get(namespace);
    if (latest?.begun === false) return latest.table;
    const reading: Reading = { begun: false, table: Promise.resolve(undefined) };
    reading.table = (latest?.table ?? sleep(GATHER_MS, undefined, { ref: false }))
      .then(() => {
        reading.begun = true;
        return this.#reader.bound(owner, this.#ports);
      })
      .catch(() => undefined)
      .finally(() => {
        if (this.#reading.get(namespace) === reading) this.#reading.delete(namespace);
      });
    this.#reading.set(namespace, reading);
    return reading.table;
  }
}

/** By the inspector, which looks through the tables and gives the lines that matter (proc_net(5)). */
export function socketReader(inspector: Pick<Inspector, 'inspect'>): SocketReader {
  return {
    bound: (owner, ports) => boundSockets(inspector, owner, ports),
    holds: async (owner, inodes) => {
      const results = await inspector.inspect(owner, [{ kind: 'sockets', limit: MAX_DESCRIPTORS }]);
      const own = socketsOf(results?.[0]);
      return own === undefined ? undefined : [...inodes].some((inode) => own.has(BigInt(inode)));
    },
  };
}

async function boundSockets(
  inspector: Pick<Inspector, 'inspect'>,
  owner: Owner,
  ports: readonly number[],
): Promise<ReadonlySet<string> | undefined> {
  const wanted = ports.map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
  const needles = wanted.flatMap((port) => NO_PEER.map((peer) => `:${port} ${peer} `));
  const results = await inspector.inspect(
    owner,
    TABLES.map((name) => ({ kind: 'file', name: `net/${name}`, limit: TABLE_BYTES, needles })),
    { deadlineMs: TABLES_MS },
  );
  if (results === undefined || results.some(({ error }) => error === TOO_LONG)) return undefined;
  return new Set(results.flatMap((result, index) => inodesOf(result, index >= 2, new Set(wanted))));
}

function inodesOf({ bytes }: ReadResult, isTcp: boolean, wanted: ReadonlySet<string>): string[] {
  // A kernel without IPv6 lacks two of the tables.
  return (bytes?.toString('latin1') ?? '').split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const isOpen = !isTcp || state === TCP_LISTEN;
    const isBound = isOpen && wanted.has(local.slice(local.lastIndexOf(':') + 1));
    return isBound && /^\d+$/.test(inode) ? [inode] : [];
  });
}
