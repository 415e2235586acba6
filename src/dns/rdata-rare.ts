/** RDATA of types that are seldom asked for, checked while it is rendered. */
import type { ByteWriter } from '../lib/byte-writer.ts';
import { writeName } from './name.ts';
import { checkLastName, failLength } from './rdata-common.ts';
import { checkStrings, writeNumber, writeQuoted, writeSpace, writeStrings } from './text.ts';
import { readU16, type Wire } from './wire.ts';

/**
 * Writes RDATA at start..end in presentation form. All of it must be used. False: it breaks the rules of its type,
 * which is noted, and what was written is to be undone.
 */
export type Render = (wire: Wire, out: ByteWriter, start: number, end: number) => boolean;

/** RFC 1035 section 3.3.2: two character-strings, no more. */
export const hinfo: Render = (wire, out, start, end) => {
  const second = start + 1 + (wire.bytes[start] ?? 0);
  if (second >= end) return wire.fail('rdata_short', end);
  const stop = second + 1 + (wire.bytes[second] as number);
  if (stop !== end) return failLength(wire, second, end, stop - second);
  if (!checkStrings(wire, start, end)) return false;
  writeStrings(wire, out, start, end);
  return true;
};

/** RFC 3403 section 4.1. */
export const naptr: Render = (wire, out, start, end) => {
  if (end - start < 8) return wire.fail('rdata_short', end);
  const { bytes } = wire;
  writeNumber(out, readU16(bytes, start));
  out.decimal(readU16(bytes, start + 2));
  let at = start + 4;
  for (let field = 0; field < 3; field++) {
    if (at >= end) return wire.fail('rdata_short', end);
    const stop = at + 1 + (bytes[at] as number);
    if (stop > end) return wire.fail('rdata_short', at);
    if (--wire.partBudget < 0) return wire.fail('rdata_limit', at);
    writeSpace(out);
    writeQuoted(out, bytes, at + 1, stop);
    at = stop;
  }
  if (!checkLastName(wire, at, end)) return false;
  writeSpace(out);
  writeName(wire, out, at);
  return true;
};

/** RFC 7553 section 4.5: the target fills the rest and is not empty. */
export const uri: Render = (wire, out, start, end) => {
  if (end - start < 5) return wire.fail('rdata_short', end);
  const { bytes } = wire;
  writeNumber(out, readU16(bytes, start));
  writeNumber(out, readU16(bytes, start + 2));
  writeQuoted(out, bytes, start + 4, end);
  return true;
};

/** RFC 8659 section 4.1: flags, a tag of ASCII letters and digits, the value. */
export const caa: Render = (wire, out, start, end) => {
  if (end - start < 3) return wire.fail('rdata_short', end);
  const { bytes } = wire;
  const tagEnd = start + 2 + (bytes[start + 1] as number);
  if (tagEnd > end) return wire.fail('rdata_short', start + 1);
  if (tagEnd === start + 2) return wire.fail('rdata_value', start + 1);
  for (let i = start + 2; i < tagEnd; i++) {
    if (!isAlphanumeric(bytes[i] as number)) return wire.fail('rdata_value', i);
  }
  writeNumber(out, bytes[start] as number);
  out.range(bytes, start + 2, tagEnd);
  writeSpace(out);
  writeQuoted(out, bytes, tagEnd, end);
  return true;
};

function isAlphanumeric(octet: number): boolean {
  const letter = octet | 0x20;
  return (octet >= 0x30 && octet <= 0x39) || (letter >= 0x61 && letter <= 0x7a);
}
