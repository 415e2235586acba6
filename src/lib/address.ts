/** IP addresses: bytes to presentation form. */

/** Four bytes at `offset` as dotted decimal. */
export function formatIPv4(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

/** An octet in hexadecimal: several times faster than Number.prototype.toString. */
const HEX = Array.from({ length: 256 }, (_, octet) => octet.toString(16));
const PADDED_HEX = HEX.map((digits) => digits.padStart(2, '0'));

/**
 * Sixteen bytes at `offset` in the canonical form of RFC 5952: lower case, no leading zeros, the longest run of two or
 * more zero groups (the first of equals) as `::`, v4-mapped addresses in mixed notation (section 5).
 */
export function formatIPv6(bytes: Uint8Array, offset: number): string {
  let best = -1;
  let bestLength = 1;
  for (let group = 0; group < 8; ) {
    let run = group;
    while (run < 8 && bytes[offset + 2 * run] === 0 && bytes[offset + 2 * run + 1] === 0) run++;
    if (run - group > bestLength) {
      best = group;
      bestLength = run - group;
    }
    group = run === group ? group + 1 : run;
  }
  if (best === 0 && bestLength === 5 && bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff) {
    return `::ffff:${formatIPv4(bytes, offset + 12)}`;
  }
  let text = '';
  for (let group = 0; group < 8; group++) {
    if (group === best) {
      text += '::';
      group += bestLength - 1;
      continue;
    }
    const high = bytes[offset + 2 * group] as number;
    const low = bytes[offset + 2 * group + 1] as number;
    if (group > 0 && group !== best + bestLength) text += ':';
    text += high === 0 ? HEX[low] : `${HEX[high]}${PADDED_HEX[low]}`;
  }
  return text;
}

/** Whether the sixteen bytes at `offset` are a v4-mapped address (::ffff:0:0/96, RFC 4291 section 2.5.5.2). */
export function isV4Mapped(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[offset + i] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}

/** fe80::/10, and multicast of interface and link scope (RFC 4291 sections 2.5.6 and 2.7): they mean something on one link only. */
export function needsZone(bytes: Uint8Array, offset: number): boolean {
  const first = bytes[offset] as number;
  const second = bytes[offset + 1] as number;
  if (first === 0xff) return (second & 15) === 1 || (second & 15) === 2;
  return first === 0xfe && (second & 0xc0) === 0x80;
}

/**
 * An address in any textual form as this program shows it (model.ts, Endpoint): dotted decimal, RFC 5952, a v4-mapped one
 * as IPv4. undefined: it is none. IPv4 is strict (RFC 6943 section 3.1.1): `010.1.1.1` and `127.1` mean different things to
 * different programs.
 */
export function canonicalAddress(text: string): string | undefined {
  if (!text.includes(':')) return IPV4.test(text) ? text : undefined;
  const bytes = parseIPv6(text);
  if (bytes === undefined) return undefined;
  return isV4Mapped(bytes, 0) ? formatIPv4(bytes, 12) : formatIPv6(bytes, 0);
}

/** The bytes of an address as this program shows it, 4 or 16; a zone (RFC 4007) is left out. */
export function addressBytes(address: string): Uint8Array {
  if (address.includes(':')) return parseIPv6(address) ?? new Uint8Array(16);
  return Uint8Array.from(address.split('.'), Number);
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** RFC 4291 section 2.2; a zone (RFC 4007) is left out. */
function parseIPv6(text: string): Uint8Array | undefined {
  const [plain = ''] = text.split('%', 1);
  const halves = plain.split('::');
  if (plain.length > 45 || halves.length > 2) return undefined;
  const head = groups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** The bytes of groups between colons; the last one may be dotted decimal where the address ends. */
function groups(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (isEnd && index === parts.length - 1 && IPV4.test(part)) {
      bytes.push(...part.split('.').map(Number));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      const value = Number.parseInt(part, 16);
      bytes.push(value >> 8, value & 255);
    } else return undefined;
  }
  return bytes;
}
