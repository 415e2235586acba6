/** UDP headers (RFC 768) of datagrams put together here: would the kernel take them (net/ipv4/udp.c, __udp4_lib_rcv)? */
import { parseAddress } from '../lib/address.ts';

export const UDP_HEADER = 8;
const PROTOCOL_UDP = 17;

/**
 * Length of the datagram's payload by its header; undefined: the kernel drops it, for its length or its checksum.
 * @param datagram what is known of it from its header on; if bytes are missing at its end, its checksum is not looked at
 * @param length bytes there were
 * @param source address without port, as `destination`
 */
export function payloadLength(
  datagram: Uint8Array,
  length: number,
  source: string,
  destination: string,
): number | undefined {
  if (datagram.length < UDP_HEADER) return undefined;
  const told = word(datagram, 4);
  if (told < UDP_HEADER || told > length) return undefined;
  const isV6 = source.includes(':');
  if (word(datagram, 6) === 0) return isV6 ? undefined : told - UDP_HEADER;
  if (datagram.length < told) return told - UDP_HEADER;
  const pseudo = sumOf(source) + sumOf(destination) + PROTOCOL_UDP + told;
  return folded(pseudo + sum(datagram.subarray(0, told))) === 0xffff ? told - UDP_HEADER : undefined;
}

/** The prefix of v4-mapped addresses is not summed. */
function sumOf(address: string): number {
  const bytes = parseAddress(address) ?? new Uint8Array(0);
  return sum(address.includes(':') ? bytes : bytes.subarray(12));
}

function word(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}

/** Of the 16-bit words; an odd byte at the end has a zero after it (RFC 1071). */
function sum(bytes: Uint8Array): number {
  let total = 0;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) total += word(bytes, i);
  return even === bytes.length ? total : total + ((bytes[even] as number) << 8);
}

function folded(total: number): number {
  let left = total;
  while (left > 0xffff) left = (left & 0xffff) + Math.floor(left / 0x1_0000);
  return left;
}
