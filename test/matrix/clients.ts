/** The programs of the resolver matrix: how each is told to look names up. A row of the table each. */
import { join } from 'node:path';
import { CLIENTS } from '../clients/build.ts';

export type Transport = 'udp' | 'tcp';

export interface Client {
  /** Row of the table; unique. */
  readonly title: string;
  /** What the client is told to ask; records show a v4-mapped address as IPv4. */
  readonly server: string;
  readonly transport: Transport;
  /** Path the record must name. */
  readonly executable: string;
  /** Arguments to look up `names` (A, and AAAA where the program does). */
  readonly argumentsFor: (names: readonly string[]) => readonly string[];
  /** The program takes one name: a process for each. */
  readonly single?: boolean;
}

const V4 = '127.0.0.1';
const V6 = '::1';
const MAPPED = '::ffff:127.0.0.1';
/** Where the forwarding unbound listens, and whom it asks. */
export const FORWARDER = '127.0.0.3';
export const UPSTREAM = '127.0.0.2';
/** Loopback addresses the authoritative server listens on. */
export const SERVER_ADDRESSES = [V4, V6, UPSTREAM];
export const FORWARDED = 'dig, through unbound as forwarder';

const SENDER = join(CLIENTS, 'sender');
const JAVA = join(CLIENTS, 'java/runtime/bin/java');
const JAVA_OPTIONS = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', join(CLIENTS, 'java/classes')];

const NODE_LOOKUP =
  'const d=require("node:dns");for(const n of process.argv.slice(1))d.lookup(n,{all:true},(e,a)=>console.log(n,e?e.code:JSON.stringify(a)))';
const NODE_RESOLVE =
  'const d=require("node:dns");for(const n of process.argv.slice(1))d.resolve4(n,(e,a)=>console.log(n,e?e.code:a))';
const PYTHON = `
import socket, sys
for name in sys.argv[1:]:
    try:
        print(name, [found[4][0] for found in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)])
    except socket.gaierror as error:
        print(name, error)
`;

/** A client for each of both address families; the title says which. */
function both(title: string, make: (server: string) => Omit<Client, 'title' | 'server'>): Client[] {
  return [
    { title: `${title}, IPv4`, server: V4, ...make(V4) },
    { title: `${title}, IPv6`, server: V6, ...make(V6) },
  ];
}

function resolver(title: string, executable: string, first: readonly string[], single = false): Client[] {
  return both(title, () => ({
    transport: 'udp',
    executable,
    single,
    argumentsFor: (names) => [...first, ...names],
  }));
}

/** One of the own C client's methods. A and AAAA of each name, as glibc asks; the ids are the same in every run. */
function sender(title: string, method: string, server: string, transport: Transport = 'udp'): Client {
  return {
    title,
    server,
    transport,
    executable: SENDER,
    argumentsFor: (names) => [method, server, '53', ...names.flatMap((name) => [name, `${name}/AAAA`])],
  };
}

const TOOLS: readonly Client[] = [
  ...both('dig', (server) => ({
    transport: 'udp',
    executable: '/usr/bin/dig',
    argumentsFor: (names) => ['+tries=1', '+time=20', `@${server}`, ...names],
  })),
  {
    title: 'dig +tcp',
    server: V4,
    transport: 'tcp',
    executable: '/usr/bin/dig',
    argumentsFor: (names) => ['+tcp', '+tries=1', '+time=20', `@${V4}`, ...names],
  },
  ...both('host', (server) => ({
    transport: 'udp',
    executable: '/usr/bin/host',
    single: true,
    argumentsFor: (names) => ['-W', '20', '-R', '1', ...names, server],
  })),
  ...both('drill', (server) => ({
    transport: 'udp',
    executable: '/usr/bin/drill',
    single: true,
    argumentsFor: (names) => [...names, `@${server}`],
  })),
  ...both('kdig', (server) => ({
    transport: 'udp',
    executable: '/usr/bin/kdig',
    argumentsFor: (names) => ['+retry=0', '+timeout=20', `@${server}`, ...names],
  })),
  ...both('kdig +tcp (two iovecs)', (server) => ({
    transport: 'tcp',
    executable: '/usr/bin/kdig',
    argumentsFor: (names) => ['+tcp', '+retry=0', '+timeout=20', `@${server}`, ...names],
  })),
  ...both('kdig +fastopen', (server) => ({
    transport: 'tcp',
    executable: '/usr/bin/kdig',
    argumentsFor: (names) => ['+tcp', '+fastopen', '+retry=0', '+timeout=20', `@${server}`, ...names],
  })),
  ...both('busybox nslookup', (server) => ({
    transport: 'udp',
    executable: '/usr/bin/busybox',
    single: true,
    argumentsFor: (names) => ['nslookup', ...names, server],
  })),
];

const OWN: readonly Client[] = [
  sender('write', 'write', V4),
  sender('writev, two iovecs', 'writev2', V4),
  sender('writev, five iovecs', 'writev5', V6),
  sender('sendmsg with empty iovecs, unconnected', 'empty-iovecs', V4),
  sender('sendto, unconnected, IPv4', 'sendto', V4),
  sender('sendto, unconnected, IPv6', 'sendto', V6),
  sender('sendto, v4-mapped', 'sendto', MAPPED),
  sender('write, connected, v4-mapped', 'write', MAPPED),
  {
    ...sender('sendmmsg of 16, two iovecs each', 'sendmmsg', V4),
    // 16 messages: A and AAAA of the names, as often as it takes.
    argumentsFor: (names) => {
      const all = names.flatMap((name) => [name, `${name}/AAAA`]);
      return ['sendmmsg', V4, '53', ...Array.from({ length: 16 }, (_, i) => all[i % all.length] ?? '')];
    },
  },
  sender('MSG_MORE', 'more', V4),
  sender('UDP_CORK', 'cork', V6),
  sender('io_uring send', 'uring-send', V4),
  sender('io_uring sendmsg, IPv6', 'uring-sendmsg', V6),
  sender('io_uring, worker thread', 'uring-async', V4),
  sender('TCP, several queries in one send', 'tcp-pipeline', V4, 'tcp'),
  sender('TCP, length prefix in an own iovec', 'tcp-iovecs', V6, 'tcp'),
  sender('TCP, split inside the length prefix', 'tcp-split', V4, 'tcp'),
];

/** All rows, in the table's order. */
export const ALL_CLIENTS: readonly Client[] = [
  ...resolver('getent ahosts (glibc)', '/usr/bin/getent', ['ahosts']),
  ...TOOLS,
  ...resolver('musl, static', join(CLIENTS, 'resolve-musl'), []),
  ...resolver('Node dns.lookup', process.execPath, ['-e', NODE_LOOKUP, '--']),
  ...resolver('Node dns.resolve4', process.execPath, ['-e', NODE_RESOLVE, '--']),
  ...resolver('Python getaddrinfo', '/usr/bin/python3.11', ['-I', '-S', '-c', PYTHON]),
  ...resolver('Go, pure Go resolver', join(CLIENTS, 'resolve-go'), []),
  ...resolver('Java InetAddress', JAVA, [...JAVA_OPTIONS, 'Resolve', 'inet']),
  ...resolver('Java JNDI', JAVA, [...JAVA_OPTIONS, 'Resolve', 'jndi']),
  ...both('curl', () => ({
    transport: 'udp',
    executable: '/usr/bin/curl',
    argumentsFor: (names) => ['-s', '--connect-timeout', '20', ...names.map((name) => `http://${name}/`)],
  })),
  {
    title: FORWARDED,
    server: FORWARDER,
    transport: 'udp',
    executable: '/usr/bin/dig',
    argumentsFor: (names) => ['+tries=1', '+time=20', `@${FORWARDER}`, ...names],
  },
  ...OWN,
];

/** Each way of sending once: what runtimes and tools add is what they call, and how long they take to start. */
const MORE = /^(?:Java|Node|Python|Go|curl|host|drill|busybox)/;
export const CORE_CLIENTS: readonly Client[] = ALL_CLIENTS.filter(({ title }) => !MORE.test(title));
