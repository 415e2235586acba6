/** From IP packets of a capture file to the pieces of DNS traffic in them. */
import type { Direction, Endpoint, RawMessage } from '../model.ts';
import { FragmentTable } from '../streams/fragments.ts';
import { type IpPayload, PROTOCOL, passExtensions, readIp } from './ip-packet.ts';
import { SeenPackets } from './seen-packets.ts';
import { findInner, isTunnelPort } from './tunnels.ts';

/** What became of the packets: the counters of the source. */
export interface PacketCounters {
  packets: number;
  requests: number;
  responses: number;
  /** Not IP, damaged or cut within the headers, or of a link type that is not read. */
  unreadable: number;
  /** Other traffic. */
  skipped: number;
  fragments: number;
  /** Packets of tunnels: what is in them is counted too. */
  tunnels: number;
  /** The same packet again: taken on several devices, or of a mirrored port. */
  duplicates: number;
}

const TCP_FLAGS = { fin: 1, syn: 2, rst: 4, ack: 16 };
/** Connections between two DNS ports whose client is remembered. */
const MAX_PEERS = 1024;
/** Tunnels within tunnels: more are not honest. */
const MAX_TUNNELS = 4;

/** Where a packet is from and what it is. */
interface Segment {
  readonly time: bigint;
  readonly family: 4 | 6;
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

export class DnsPackets {
  readonly counters: PacketCounters = {
    packets: 0,
    requests: 0,
    responses: 0,
    unreadable: 0,
    skipped: 0,
    fragments: 0,
    tunnels: 0,
    duplicates: 0,
  };
  readonly #ports: ReadonlySet<number>;
  readonly #emit: (message: RawMessage) => void;
  readonly #fragments: FragmentTable<{ readonly packet: IpPayload; readonly depth: number }>;
  readonly #seen = new SeenPackets();
  /** Client of TCP connections between two DNS ports, by both endpoints. The oldest goes first. */
  readonly #clients = new Map<string, string>();

  constructor(ports: readonly number[], emit: (message: RawMessage) => void) {
    this.#ports = new Set(ports);
    this.#emit = emit;
    this.#fragments = new FragmentTable(({ bytes, length, time }, { packet, depth }) =>
      this.#acceptReassembled({ ...packet, bytes, length: length ?? unknownEnd(bytes) }, time, depth),
    );
  }

  /** Datagrams whose fragments could not be put together, by reason. */
  get droppedFragments(): ReadonlyMap<string, number> {
    return this.#fragments.dropped;
  }

  /** @param depth tunnels that the packet was found in */
  accept(packet: IpPayload, time: bigint, depth = 0): void {
    if (packet.fragment === undefined) {
      this.#acceptWhole(packet, time, depth);
      return;
    }
    this.counters.fragments++;
    const { identification, offset, more } = packet.fragment;
    const { family, source, destination, protocol } = packet;
    // The protocol is part of an IPv4 datagram's identity (RFC 791), but not of IPv6's (RFC 8200 section 4.5).
    const key = `${source} ${destination} ${identification} ${family === 4 ? protocol : ''}`;
    this.#fragments.accept(
      { key, offset, length: packet.length, more, bytes: packet.bytes, time },
      { packet, depth },
    );
  }

  /** The end of the file: incomplete datagrams are given out cut. */
  close(): void {
    this.#fragments.close();
  }

  #acceptReassembled(packet: IpPayload, time: bigint, depth: number): void {
    const { bytes, length } = packet;
    const headers =
      packet.family === 6
        ? passExtensions(bytes, packet.protocol, 0, length)
        : { protocol: packet.protocol, next: 0, fragment: undefined };
    if (headers === undefined || headers.fragment !== undefined) {
      this.counters.unreadable++;
      return;
    }
    const { protocol, next } = headers;
    this.#acceptWhole(
      { ...packet, protocol, bytes: bytes.subarray(next), length: length - next },
      time,
      depth,
    );
  }

  #acceptWhole(packet: IpPayload, time: bigint, depth: number): void {
    const { bytes, protocol } = packet;
    if (protocol !== PROTOCOL.udp && protocol !== PROTOCOL.tcp) {
      this.#acceptTunnel(packet, time, depth);
      return;
    }
    const header = protocol === PROTOCOL.udp ? 8 : 20;
    if (bytes.length < header) {
      this.counters.unreadable++;
      return;
    }
    const sourcePort = word(bytes, 0);
    const destinationPort = word(bytes, 2);
    if (!this.#ports.has(sourcePort) && !this.#ports.has(destinationPort)) {
      if (protocol === PROTOCOL.udp && isTunnelPort(sourcePort, destinationPort))
        this.#acceptTunnel(packet, time, depth);
      else this.counters.skipped++;
      return;
    }
    if (protocol === PROTOCOL.udp && this.#seen.isRepeated(packet, time)) {
      this.counters.duplicates++;
      return;
    }
    const segment: Segment = {
      time,
      family: packet.family,
      source: { address: packet.source, port: sourcePort },
      destination: { address: packet.destination, port: destinationPort },
    };
    if (protocol === PROTOCOL.udp) this.#acceptUdp(segment, bytes, packet.length);
    else this.#acceptTcp(segment, bytes, packet.length);
  }

  #acceptTunnel({ protocol, bytes }: IpPayload, time: bigint, depth: number): void {
    const offset = depth < MAX_TUNNELS ? findInner(protocol, bytes) : -1;
    const inner = offset < 0 ? undefined : readIp(bytes, offset);
    if (inner === undefined) {
      this.counters.skipped++;
      return;
    }
    this.counters.tunnels++;
    this.accept(inner, time, depth + 1);
  }

  #acceptUdp(segment: Segment, bytes: Uint8Array, length: number): void {
    // 0: longer than 65 535 (RFC 2675), or segmentation offload.
    const claimed = word(bytes, 4) || length;
    if (claimed < 8) {
      this.counters.unreadable++;
      return;
    }
    const end = Math.min(claimed, length);
    const payload = bytes.subarray(8, end);
    // Between two DNS ports (servers of old, multicast DNS) only the QR bit tells.
    const response = ((payload[2] ?? 0) & 0x80) !== 0;
    const direction = this.#directionByPort(segment) ?? (response ? 'response' : 'request');
    // The header's length is what was sent, even where fragments are missing.
    const pieces = { payload, length: Math.max(end, claimed) - 8 };
    this.#give(segment, direction, 'udp', pieces, { sequence: 0, start: false, end: false });
  }

  #acceptTcp(segment: Segment, bytes: Uint8Array, length: number): void {
    const header = ((bytes[12] as number) >> 4) * 4;
    if (header < 20 || header > length) {
      this.counters.unreadable++;
      return;
    }
    const flags = bytes[13] as number;
    const start = (flags & TCP_FLAGS.syn) !== 0;
    const end = (flags & (TCP_FLAGS.fin | TCP_FLAGS.rst)) !== 0;
    const piece = { payload: bytes.subarray(header, length), length: length - header };
    if (piece.length === 0 && !start && !end) {
      this.counters.skipped++;
      return;
    }
    const direction =
      this.#directionByPort(segment) ?? this.#directionByClient(segment, flags, piece.payload);
    // SYN takes a number of its own (RFC 9293 section 3.4).
    const sequence = (word(bytes, 4) * 65_536 + word(bytes, 6) + (start ? 1 : 0)) >>> 0;
    this.#give(segment, direction, 'tcp', piece, { sequence, start, end });
  }

  #directionByPort(segment: Segment): Direction | undefined {
    const toServer = this.#ports.has(segment.destination.port);
    const fromServer = this.#ports.has(segment.source.port);
    if (toServer && fromServer) return undefined;
    return toServer ? 'request' : 'response';
  }

  /** Both ports are DNS ports: the client is who sent the SYN, else who sent what looks like a request. */
  #directionByClient(segment: Segment, flags: number, payload: Uint8Array): Direction {
    const source = `${segment.source.address} ${segment.source.port}`;
    const destination = `${segment.destination.address} ${segment.destination.port}`;
    const key = source < destination ? `${source} ${destination}` : `${destination} ${source}`;
    const opens = (flags & TCP_FLAGS.syn) !== 0;
    let client = this.#clients.get(key);
    if (opens || client === undefined) {
      const fromServer = opens ? (flags & TCP_FLAGS.ack) !== 0 : ((payload[4] ?? 0) & 0x80) !== 0;
      client = fromServer ? destination : source;
      this.#clients.delete(key);
      this.#clients.set(key, client);
      const oldest = this.#clients.keys().next().value;
      if (this.#clients.size > MAX_PEERS && oldest !== undefined) this.#clients.delete(oldest);
    }
    return client === source ? 'request' : 'response';
  }

  #give(
    segment: Segment,
    direction: Direction,
    transport: 'udp' | 'tcp',
    piece: { readonly payload: Uint8Array; readonly length: number },
    tcp: { readonly sequence: number; readonly start: boolean; readonly end: boolean },
  ): void {
    const request = direction === 'request';
    if (request) this.counters.requests++;
    else this.counters.responses++;
    this.#emit({
      kind: 'message',
      time: segment.time,
      hook: 'pcap',
      direction,
      transport,
      family: segment.family,
      networkNamespace: 0,
      socket: 0n,
      local: request ? segment.source : segment.destination,
      remote: request ? segment.destination : segment.source,
      localAny: false,
      dialed: undefined,
      owner: undefined,
      sequence: tcp.sequence,
      streamStart: tcp.start,
      streamEnd: tcp.end,
      more: false,
      unreadable: false,
      length: piece.length,
      // The window of the file is used again: the piece needs memory of its own.
      payload: Uint8Array.from(piece.payload),
    });
  }
}

/** The last fragment never came, so the datagram is longer than what is there, by at least one byte. */
function unknownEnd(bytes: Uint8Array): number {
  return bytes.length + 1;
}

function word(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}
