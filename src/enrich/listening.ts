/** Whether a process serves names: it has a UDP or TCP socket bound to a DNS port. */

import { readdirSync, readlinkSync } from 'node:fs';
import type { Owner } from '../model.ts';
import { readFile, readProcess } from './proc.ts';

/** Of each socket table, and descriptors of a process looked at. */
const TABLE_BYTES = 1024 * 1024;
const MOST_DESCRIPTORS = 4096;
const TABLES = ['udp', 'udp6', 'tcp', 'tcp6'];
const TCP_LISTEN = '0A';

/** undefined: the process is gone, or cannot be looked into. */
export function servesNames(procRoot: string, owner: Owner, ports: readonly number[]): boolean | undefined {
  return readProcess(procRoot, owner.pid, owner.startTime, () => {
    const directory = `${procRoot}/${owner.pid}`;
    const inodes = boundSockets(directory, ports);
    if (inodes.size === 0) return false;
    try {
      return readdirSync(`${directory}/fd`)
        .slice(0, MOST_DESCRIPTORS)
        .some((fd) => inodes.has(socketInode(`${directory}/fd/${fd}`)));
    } catch {
      return undefined;
    }
  });
}

/** Inodes of the sockets of its network namespace that are bound to one of the ports and have no peer (proc_net(5)). */
function boundSockets(directory: string, ports: readonly number[]): ReadonlySet<string> {
  const wanted = new Set(ports.map((port) => port.toString(16).toUpperCase().padStart(4, '0')));
  const found = new Set<string>();
  for (const table of TABLES) {
    const text = readFile(`${directory}/net/${table}`, TABLE_BYTES)?.toString('latin1') ?? '';
    for (const line of text.split('\n')) {
      const [, local = '', remote = '', state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const isOpen = table.startsWith('tcp') ? state === TCP_LISTEN : remote.endsWith(':0000');
      if (isOpen && wanted.has(local.slice(local.lastIndexOf(':') + 1))) found.add(inode);
    }
  }
  return found;
}

function socketInode(link: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link, 'latin1'))?.[1] ?? '';
  } catch {
    return '';
  }
}
