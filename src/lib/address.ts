/** IP addresses: bytes to presentation form. */

import { ByteWriter } from './byte-writer.ts';

const DOT = 0x2e;
const COLON = 0x3a;
/** Eight groups of four digits, seven colons; mixed notation is shorter. */
const MAX_CHARACTERS = 39;
const HEX_DIGITS = new TextEncoder().encode('0123456789abcdef');

/** Where addresses become text. Not state: every call writes it before it reads it. Left out of the page, which only parses. */
const scratch = /* @__PURE__ */ new ByteWriter(MAX_CHARACTERS);

/** Four bytes at `offset` as dotted decimal. */
export function formatIPv4(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

/** The same, written. */
export function writeIPv4(out: ByteWriter, bytes: Uint8Array, offset: number): void {
  out.reserve(15);
  const text = out.bytes;
  let at = out.position;
  for (let i = 0; i < 4; i++) {
    if (i > 0) text[at++] = DOT;
    const octet = bytes[offset + i] as number;
    const hundreds = octet < 100 ? 0 : octet < 200 ? 1 : 2;
    const rest = octet - hundreds * 100;
    const tens = (rest * 205) >> 11; // rest / 10 for rest < 100
    if (hundreds > 0) text[at++] = 0x30 + hundreds;
    if (octet >= 10) text[at++] = 0x30 + tens;
    text[at++] = 0x30 + rest - tens * 10;
  }
  out.position = at;
}

/** Sixteen bytes at `offset` as `writeIPv6` writes them. */
export function formatIPv6(bytes: Uint8Array, offset: number): string {
  scratch.position = 0;
  writeIPv6(scratch, bytes, offset);
  return scratch.latin1();
}

/**
 * Sixteen bytes at `offset` in the canonical form of RFC 5952: lower case, no leading zeros, the longest run of two or
 * more zero groups (the first of equals) as `::`, v4-mapped addresses in mixed notation (section 5).
 */
export function writeIPv6(out: ByteWriter, bytes: Uint8Array, offset: number): void {
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
    out.ascii('::ffff:');
    writeIPv4(out, bytes, offset + 12);
    return;
  }
  out.reserve(MAX_CHARACTERS);
  for (let group = 0; group < 8; group++) {
    if (group === best) {
      out.byte(COLON);
      out.byte(COLON);
      group += bestLength - 1;
      continue;
    }
    if (group > 0 && group !== best + bestLength) out.byte(COLON);
    const value = ((bytes[offset + 2 * group] as number) << 8) | (bytes[offset + 2 * group + 1] as number);
    if (value > 0xfff) out.byte(HEX_DIGITS[value >> 12] as number);
    if (value > 0xff) out.byte(HEX_DIGITS[(value >> 8) & 15] as number);
    if (value > 0xf) out.byte(HEX_DIGITS[(value >> 4) & 15] as number);
    out.byte(HEX_DIGITS[value & 15] as number);
  }
}

/** Whether the sixteen bytes at `offset` are a v4-mapped address (::ffff:0:0/96, RFC 4291 section 2.5.5.2). */
export function isV4Mapped(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[offset + i] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
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

/** Sixteen bytes in network order, IPv4 as v4-mapped; undefined: it is no address. */
export function parseAddress(text: string): Uint8Array | undefined {
  if (text.includes(':')) return parseIPv6(text);
  return IPV4.test(text) ? parseIPv6(`::ffff:${text}`) : undefined;
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
