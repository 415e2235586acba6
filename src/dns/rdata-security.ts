/** RDATA of DNSSEC (RFC 4034, RFC 5155, RFC 7344) and of published keys (TLSA RFC 6698, SSHFP RFC 4255). */
import type { ByteWriter } from '../lib/byte-writer.ts';
import { typeName } from '../tables/rrtypes.ts';
import { skipName, writeName } from './name.ts';
import type { Render } from './rdata-rare.ts';
import { writeBase32hex, writeNumber, writeSpace } from './text.ts';
import { readU16, readU32, type Wire } from './wire.ts';

/** Key tag, algorithm, digest type, digest (RFC 4034 section 5.1). CDS, CDNSKEY with algorithm 0 ask for deletion. */
export const ds: Render = (wire, out, start, end) => {
  if (end - start < 5) return wire.fail('rdata_short', end);
  writeNumber(out, readU16(wire.bytes, start));
  writeOctets(out, wire.bytes, start + 2, 2);
  out.hex(wire.bytes, start + 4, end);
  return true;
};

/** Flags, protocol, algorithm, public key (RFC 4034 section 2.1). */
export const dnskey: Render = (wire, out, start, end) => {
  if (end - start < 5) return wire.fail('rdata_short', end);
  writeNumber(out, readU16(wire.bytes, start));
  writeOctets(out, wire.bytes, start + 2, 2);
  out.base64(wire.bytes, start + 4, end);
  return true;
};

/** Algorithm, fingerprint type, fingerprint (RFC 4255 section 3.1). */
export const fingerprint: Render = (wire, out, start, end) => {
  if (end - start < 3) return wire.fail('rdata_short', end);
  writeOctets(out, wire.bytes, start, 2);
  out.hex(wire.bytes, start + 2, end);
  return true;
};

/** Usage, selector, matching type, data (RFC 6698 section 2.1; SMIMEA is the same, RFC 8162 section 2). */
export const tlsa: Render = (wire, out, start, end) => {
  if (end - start < 4) return wire.fail('rdata_short', end);
  writeOctets(out, wire.bytes, start, 3);
  out.hex(wire.bytes, start + 3, end);
  return true;
};

/** Octets as numbers, each with a space after it. */
function writeOctets(out: ByteWriter, bytes: Uint8Array, start: number, count: number): void {
  for (let i = start; i < start + count; i++) writeNumber(out, bytes[i] as number);
}

/** RFC 4034 section 3.1. */
export const rrsig: Render = (wire, out, start, end) => {
  if (end - start < 19) return wire.fail('rdata_short', end);
  const { bytes } = wire;
  const signature = skipName(wire, start + 18, end);
  if (signature < 0) return false;
  if (signature >= end) return wire.fail('rdata_short', end);
  wire.partBudget -= 8;
  if (wire.partBudget < 0) return wire.fail('rdata_limit', start);
  out.ascii(typeName(readU16(bytes, start)));
  writeSpace(out);
  writeOctets(out, bytes, start + 2, 2);
  writeNumber(out, readU32(bytes, start + 4));
  writeNumber(out, timestamp(readU32(bytes, start + 8)));
  writeNumber(out, timestamp(readU32(bytes, start + 12)));
  writeNumber(out, readU16(bytes, start + 16));
  writeName(wire, out, start + 18);
  writeSpace(out);
  out.base64(bytes, signature, end);
  return true;
};

const DAY_S = 86_400;
/** Days of 400 years of the Gregorian calendar, and from 1 March of the year 0 to 1970. */
const DAYS_400 = 146_097;
const DAYS_TO_1970 = 719_468;

/**
 * Unix seconds as the number YYYYMMDDHHmmSS in UTC (RFC 4034 section 3.2), taken as 1970 to 2106. By arithmetic: `Date` took half of the time of a
 * message of signatures. Years begin in March here, so that the leap day is a year's last.
 */
function timestamp(seconds: number): number {
  const day = Math.floor(seconds / DAY_S);
  const second = seconds - day * DAY_S;
  const days = day + DAYS_TO_1970;
  const cycle = Math.floor(days / DAYS_400);
  const inCycle = days - cycle * DAYS_400;
  const leapDays =
    Math.floor(inCycle / 1460) - Math.floor(inCycle / 36_524) + Math.floor(inCycle / (DAYS_400 - 1));
  const yearInCycle = Math.floor((inCycle - leapDays) / 365);
  const beforeYear = 365 * yearInCycle + Math.floor(yearInCycle / 4) - Math.floor(yearInCycle / 100);
  const inYear = inCycle - beforeYear;
  const marchMonth = Math.floor((5 * inYear + 2) / 153);
  const dayOfMonth = inYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const year = cycle * 400 + yearInCycle + (month <= 2 ? 1 : 0);
  const minute = Math.floor(second / 60);
  const time = Math.floor(minute / 60) * 10_000 + (minute % 60) * 100 + (second % 60);
  return (year * 10_000 + month * 100 + dayOfMonth) * 1_000_000 + time;
}

/** Next name, types (RFC 4034 section 4.1). */
export const nsec: Render = (wire, out, start, end) => {
  if (start >= end) return wire.fail('rdata_short', end);
  const types = skipName(wire, start, end);
  if (types < 0) return false;
  writeName(wire, out, start);
  return writeTypes(wire, out, types, end);
};

/** Algorithm, flags, iterations, salt, next hash, types (RFC 5155 section 3.2). */
export const nsec3: Render = (wire, out, start, end) => {
  const { bytes } = wire;
  const at = writeHashParameters(wire, out, start, end);
  if (at < 0) return false;
  if (at >= end) return wire.fail('rdata_short', end);
  const hashEnd = at + 1 + (bytes[at] as number);
  if (hashEnd > end) return wire.fail('rdata_short', at);
  if (hashEnd === at + 1) return wire.fail('rdata_value', at);
  writeSpace(out);
  writeBase32hex(out, bytes, at + 1, hashEnd);
  return writeTypes(wire, out, hashEnd, end);
};

/** Algorithm, flags, iterations, salt (RFC 5155 section 4.2). */
export const nsec3param: Render = (wire, out, start, end) => {
  const at = writeHashParameters(wire, out, start, end);
  return at === end || (at >= 0 && wire.fail('rdata_trailing', at));
};

/** The index after the salt; -1 if it is malformed. */
function writeHashParameters(wire: Wire, out: ByteWriter, start: number, end: number): number {
  const { bytes } = wire;
  const saltEnd = end - start < 5 ? end + 1 : start + 5 + (bytes[start + 4] as number);
  if (saltEnd > end) {
    wire.fail('rdata_short', end - start < 5 ? end : start + 4);
    return -1;
  }
  writeOctets(out, bytes, start, 2);
  writeNumber(out, readU16(bytes, start + 2));
  if (saltEnd === start + 5) out.ascii('-');
  else out.hex(bytes, start + 5, saltEnd);
  return saltEnd;
}

/**
 * The types of a type bit map, each with a space before it (RFC 4034 section 4.1.2): window blocks in rising order,
 * each of 1 to 32 bytes.
 */
function writeTypes(wire: Wire, out: ByteWriter, start: number, end: number): boolean {
  const { bytes } = wire;
  let lastWindow = -1;
  for (let at = start; at < end; ) {
    if (at + 2 > end) return wire.fail('rdata_short', end);
    const window = bytes[at] as number;
    const length = bytes[at + 1] as number;
    if (window <= lastWindow || length === 0 || length > 32) return wire.fail('rdata_value', at);
    if (at + 2 + length > end) return wire.fail('rdata_short', end);
    for (let bit = 0; bit < length * 8; bit++) {
      if (((bytes[at + 2 + (bit >> 3)] as number) & (0x80 >> (bit & 7))) === 0) continue;
      if (--wire.partBudget < 0) return wire.fail('rdata_limit', at);
      writeSpace(out);
      out.ascii(typeName(window * 256 + bit));
    }
    lastWindow = window;
    at += 2 + length;
  }
  return true;
}
