/** Packets within packets: where the inner one begins in an IP payload, by protocol number or UDP port (IANA). */
import { ethernet, mpls, ofEtherType, ppp, word } from './ether.ts';

const PROTOCOL = { ipv4: 4, udp: 17, ipv6: 41, gre: 47, etherIp: 97, mpls: 137 };
const UDP_HEADER = 8;
const GRE = { checksum: 0x8000, routing: 0x4000, key: 0x2000, sequence: 0x1000, acknowledgement: 0x0080 };
const ERSPAN = { two: 0x88be, three: 0x22eb };
const WCCP = 0x883e;
const GRE_PPP = 0x880b;
const TEREDO = 3544;
const L2TP = 1701;

type FindInner = (bytes: Uint8Array, at: number) => number;

/** By the port the datagram is sent to. */
const BY_PORT = new Map<number, FindInner>([
  [L2TP, l2tp],
  [2152, gtpU],
  [TEREDO, teredo],
  [4754, gre], // RFC 8086
  [4789, vxlan], // RFC 7348
  [4790, vxlanGpe],
  [6081, geneve], // RFC 8926
  [6635, (bytes, at) => mpls(bytes, at)], // RFC 7510
  [8472, vxlan], // Linux's own, before the standard
  [37_008, tzsp],
]);

export const TUNNEL_PORTS: readonly number[] = [...BY_PORT.keys()];

/** Whether datagrams to or from that port are looked into. Both ends of some tunnels use the same one. */
export function isTunnelPort(source: number, destination: number): boolean {
  return BY_PORT.has(destination) || source === TEREDO || source === L2TP;
}

/** Offset of the IP packet within an IP payload; -1 if there is none. */
export function findInner(protocol: number, bytes: Uint8Array): number {
  const offset = innerOf(protocol, bytes);
  return offset < bytes.length ? offset : -1;
}

function innerOf(protocol: number, bytes: Uint8Array): number {
  switch (protocol) {
    case PROTOCOL.ipv4:
    case PROTOCOL.ipv6:
      return 0;
    case PROTOCOL.gre:
      return gre(bytes, 0);
    case PROTOCOL.etherIp:
      return ethernet(bytes, 2); // RFC 3378
    case PROTOCOL.mpls:
      return mpls(bytes, 0); // RFC 4023
    case PROTOCOL.udp: {
      if (bytes.length <= UDP_HEADER) return -1;
      const find = BY_PORT.get(word(bytes, 2)) ?? BY_PORT.get(word(bytes, 0));
      return find?.(bytes, UDP_HEADER) ?? -1;
    }
    default:
      return -1;
  }
}

/** RFC 2784 and 2890; version 1 is PPTP's (RFC 2637). What follows is told by an EtherType. */
function gre(bytes: Uint8Array, start: number): number {
  const flags = word(bytes, start);
  const type = word(bytes, start + 2);
  const length = (bit: number) => ((flags & bit) === 0 ? 0 : 4);
  if ((flags & 7) === 1) {
    const header = 8 + length(GRE.sequence) + length(GRE.acknowledgement);
    return type === GRE_PPP ? ppp(bytes, start + header) : -1;
  }
  if ((flags & 7) !== 0 || (flags & GRE.routing) !== 0) return -1;
  const at = start + 4 + length(GRE.checksum) + length(GRE.key) + length(GRE.sequence);
  if (type === ERSPAN.two || type === ERSPAN.three) return erspan(bytes, at, type, flags);
  if (type === WCCP) return at + 4;
  return ofEtherType(type, bytes, at);
}

/** draft-foschiano-erspan: type I has no header, and so no sequence number in GRE; III may have a further one. */
function erspan(bytes: Uint8Array, at: number, type: number, flags: number): number {
  if (type === ERSPAN.three) return ethernet(bytes, at + (((bytes[at + 11] ?? 0) & 1) === 0 ? 12 : 20));
  return ethernet(bytes, (flags & GRE.sequence) === 0 ? at : at + 8);
}

/** The flag says that the network identifier is valid; without it this is something else on that port. */
function vxlan(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) & 0x08) === 0 ? -1 : ethernet(bytes, at + 8);
}

/** draft-ietf-nvo3-vxlan-gpe: with the P flag the last byte before the identifier names what follows. */
function vxlanGpe(bytes: Uint8Array, at: number): number {
  if (((bytes[at] ?? 0) & 0x04) === 0) return vxlan(bytes, at);
  const next = bytes[at + 3];
  if (next === 1 || next === 2) return at + 8;
  if (next === 3) return ethernet(bytes, at + 8);
  return next === 4 ? ofEtherType(0x894f, bytes, at + 8) : -1;
}

function geneve(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first >> 6 !== 0) return -1;
  return ofEtherType(word(bytes, at + 2), bytes, at + 8 + (first & 0x3f) * 4);
}

/** 3GPP TS 29.281: user data is message 255; extension headers count words of four bytes and end with the next one's type. */
function gtpU(bytes: Uint8Array, start: number): number {
  const flags = bytes[start] ?? 0;
  if (flags >> 4 !== 3 || bytes[start + 1] !== 255) return -1;
  if ((flags & 7) === 0) return start + 8;
  let at = start + 12;
  let next = (flags & 4) === 0 ? 0 : (bytes[at - 1] ?? 0);
  while (next !== 0) {
    const length = (bytes[at] ?? 0) * 4;
    if (length === 0 || at + length > bytes.length) return -1;
    at += length;
    next = bytes[at - 1] ?? 0;
  }
  return at;
}

/** RFC 4380: authentication and origin may come before the IPv6 packet. */
function teredo(bytes: Uint8Array, start: number): number {
  let at = start;
  if (word(bytes, at) === 1) at += 13 + (bytes[at + 2] ?? 0) + (bytes[at + 3] ?? 0);
  if (word(bytes, at) === 0) at += 8;
  return (bytes[at] ?? 0) >> 4 === 6 ? at : -1;
}

/** RFC 2661, data messages. */
function l2tp(bytes: Uint8Array, start: number): number {
  const flags = word(bytes, start);
  if ((flags & 0x8000) !== 0 || (flags & 0x0f) !== 2) return -1;
  let at = start + 2 + ((flags & 0x4000) === 0 ? 0 : 2) + 4 + ((flags & 0x0800) === 0 ? 0 : 4);
  if ((flags & 0x0200) !== 0) at += 2 + word(bytes, at);
  return ppp(bytes, at);
}

/** TaZmen Sniffer Protocol: tags of which 0 is padding and 1 the last; 1 as protocol is Ethernet. */
function tzsp(bytes: Uint8Array, start: number): number {
  if (word(bytes, start + 2) !== 1) return -1;
  for (let at = start + 4; at < bytes.length; ) {
    const tag = bytes[at];
    if (tag === 1) return ethernet(bytes, at + 1);
    at += tag === 0 ? 1 : 2 + (bytes[at + 1] ?? 0);
  }
  return -1;
}
