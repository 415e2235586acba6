/** From the bytes of a captured frame to the IP packet in it, by link type (https://www.tcpdump.org/linktypes.html). */

const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100, qinq: 0x88a8, qinqOld: 0x9100, mpls: 0x8847 };
const PPP = { ipv4: 0x0021, ipv6: 0x0057 };
/** More tags or labels than this are not honest. */
const MAX_TAGS = 8;

type FindIp = (frame: Uint8Array) => number;

/** Link types that are read, each with a function that gives the offset of the IP packet, -1 if there is none. */
const LINK_TYPES = new Map<number, FindIp>([
  [0, nullHeader], // BSD loopback, address family in the byte order of the host
  [1, (frame) => etherType(frame, 12)],
  [9, (frame) => ppp(frame, 0)],
  [12, () => 0], // raw IP, the value of OpenBSD and others
  [14, () => 0],
  [50, hdlc],
  [101, () => 0], // raw IP
  [108, nullHeader], // OpenBSD loopback, address family in network order
  [113, (frame) => etherType(frame, 14)], // Linux cooked v1
  [166, (frame) => ppp(frame, 1)], // pppd, a direction byte first
  [204, (frame) => ppp(frame, 1)], // PPP with a direction byte first
  [228, () => 0], // raw IPv4
  [229, () => 0], // raw IPv6
  [276, cookedV2],
]);

/** Whether frames of the link type can be read. */
export function isLinkTypeRead(linkType: number): boolean {
  return LINK_TYPES.has(linkType);
}

/** Offset of the IP packet in a frame; -1 if there is none, or the frame is cut before it. */
export function findIp(linkType: number, frame: Uint8Array): number {
  const offset = LINK_TYPES.get(linkType)?.(frame) ?? -1;
  return offset < frame.length ? offset : -1;
}

function word(frame: Uint8Array, offset: number): number {
  return ((frame[offset] ?? 0) << 8) | (frame[offset + 1] ?? 0);
}

/** An EtherType at `offset`, possibly that of VLAN tags (IEEE 802.1Q) or MPLS labels (RFC 3032). */
function etherType(frame: Uint8Array, offset: number): number {
  let at = offset;
  for (let tags = 0; tags < MAX_TAGS; tags++) {
    const type = word(frame, at);
    at += 2;
    if (type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6) return at;
    if (type === ETHERTYPE.mpls) return mpls(frame, at);
    if (type !== ETHERTYPE.vlan && type !== ETHERTYPE.qinq && type !== ETHERTYPE.qinqOld) return -1;
    at += 2;
  }
  return -1;
}

/** After the label with the bottom-of-stack bit; what follows is IP if its first nibble says so. */
function mpls(frame: Uint8Array, offset: number): number {
  for (let at = offset, labels = 0; at + 4 <= frame.length && labels < MAX_TAGS; at += 4, labels++) {
    if (((frame[at + 2] as number) & 1) !== 0) return at + 4;
  }
  return -1;
}

/** Linux cooked v2: the protocol comes first, the header has 20 bytes; VLAN tags may follow it. */
function cookedV2(frame: Uint8Array): number {
  const type = word(frame, 0);
  if (type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6) return 20;
  return type === ETHERTYPE.vlan || type === ETHERTYPE.qinq ? etherType(frame, 22) : -1;
}

/** Address and control fields may be left out, and the protocol compressed to its odd byte (RFC 1661 section 6.5, 6.6). */
function ppp(frame: Uint8Array, offset: number): number {
  let at = offset;
  if (frame[at] === 0xff && frame[at + 1] === 0x03) at += 2;
  const short = ((frame[at] ?? 0) & 1) === 1;
  const protocol = short ? (frame[at] ?? 0) : word(frame, at);
  return protocol === PPP.ipv4 || protocol === PPP.ipv6 ? at + (short ? 1 : 2) : -1;
}

/** PPP in HDLC-like framing (RFC 1662), or Cisco HDLC with an EtherType. */
function hdlc(frame: Uint8Array): number {
  if (frame[0] === 0x0f || frame[0] === 0x8f) return etherType(frame, 2);
  return ppp(frame, 0);
}

/** AF_INET is 2 everywhere; AF_INET6 is 24, 28 or 30 on the BSDs, 10 on Linux. */
function nullHeader(frame: Uint8Array): number {
  const family = (frame[0] ?? 0) === 0 ? word(frame, 2) : word(frame, 0) >> 8;
  return [2, 10, 24, 28, 30].includes(family) ? 4 : -1;
}
