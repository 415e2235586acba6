import type { DecodeError } from '../model.ts';
import { writeDecimalEscape } from './name.ts';
import { decodeError, type Wire } from './wire.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Octets escaped at once: four times as many bytes still come from Node's buffer pool. */
const CHUNK = 512;

/**
 * Octets start..end as a quoted character-string (RFC 1035 section 5.1): `"` and `\` escaped by a backslash, octets
 * outside 0x20..0x7e as `\DDD`.
 */
export function quoted(bytes: Buffer, start: number, end: number): string {
  if (isPlain(bytes, start, end)) return `"${bytes.toString('latin1', start, end)}"`;
  let text = '"';
  for (let at = start; at < end; at += CHUNK) text += escaped(bytes, at, Math.min(at + CHUNK, end));
  return `${text}"`;
}

function escaped(bytes: Buffer, start: number, end: number): string {
  const text = Buffer.allocUnsafe((end - start) * 4);
  let at = 0;
  for (let i = start; i < end; i++) {
    const octet = bytes[i] as number;
    if (octet < 0x20 || octet > 0x7e) {
      at = writeDecimalEscape(text, at, octet);
    } else {
      if (octet === QUOTE || octet === BACKSLASH) text[at++] = BACKSLASH;
      text[at++] = octet;
    }
  }
  return text.toString('latin1', 0, at);
}

function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const octet = bytes[i] as number;
    if (octet < 0x20 || octet > 0x7e || octet === QUOTE || octet === BACKSLASH) return false;
  }
  return true;
}

/** One or more length-prefixed character-strings that fill start..end, quoted and separated by spaces (TXT, HINFO). */
export function characterStrings(wire: Wire, start: number, end: number): string | DecodeError {
  const { buffer: bytes } = wire;
  if (start === end) return decodeError('rdata_short', start);
  let text = '';
  for (let at = start; at < end; ) {
    const stop = at + 1 + (bytes[at] as number);
    if (stop > end) return decodeError('rdata_short', at);
    if (--wire.partBudget < 0) return decodeError('rdata_limit', at);
    text += text === '' ? quoted(bytes, at + 1, stop) : ` ${quoted(bytes, at + 1, stop)}`;
    at = stop;
  }
  return text;
}

/** RDATA of unknown or malformed content (RFC 3597 section 5): `\# length hex`. */
export function unknownRdata(bytes: Buffer, start: number, end: number): string {
  return start === end ? '\\# 0' : `\\# ${end - start} ${bytes.toString('hex', start, end)}`;
}

const BASE32HEX = '0123456789ABCDEFGHIJKLMNOPQRSTUV';

/** RFC 4648 section 7 without padding (the hash labels of NSEC3, RFC 5155 section 3.3). */
export function base32hex(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (let i = start; i < end; i++) {
    held = ((held << 8) | (bytes[i] as number)) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32HEX[(held >> (bits - 5)) & 31];
  }
  return bits === 0 ? text : text + BASE32HEX[(held << (5 - bits)) & 31];
}
