/**
 * What the hook families cannot see, or see less well, whatever the load: one row each. `whodns doctor` shows those of the family it would
 * take, docs/operating.md all. Known from tests, else from the kernel's source. What a test shows to be seen leaves the table.
 */
import type { HookFamily } from '../model.ts';

export interface BlindSpot {
  /** What programs, devices or the kernel do. */
  readonly what: string;
  readonly families: readonly HookFamily[];
  /** What a record then says, if there is one. Absent: there is none. */
  readonly seenAs?: string;
}

const SOCKETS = ['fentry', 'kprobe'] as const;
const ALL = [...SOCKETS, 'tracepoint'] as const;

export const BLIND_SPOTS: readonly BlindSpot[] = [
  {
    what: 'requests sent by the kernel itself, and by raw or packet sockets',
    families: SOCKETS,
  },
  {
    what: 'what a program asked for by io_uring, or is a program of 32 bits, where a cgroup program at the socket (connect4/6, sendmsg4/6) or IPVS sends it elsewhere',
    families: ['tracepoint'],
    seenAs: 'nothing; at the same port as the address that it went to',
  },
  {
    what: 'connections and connected UDP sockets that a cgroup program (connect4/6) sends elsewhere, where it was attached after whodns started, or to groups below its own',
    families: ['tracepoint'],
    seenAs: 'nothing; at the same port as the address that they went to',
  },
  {
    what: 'where a packet filter (destination NAT) or IPVS sends a request behind the socket',
    families: SOCKETS,
    seenAs: 'the server that was asked, without `network.peer.address`',
  },
  {
    what: 'where destination NAT outside of the network namespace of the program (a router, the host of a container) sends a request',
    families: ALL,
    seenAs: 'the server that was asked, without `network.peer.address`',
  },
  {
    what: 'more than 64 KB of a TCP connection that one receive or one packet holds',
    families: ALL,
    seenAs: 'a gap (`stream_gap`)',
  },
  {
    what: 'requests that never reach a network device (no route, dropped by a packet filter)',
    families: ['tracepoint'],
  },
  {
    what: 'the owner of a packet sent in softirq context whose socket was not seen before',
    families: ['tracepoint'],
    seenAs: 'a record without a process',
  },
  {
    what: 'requests sent as IP fragments: only the first fragment is read',
    families: ['tracepoint'],
    seenAs: 'what the first fragment holds, `whodns.malformed` `cut`',
  },
  {
    what: 'requests that IPsec encrypts before they reach a device (transport and tunnel mode without an xfrm interface)',
    families: ['tracepoint'],
  },
  {
    what: 'packets that pass no queue of the kernel: AF_XDP, PACKET_QDISC_BYPASS, DPDK; and answers that an XDP program takes off the device',
    families: ALL,
  },
  {
    what: 'DNS over TLS, HTTPS and QUIC: encrypted before the kernel has it',
    families: ALL,
  },
  {
    what: 'TCP sockets with kernel TLS (kTLS)',
    families: SOCKETS,
  },
  {
    what: 'TCP sockets with kernel TLS (kTLS)',
    families: ['tracepoint'],
    seenAs: 'bytes that are no DNS (`stream_unsynchronized`)',
  },
  {
    what: 'several datagrams in one send (UDP_SEGMENT) that are longer together than the copy limit',
    families: ALL,
    seenAs: 'those beyond it as records without a name (`whodns.malformed` `cut`)',
  },
  { what: 'DNS over SCTP or DCCP', families: ALL },
  {
    what: 'Multipath TCP sockets, and TCP sockets in a sockmap: they send and receive by functions of their own',
    families: SOCKETS,
  },
  {
    what: 'sendfile(2) and splice(2) into a TCP socket before kernel 6.5',
    families: SOCKETS,
  },
  {
    what: 'answers that are spliced out of a TCP socket, received by mapping (TCP_ZEROCOPY_RECEIVE) or by io_uring zero-copy receive',
    families: SOCKETS,
    seenAs: 'a lookup whose outcome is unknown (`stream_gap`)',
  },
  {
    what: 'bytes in pages (io_uring with registered buffers, sendfile, splice) on machines other than x86-64 before kernel 6.12',
    families: SOCKETS,
    seenAs: 'a record without a name (`payload_unreadable`)',
  },
];

/** Of one family, for people. */
export function missedBy(family: HookFamily): readonly string[] {
  return BLIND_SPOTS.filter(({ families }) => families.includes(family)).map(({ what, seenAs }) =>
    seenAs === undefined ? what : `${what}; seen as ${seenAs.replaceAll('`', '')}`,
  );
}
