/**
 * Whether a process serves names: it has a UDP or TCP socket bound to a DNS port. The socket tables are those of a network namespace, and
 * long on a busy host: they are read once for all processes of the namespace that are asked about meanwhile.
 */

import { constants } from 'node:fs';
import { type FileHandle, open, readdir, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Owner } from '../model.ts';
import { isAlive } from './proc.ts';

/** Of each socket table: some 130 000 sockets. */
const TABLE_BYTES = 16 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const MOST_DESCRIPTORS = 4096;
const TABLES = ['udp', 'udp6', 'tcp', 'tcp6'];
const TCP_LISTEN = '0A';
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

/** By /proc (proc_net(5)), in pieces. */
export function procReader(procRoot: string): SocketReader {
  return {
    bound: (owner, ports) => boundSockets(procRoot, owner, ports),
    holds: async (owner, inodes) => {
      const holds = await holdsOne(`${procRoot}/${owner.pid}`, inodes);
      return isAlive(procRoot, owner.pid, owner.startTime) ? holds : undefined;
    },
  };
}

/** Of a process that is there when the tables are opened: they stay readable when it ends. @throws it is gone, a table is too long */
async function boundSockets(
  procRoot: string,
  { pid, startTime }: Owner,
  ports: readonly number[],
): Promise<ReadonlySet<string> | undefined> {
  const files = await Promise.all(
    TABLES.map(async (table) => ({
      isTcp: table.startsWith('tcp'),
      // A kernel without IPv6 lacks two of them.
      file: await open(`${procRoot}/${pid}/net/${table}`, constants.O_RDONLY | constants.O_NONBLOCK).catch(
        () => undefined,
      ),
    })),
  );
  try {
    if (!isAlive(procRoot, pid, startTime)) return undefined;
    const wanted = new Set(ports.map((port) => port.toString(16).toUpperCase().padStart(4, '0')));
    const found = new Set<string>();
    for (const { file, isTcp } of files) if (file !== undefined) await addBound(file, isTcp, wanted, found);
    return found;
  } finally {
    for (const { file } of files) await file?.close();
  }
}

async function addBound(
  file: FileHandle,
  isTcp: boolean,
  wanted: ReadonlySet<string>,
  found: Set<string>,
): Promise<void> {
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let rest = '';
  for (let total = 0; total <= TABLE_BYTES; ) {
    const { bytesRead } = await file.read(piece, 0, piece.length, null);
    if (bytesRead === 0) return;
    total += bytesRead;
    const lines = (rest + piece.toString('latin1', 0, bytesRead)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, local = '', remote = '', state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const isOpen = isTcp ? state === TCP_LISTEN : remote.endsWith(':0000');
      if (isOpen && wanted.has(local.slice(local.lastIndexOf(':') + 1))) found.add(inode);
    }
  }
  throw new Error('the socket table is too long');
}

async function holdsOne(directory: string, inodes: ReadonlySet<string>): Promise<boolean> {
  for (const fd of (await readdir(`${directory}/fd`)).slice(0, MOST_DESCRIPTORS)) {
    const link = await readlink(`${directory}/fd/${fd}`).catch(() => '');
    if (inodes.has(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? '')) return true;
  }
  return false;
}
