/** From the bytes of a captured frame to the IP packet in it, by link type (https://www.tcpdump.org/linktypes.html). */
import { ethernet, etherType, llc, MAC_ADDRESSES, nlpid, ofEtherType, ppp, pppoe, word } from './ether.ts';
import { arcnet, networkFilterLog, packetFilterLog, perPacketInformation, pktap } from './pseudo-headers.ts';
import { avs, ieee80211, prism, radiotap } from './wireless.ts';

/** Offset of the IP packet in the frame whose link-layer header begins at `at`; -1 if there is none. */
type FindIp = (frame: Uint8Array, at: number) => number;

const raw: FindIp = (_, at) => at;

/** Link types that are read. Values of DLT_ that differ from LINKTYPE_ too: they stand in headers within frames. */
const LINK_TYPES = new Map<number, FindIp>([
  [0, nullHeader], // BSD loopback, address family in the byte order of the host
  [1, (frame, at) => ethernet(frame, at)],
  [6, tokenRing],
  [7, (frame, at) => arcnet(frame, at, 2)],
  [8, (_, at) => at + 16], // SLIP: direction and compressed header
  [9, (frame, at) => ppp(frame, at)],
  [10, (frame, at) => llc(frame, at + 1 + MAC_ADDRESSES)], // FDDI
  [11, (frame, at) => llc(frame, at)], // DLT of RFC 1483
  [12, raw], // raw IP, the value of OpenBSD and others
  [14, raw],
  [50, hdlc],
  [51, (frame, at) => pppoe(frame, at)],
  [100, (frame, at) => llc(frame, at)], // RFC 1483
  [101, raw], // raw IP
  [104, (frame, at) => etherType(frame, at + 2)], // Cisco HDLC
  [105, (frame, at) => ieee80211(frame, at, false)],
  [106, (frame, at) => (frame[at] === 0xaa ? llc(frame, at) : at)], // Linux classical IP over ATM
  [107, frameRelay],
  [108, nullHeader], // OpenBSD loopback, address family in network order
  [109, (_, at) => at + 12], // OpenBSD enc(4): family, index, flags
  [113, (frame, at) => etherType(frame, at + 14)], // Linux cooked v1
  [117, packetFilterLog],
  [119, prism],
  [122, (frame, at) => llc(frame, at + 16)], // IP over Fibre Channel (RFC 2625)
  [123, sunAtm],
  [127, radiotap],
  [129, (frame, at) => arcnet(frame, at, 4)], // Linux: two bytes of offset more
  [138, (frame, at) => etherType(frame, at + 16)], // Apple, IP over IEEE 1394
  [163, avs],
  [166, (frame, at) => ppp(frame, at + 1)], // pppd, a direction byte first
  [204, (frame, at) => ppp(frame, at + 1)], // PPP with a direction byte first
  [205, (frame, at) => etherType(frame, at + 3)], // Cisco HDLC with a direction byte first
  [206, (frame, at) => frameRelay(frame, at + 1)],
  [226, (_, at) => at + 24], // Solaris ipnet
  [228, raw], // raw IPv4
  [229, raw], // raw IPv6
  [239, networkFilterLog],
  [240, (frame, at) => ethernet(frame, at + 4)], // netANALYZER
  [241, (frame, at) => ethernet(frame, at + 12)], // netANALYZER with preamble
  [242, (frame, at) => ofEtherType(word(frame, at + 40), frame, at + 44)], // IP over InfiniBand
  [276, cookedV2],
]);

/** Headers that name the link type of what follows them. */
const WITHIN = new Map([
  [192, perPacketInformation],
  [258, pktap],
]);

/** What is read, in order: for messages and docs. */
export const READ_LINK_TYPES: readonly number[] = [...LINK_TYPES.keys(), ...WITHIN.keys()].sort(
  (a, b) => a - b,
);

/**
 * Offset of the IP packet in a frame; -1 if there is none, or the frame is cut before it.
 * @param onUnread told of a link type that is not read, which may be one within the frame
 */
export function findIp(linkType: number, frame: Uint8Array, onUnread: (linkType: number) => void): number {
  let type = linkType;
  let start = 0;
  const inner = WITHIN.get(type)?.(frame);
  if (inner !== undefined) {
    if (inner.at < 0) return -1;
    type = inner.linkType;
    start = inner.at;
  }
  const find = LINK_TYPES.get(type);
  if (find === undefined) {
    onUnread(type);
    return -1;
  }
  const offset = find(frame, start);
  return offset < frame.length ? offset : -1;
}

/** Linux cooked v2: the protocol comes first, the header has 20 bytes; what the protocol names follows it. */
function cookedV2(frame: Uint8Array, at: number): number {
  return ofEtherType(word(frame, at), frame, at + 20);
}

/** PPP in HDLC-like framing (RFC 1662), or Cisco HDLC with an EtherType. */
function hdlc(frame: Uint8Array, at: number): number {
  if (frame[at] === 0x0f || frame[at] === 0x8f) return etherType(frame, at + 2);
  return ppp(frame, at);
}

/** AF_INET is 2 everywhere; AF_INET6 is 24, 28 or 30 on the BSDs, 10 on Linux. */
function nullHeader(frame: Uint8Array, at: number): number {
  const family = (frame[at] ?? 0) === 0 ? word(frame, at + 2) : word(frame, at) >> 8;
  return [2, 10, 24, 28, 30].includes(family) ? at + 4 : -1;
}

/** IEEE 802.5: source routing, if the source address says so, then LLC. */
function tokenRing(frame: Uint8Array, at: number): number {
  const routed = ((frame[at + 8] ?? 0) & 0x80) !== 0;
  return llc(frame, at + 14 + (routed ? (frame[at + 14] ?? 0) & 0x1f : 0));
}

/** RFC 2427: an address of two to four bytes, the last of which is odd; control, perhaps padding, NLPID. */
function frameRelay(frame: Uint8Array, offset: number): number {
  let at = offset;
  while (at - offset < 4 && ((frame[at] ?? 1) & 1) === 0) at++;
  at++;
  // Cisco's own encapsulation has an EtherType here.
  if (frame[at] !== 0x03) return etherType(frame, at);
  at++;
  return nlpid(frame, frame[at] === 0 ? at + 1 : at);
}

/** Solaris ATM: 1 is LAN emulation, 2 is RFC 1483. */
function sunAtm(frame: Uint8Array, at: number): number {
  const kind = (frame[at] ?? 0) & 0x0f;
  if (kind === 1) return ethernet(frame, at + 6);
  return kind === 2 ? llc(frame, at + 4) : -1;
}
