/** Headers that no wire carries: the capturing system put them before the packet. ARCnet, which a wire did carry, with them. */

interface Inner {
  readonly linkType: number;
  /** Where its header begins; -1: there is no packet. */
  readonly at: number;
}

/** NFULA_PAYLOAD of include/uapi/linux/netfilter/nfnetlink_log.h. */
const NFLOG_PAYLOAD = 9;
const PKTAP_PACKET = 1;
/** Address families of pflog: 2 everywhere, IPv6 by system. */
const FAMILIES = [2, 10, 24, 28, 30];
/** Protocol numbers of ARCnet (RFC 1051, RFC 1201). */
const ARCNET = { ipOld: 240, arpOld: 241, ip: 212, ipv6: 196 };
const ARCNET_EXCEPTION = 0xff;

function view(frame: Uint8Array): DataView {
  return new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
}

/** PPI: version, flags, length and link type, little endian. */
export function perPacketInformation(frame: Uint8Array): Inner {
  if (frame.length < 8) return { linkType: -1, at: -1 };
  return { linkType: view(frame).getUint32(4, true), at: view(frame).getUint16(2, true) };
}

/** Apple's PKTAP: length, kind of record, link type, little endian. */
export function pktap(frame: Uint8Array): Inner {
  if (frame.length < 12 || view(frame).getUint32(4, true) !== PKTAP_PACKET) return { linkType: -1, at: -1 };
  return { linkType: view(frame).getUint32(8, true), at: view(frame).getUint32(0, true) };
}

/** NFLOG: family, version, resource; then attributes (length, type, value) in the byte order of the host. */
export function networkFilterLog(frame: Uint8Array, start: number): number {
  const little = payloadAttribute(frame, start + 4, true);
  return little >= 0 ? little : payloadAttribute(frame, start + 4, false);
}

function payloadAttribute(frame: Uint8Array, start: number, littleEndian: boolean): number {
  for (let at = start; at + 4 <= frame.length; ) {
    const length = view(frame).getUint16(at, littleEndian);
    if (length < 4) return -1;
    // The uppermost bits say how the value is encoded (NLA_TYPE_MASK).
    if ((view(frame).getUint16(at + 2, littleEndian) & 0x3fff) === NFLOG_PAYLOAD) return at + 4;
    at += Math.ceil(length / 4) * 4;
  }
  return -1;
}

/** pflog of the BSDs: its length first, filled up to a multiple of four. */
export function packetFilterLog(frame: Uint8Array, at: number): number {
  const isIp = FAMILIES.includes(frame[at + 1] ?? 0);
  return isIp ? at + Math.ceil((frame[at] ?? 0) / 4) * 4 : -1;
}

/**
 * ARCnet: addresses, protocol, and since RFC 1201 a flag and a sequence number.
 * @param type offset of the protocol
 */
export function arcnet(frame: Uint8Array, at: number, type: number): number {
  const protocol = frame[at + type];
  if (protocol === ARCNET.ipOld) return at + type + 1;
  if (protocol !== ARCNET.ip && protocol !== ARCNET.ipv6) return -1;
  const flag = frame[at + type + 1] ?? 0;
  // Behind an exception packet the same fields come once more.
  if (flag === ARCNET_EXCEPTION) return at + type + 8;
  // A further piece of a split packet has no beginning to read.
  return flag !== 0 && (flag & 1) === 0 ? -1 : at + type + 4;
}
