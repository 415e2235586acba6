import type { ByteWriter } from '../lib/byte-writer.ts';
import type { Wire } from './wire.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;

/** Writes `\DDD` (RFC 1035 section 5.1) within what was reserved; returns the place after it. */
export function writeDecimalEscape(target: Uint8Array, at: number, octet: number): number {
  const hundreds = octet < 100 ? 0 : octet < 200 ? 1 : 2;
  const rest = octet - hundreds * 100;
  const tens = (rest * 205) >> 11; // rest / 10 for rest < 100
  target[at] = BACKSLASH;
  target[at + 1] = 0x30 + hundreds;
  target[at + 2] = 0x30 + tens;
  target[at + 3] = 0x30 + rest - tens * 10;
  return at + 4;
}

/**
 * Octets start..end as a quoted character-string (RFC 1035 section 5.1): `"` and `\` escaped by a backslash, octets
 * outside 0x20..0x7e as `\DDD`.
 */
export function writeQuoted(out: ByteWriter, source: Uint8Array, start: number, end: number): void {
  out.reserve(4 * (end - start) + 2);
  const { bytes } = out;
  let at = out.position;
  bytes[at++] = QUOTE;
  for (let i = start; i < end; i++) {
    const octet = source[i] as number;
    if (octet < 0x20 || octet > 0x7e) {
      at = writeDecimalEscape(bytes, at, octet);
    } else {
      if (octet === QUOTE || octet === BACKSLASH) bytes[at++] = BACKSLASH;
      bytes[at++] = octet;
    }
  }
  bytes[at++] = QUOTE;
  out.position = at;
}

/** One or more length-prefixed character-strings that fill start..end (TXT, HINFO). */
export function checkStrings(wire: Wire, start: number, end: number): boolean {
  if (start === end) return wire.fail('rdata_short', start);
  for (let at = start; at < end; ) {
    const stop = at + 1 + (wire.bytes[at] as number);
    if (stop > end) return wire.fail('rdata_short', at);
    if (--wire.partBudget < 0) return wire.fail('rdata_limit', at);
    at = stop;
  }
  return true;
}

/** Those strings, quoted and separated by spaces. */
export function writeStrings(wire: Wire, out: ByteWriter, start: number, end: number): void {
  for (let at = start; at < end; ) {
    const stop = Math.min(at + 1 + (wire.bytes[at] as number), end);
    if (at > start) writeSpace(out);
    writeQuoted(out, wire.bytes, at + 1, stop);
    at = stop;
  }
}

export function writeSpace(out: ByteWriter): void {
  out.reserve(1);
  out.byte(SPACE);
}

/** Numbers, each with a space after it. */
export function writeNumber(out: ByteWriter, value: number): void {
  out.decimal(value);
  writeSpace(out);
}

/** RDATA of unknown or malformed content (RFC 3597 section 5): `\# length hex`. */
export function writeUnknown(out: ByteWriter, source: Uint8Array, start: number, end: number): void {
  out.ascii('\\# ');
  out.decimal(end - start);
  if (start === end) return;
  writeSpace(out);
  out.hex(source, start, end);
}

const BASE32HEX = Uint8Array.from(Buffer.from('0123456789ABCDEFGHIJKLMNOPQRSTUV'));

/** RFC 4648 section 7 without padding (the hash labels of NSEC3, RFC 5155 section 3.3). */
export function writeBase32hex(out: ByteWriter, source: Uint8Array, start: number, end: number): void {
  out.reserve(2 * (end - start));
  let bits = 0;
  let held = 0;
  for (let i = start; i < end; i++) {
    held = ((held << 8) | (source[i] as number)) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) out.byte(BASE32HEX[(held >> (bits - 5)) & 31] as number);
  }
  if (bits > 0) out.byte(BASE32HEX[(held << (5 - bits)) & 31] as number);
}
