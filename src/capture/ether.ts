/**
 * What an EtherType, an LLC header or a PPP protocol number leads to: the IP packet behind tags, labels and further
 * headers. All functions take offsets in the frame and give the offset of the IP packet, -1 if there is none.
 * `depth` counts the headers passed: a frame can hold thousands, each calling for the next.
 */

/** IEEE 802 Numbers (IANA). */
const ETHERTYPE = {
  ipv4: 0x0800,
  ipv6: 0x86dd,
  transparentEthernet: 0x6558,
  mpls: 0x8847,
  mplsMulticast: 0x8848,
  pppoeSession: 0x8864,
  jumboLlc: 0x8870,
  serviceInstance: 0x88e7, // IEEE 802.1ah
  ciscoMetadata: 0x8909,
  vnTag: 0x8926,
  eTag: 0x893f, // IEEE 802.1BR
  nsh: 0x894f, // RFC 8300
};
/** Tags of four bytes: IEEE 802.1Q, 802.1ad and their values before the standard. */
const VLAN_TAGS = [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300];
/** Smaller values are lengths (IEEE 802.3), and an LLC header follows. */
const MIN_ETHERTYPE = 0x0600;
/** PPP protocol numbers (IANA). */
const PPP = { ipv4: 0x0021, ipv6: 0x0057, mpls: 0x0281, mplsMulticast: 0x0283, multilink: 0x003d };
/** More headers than this are not honest. */
const MAX_DEPTH = 16;
const MAX_LABELS = 16;
export const MAC_ADDRESSES = 12;

export function word(frame: Uint8Array, offset: number): number {
  return ((frame[offset] ?? 0) << 8) | (frame[offset + 1] ?? 0);
}

/** An Ethernet frame at `at`. */
export function ethernet(frame: Uint8Array, at: number, depth = 0): number {
  return etherType(frame, at + MAC_ADDRESSES, depth);
}

/** An EtherType or a length at `at`. */
export function etherType(frame: Uint8Array, at: number, depth = 0): number {
  return at + 2 > frame.length ? -1 : ofEtherType(word(frame, at), frame, at + 2, depth);
}

/** What the EtherType `type` names, at `at`. */
export function ofEtherType(type: number, frame: Uint8Array, at: number, depth = 0): number {
  if (type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6) return at;
  if (depth >= MAX_DEPTH || at >= frame.length) return -1;
  const next = depth + 1;
  if (type < MIN_ETHERTYPE || type === ETHERTYPE.jumboLlc) return llc(frame, at, next);
  if (VLAN_TAGS.includes(type)) return etherType(frame, at + 2, next);
  switch (type) {
    case ETHERTYPE.mpls:
    case ETHERTYPE.mplsMulticast:
      return mpls(frame, at, next);
    case ETHERTYPE.pppoeSession:
      return pppoe(frame, at, next);
    case ETHERTYPE.transparentEthernet:
      return ethernet(frame, at, next);
    case ETHERTYPE.serviceInstance:
    case ETHERTYPE.vnTag:
      return type === ETHERTYPE.vnTag ? etherType(frame, at + 4, next) : ethernet(frame, at + 4, next);
    case ETHERTYPE.ciscoMetadata:
    case ETHERTYPE.eTag:
      return etherType(frame, at + 6, next);
    case ETHERTYPE.nsh:
      return nsh(frame, at, next);
    default:
      return -1;
  }
}

/** IEEE 802.2: SNAP (RFC 1042), IP by its own service access point, or an NLPID (RFC 2427). */
export function llc(frame: Uint8Array, at: number, depth = 0): number {
  const dsap = frame[at];
  const isUnnumbered = frame[at + 2] === 0x03;
  if (!isUnnumbered) return -1;
  if (dsap === 0x06) return at + 3;
  if (dsap === 0xfe) return nlpid(frame, at + 3, depth);
  return dsap === 0xaa ? snap(frame, at + 3, depth) : -1;
}

/** Organisation code and type: EtherTypes, or a bridged Ethernet frame (RFC 2684). */
function snap(frame: Uint8Array, at: number, depth: number): number {
  const organisation = ((frame[at] ?? 0) << 16) | word(frame, at + 1);
  if (organisation === 0 || organisation === 0x0000f8) return etherType(frame, at + 3, depth);
  const isBridged = organisation === 0x0080c2 && [1, 7].includes(word(frame, at + 3));
  return isBridged && depth < MAX_DEPTH ? ethernet(frame, at + 7, depth + 1) : -1;
}

/** Network layer protocol identifier (ISO/IEC TR 9577). */
export function nlpid(frame: Uint8Array, at: number, depth = 0): number {
  if (frame[at] === 0xcc || frame[at] === 0x8e) return at + 1;
  return frame[at] === 0x80 ? snap(frame, at + 1, depth) : -1;
}

/** RFC 2516: version and type, code 0, session, length; then PPP. */
export function pppoe(frame: Uint8Array, at: number, depth = 0): number {
  return frame[at + 1] === 0 ? ppp(frame, at + 6, depth) : -1;
}

/** Address and control fields may be left out, and the protocol compressed to its odd byte (RFC 1661 section 6.5, 6.6). */
export function ppp(frame: Uint8Array, offset: number, depth = 0): number {
  let at = offset;
  if (frame[at] === 0xff && frame[at + 1] === 0x03) at += 2;
  const short = ((frame[at] ?? 0) & 1) === 1;
  const protocol = short ? (frame[at] ?? 0) : word(frame, at);
  at += short ? 1 : 2;
  if (protocol === PPP.ipv4 || protocol === PPP.ipv6) return at;
  if (protocol === PPP.mpls || protocol === PPP.mplsMulticast) return mpls(frame, at, depth);
  // A packet in one piece (RFC 1990): both the beginning and the end bit.
  const isWhole = protocol === PPP.multilink && ((frame[at] ?? 0) & 0xc0) === 0xc0;
  return isWhole && depth < MAX_DEPTH ? ppp(frame, at + 4, depth + 1) : -1;
}

/** RFC 8300: the length counts words of four bytes. */
function nsh(frame: Uint8Array, at: number, depth: number): number {
  const end = at + ((frame[at + 1] ?? 0) & 0x3f) * 4;
  const protocol = frame[at + 3];
  if (end < at + 8) return -1;
  if (protocol === 1 || protocol === 2) return end;
  return protocol === 3 ? ethernet(frame, end, depth) : -1;
}

/**
 * After the label with the bottom-of-stack bit (RFC 3032) comes IP, or a pseudowire: Ethernet, with a control word (first
 * nibble 0, RFC 4385) or without one. No field tells which (RFC 8469), so what looks like IP must have its form.
 */
export function mpls(frame: Uint8Array, offset: number, depth = 0): number {
  let at = offset;
  for (let labels = 0; ((frame[at + 2] ?? 1) & 1) === 0; labels++) {
    if (labels >= MAX_LABELS) return -1;
    at += 4;
  }
  at += 4;
  if (at >= frame.length) return -1;
  const nibble = (frame[at] as number) >> 4;
  if ((nibble === 4 || nibble === 6) && looksLikeIp(frame, at)) return at;
  if (nibble === 1 || depth >= MAX_DEPTH) return -1; // associated channel header (RFC 5586)
  const behindControlWord = nibble === 0 ? ethernet(frame, at + 4, depth + 1) : -1;
  return behindControlWord >= 0 ? behindControlWord : ethernet(frame, at, depth + 1);
}

/** A header whose lengths fit what was captured; a MAC address that begins with 4 or 6 rarely makes one. */
function looksLikeIp(frame: Uint8Array, at: number): boolean {
  const length = frame.length - at;
  if ((frame[at] as number) >> 4 === 6) return length >= 40 && word(frame, at + 4) + 40 <= length + 4;
  const header = ((frame[at] as number) & 15) * 4;
  const total = word(frame, at + 2);
  return header >= 20 && length >= header && (total === 0 || total >= header);
}
