/** IPv4 (RFC 791) and IPv6 (RFC 8200) headers of captured packets. */
import { formatIPv4, formatIPv6 } from '../lib/address.ts';

export const PROTOCOL = { tcp: 6, udp: 17 };

/** What a packet carries. `bytes` is what was captured of the payload's `length` bytes. */
export interface IpPayload {
  readonly family: 4 | 6;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** IPv4's, by which copies of one packet are known; 0: none was set, or IPv6. */
  readonly identification: number;
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly fragment: FragmentPlace | undefined;
}

export interface FragmentPlace {
  readonly identification: number;
  readonly offset: number;
  readonly more: boolean;
}

/** IPv6 extension headers that are passed over. Encapsulating security payload (50) hides what follows. */
const EXTENSIONS = { hopByHop: 0, routing: 43, fragment: 44, authentication: 51, destination: 60 };
const OTHER_EXTENSIONS = [135, 139, 140]; // mobility, HIP, shim6: same form as hop-by-hop
const MAX_EXTENSIONS = 16;

/** The IP packet at `offset` of a frame; undefined if it is none, damaged, or cut within its headers. */
export function readIp(frame: Uint8Array, offset: number): IpPayload | undefined {
  const packet = frame.subarray(offset);
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4) return readIpv4(packet);
  return version === 6 ? readIpv6(packet) : undefined;
}

function word(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}

function readIpv4(packet: Uint8Array): IpPayload | undefined {
  const header = ((packet[0] as number) & 15) * 4;
  if (header < 20 || packet.length < header) return undefined;
  // 0: segmentation offload, the packet was captured before it had a length.
  const total = word(packet, 2) || packet.length;
  if (total < header) return undefined;
  const flags = word(packet, 6);
  const more = (flags & 0x2000) !== 0;
  const fragmentOffset = (flags & 0x1fff) * 8;
  return {
    family: 4,
    source: formatIPv4(packet, 12),
    destination: formatIPv4(packet, 16),
    protocol: packet[9] as number,
    identification: word(packet, 4),
    bytes: packet.subarray(header, total),
    length: total - header,
    fragment:
      more || fragmentOffset > 0
        ? { identification: word(packet, 4), offset: fragmentOffset, more }
        : undefined,
  };
}

function readIpv6(packet: Uint8Array): IpPayload | undefined {
  if (packet.length < 40) return undefined;
  // 0: segmentation offload, or a jumbogram (RFC 2675).
  const end = 40 + (word(packet, 4) || packet.length - 40);
  const headers = passExtensions(packet, packet[6] as number, 40, end);
  if (headers === undefined) return undefined;
  return {
    family: 6,
    source: formatIPv6(packet, 8),
    destination: formatIPv6(packet, 24),
    protocol: headers.protocol,
    identification: 0,
    bytes: packet.subarray(headers.next, end),
    length: end - headers.next,
    fragment: headers.fragment,
  };
}

/**
 * Passes over the extension headers from `start` on, up to and including a fragment header: what follows one belongs to
 * the reassembled payload, for which this is called again. Undefined if they are cut or damaged.
 */
export function passExtensions(
  bytes: Uint8Array,
  protocol: number,
  start: number,
  end: number,
):
  | { readonly protocol: number; readonly next: number; readonly fragment: FragmentPlace | undefined }
  | undefined {
  let at = start;
  let current = protocol;
  for (let headers = 0; isExtension(current); headers++) {
    if (headers === MAX_EXTENSIONS || at + 8 > Math.min(end, bytes.length)) return undefined;
    const next = bytes[at] as number;
    if (current === EXTENSIONS.fragment) {
      const place = word(bytes, at + 2);
      const offset = place & 0xfff8;
      const more = (place & 1) !== 0;
      const identification = word(bytes, at + 4) * 65_536 + word(bytes, at + 6);
      at += 8;
      // An "atomic" fragment is whole (RFC 6946).
      if (offset > 0 || more) return { protocol: next, next: at, fragment: { identification, offset, more } };
    } else {
      const units = bytes[at + 1] as number;
      at += current === EXTENSIONS.authentication ? (units + 2) * 4 : (units + 1) * 8;
    }
    current = next;
  }
  return at > end ? undefined : { protocol: current, next: at, fragment: undefined };
}

function isExtension(protocol: number): boolean {
  return (
    protocol === EXTENSIONS.hopByHop ||
    protocol === EXTENSIONS.routing ||
    protocol === EXTENSIONS.fragment ||
    protocol === EXTENSIONS.authentication ||
    protocol === EXTENSIONS.destination ||
    OTHER_EXTENSIONS.includes(protocol)
  );
}
