/** Whether a process serves names: it has a UDP or TCP socket bound to a DNS port. */
import type { Inspector, Target } from '../inspector/inspector.ts';
import { type ReadResult, socketsOf } from '../inspector/protocol.ts';

/** Of the lines of each socket table that name a wanted port, and descriptors of a process looked at. */
const TABLE_BYTES = 64 * 1024;
const MOST_DESCRIPTORS = 4096;
const TABLES = ['udp', 'udp6', 'tcp', 'tcp6'];
const TCP_LISTEN = '0A';
/** Remote address of a socket without one, in the tables of IPv4 and IPv6. */
const NO_PEER = ['00000000:0000', `${'0'.repeat(32)}:0000`];

/** undefined: the process is gone, or cannot be looked into. */
export async function servesNames(
  inspector: Pick<Inspector, 'inspect'>,
  owner: Target,
  ports: readonly number[],
): Promise<boolean | undefined> {
  const wanted = ports.map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
  const tables = await inspector.inspect(
    owner,
    TABLES.map((name) => ({
      kind: 'file',
      name: `net/${name}`,
      limit: TABLE_BYTES,
      needles: wanted.flatMap((port) => NO_PEER.map((peer) => `:${port} ${peer} `)),
    })),
  );
  if (tables === undefined) return undefined;
  const bound = boundSockets(tables, new Set(wanted));
  if (bound.size === 0) return false;
  const listed = await inspector.inspect(owner, [{ kind: 'sockets', limit: MOST_DESCRIPTORS }]);
  const own = socketsOf(listed?.[0]);
  return own === undefined ? undefined : [...bound].some((inode) => own.has(inode));
}

/** Inodes of the sockets of its network namespace that are bound to one of the ports and have no peer (proc_net(5)). */
function boundSockets(tables: readonly ReadResult[], wanted: ReadonlySet<string>): ReadonlySet<bigint> {
  const found = new Set<bigint>();
  TABLES.forEach((table, index) => {
    for (const line of (tables[index]?.bytes?.toString('latin1') ?? '').split('\n')) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const isOpen = !table.startsWith('tcp') || state === TCP_LISTEN;
      if (isOpen && wanted.has(local.slice(local.lastIndexOf(':') + 1)) && /^\d+$/.test(inode))
        found.add(BigInt(inode));
    }
  });
  return found;
}
