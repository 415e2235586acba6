/** RDATA of DNSSEC (RFC 4034, RFC 5155, RFC 7344) and of published keys (TLSA RFC 6698, SSHFP RFC 4255). */
import type { DecodeError } from '../model.ts';
import { typeName } from '../tables/rrtypes.ts';
import { readName } from './name.ts';
import { base32hex } from './text.ts';
import { decodeError, readU16, readU32, type Wire } from './wire.ts';

/** Key tag, algorithm, digest type, digest (RFC 4034 section 5.1). CDS, CDNSKEY with algorithm 0 ask for deletion. */
export function ds(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 5) return decodeError('rdata_short', end);
  const { bytes, buffer } = wire;
  const tag = readU16(bytes, start);
  return `${tag} ${bytes[start + 2]} ${bytes[start + 3]} ${buffer.toString('hex', start + 4, end)}`;
}

/** Flags, protocol, algorithm, public key (RFC 4034 section 2.1). */
export function dnskey(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 5) return decodeError('rdata_short', end);
  const { bytes, buffer } = wire;
  const flags = readU16(bytes, start);
  return `${flags} ${bytes[start + 2]} ${bytes[start + 3]} ${buffer.toString('base64', start + 4, end)}`;
}

/** Algorithm, fingerprint type, fingerprint (RFC 4255 section 3.1). */
export function fingerprint(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 3) return decodeError('rdata_short', end);
  const { bytes, buffer } = wire;
  return `${bytes[start]} ${bytes[start + 1]} ${buffer.toString('hex', start + 2, end)}`;
}

/** Usage, selector, matching type, data (RFC 6698 section 2.1; SMIMEA is the same, RFC 8162 section 2). */
export function tlsa(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 4) return decodeError('rdata_short', end);
  const { bytes, buffer } = wire;
  const head = `${bytes[start]} ${bytes[start + 1]} ${bytes[start + 2]}`;
  return `${head} ${buffer.toString('hex', start + 3, end)}`;
}

/** RFC 4034 section 3.1. */
export function rrsig(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 19) return decodeError('rdata_short', end);
  const { bytes, buffer } = wire;
  const signer = readName(wire, start + 18, end);
  if (signer.reason !== undefined) return signer;
  if (signer.next >= end) return decodeError('rdata_short', end);
  wire.partBudget -= 8;
  if (wire.partBudget < 0) return decodeError('rdata_limit', start);
  const covered = typeName(readU16(bytes, start));
  const numbers = `${bytes[start + 2]} ${bytes[start + 3]} ${readU32(bytes, start + 4)}`;
  const times = `${timestamp(readU32(bytes, start + 8))} ${timestamp(readU32(bytes, start + 12))}`;
  const tag = readU16(bytes, start + 16);
  const signature = buffer.toString('base64', signer.next, end);
  return `${covered} ${numbers} ${times} ${tag} ${signer.value} ${signature}`;
}

const DAY_S = 86_400;
/** Days of 400 years of the Gregorian calendar, and from 1 March of the year 0 to 1970. */
const DAYS_400 = 146_097;
const DAYS_TO_1970 = 719_468;

/**
 * Unix seconds as YYYYMMDDHHmmSS in UTC (RFC 4034 section 3.2), taken as 1970 to 2106. By arithmetic: `Date` took half of the time of a
 * message of signatures. Years begin in March here, so that the leap day is a year's last.
 */
function timestamp(seconds: number): string {
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
  return `${year * 10_000 + month * 100 + dayOfMonth}${`${1_000_000 + time}`.slice(1)}`;
}

/** Next name, types (RFC 4034 section 4.1). */
export function nsec(wire: Wire, start: number, end: number): string | DecodeError {
  if (start >= end) return decodeError('rdata_short', end);
  const next = readName(wire, start, end);
  if (next.reason !== undefined) return next;
  const types = typeBitmaps(wire, next.next, end);
  return typeof types === 'string' ? next.value + types : types;
}

/** Algorithm, flags, iterations, salt, next hash, types (RFC 5155 section 3.2). */
export function nsec3(wire: Wire, start: number, end: number): string | DecodeError {
  const { bytes } = wire;
  const parameters = hashParameters(wire, start, end);
  if (parameters.reason !== undefined) return parameters;
  const at = parameters.next;
  if (at >= end) return decodeError('rdata_short', end);
  const hashEnd = at + 1 + (bytes[at] as number);
  if (hashEnd > end) return decodeError('rdata_short', at);
  if (hashEnd === at + 1) return decodeError('rdata_value', at);
  const types = typeBitmaps(wire, hashEnd, end);
  if (typeof types !== 'string') return types;
  return `${parameters.value} ${base32hex(bytes, at + 1, hashEnd)}${types}`;
}

/** Algorithm, flags, iterations, salt (RFC 5155 section 4.2). */
export function nsec3param(wire: Wire, start: number, end: number): string | DecodeError {
  const parameters = hashParameters(wire, start, end);
  if (parameters.reason !== undefined) return parameters;
  return parameters.next === end ? parameters.value : decodeError('rdata_trailing', parameters.next);
}

function hashParameters(wire: Wire, start: number, end: number) {
  if (end - start < 5) return decodeError('rdata_short', end);
  const { bytes, buffer } = wire;
  const saltEnd = start + 5 + (bytes[start + 4] as number);
  if (saltEnd > end) return decodeError('rdata_short', start + 4);
  const salt = saltEnd === start + 5 ? '-' : buffer.toString('hex', start + 5, saltEnd);
  const value = `${bytes[start]} ${bytes[start + 1]} ${readU16(bytes, start + 2)} ${salt}`;
  return { value, next: saltEnd, reason: undefined };
}

/**
 * The types of a type bit map, each with a space before it (RFC 4034 section 4.1.2): window blocks in rising order,
 * each of 1 to 32 bytes.
 */
function typeBitmaps(wire: Wire, start: number, end: number): string | DecodeError {
  const { bytes } = wire;
  let text = '';
  let lastWindow = -1;
  for (let at = start; at < end; ) {
    if (at + 2 > end) return decodeError('rdata_short', end);
    const window = bytes[at] as number;
    const length = bytes[at + 1] as number;
    if (window <= lastWindow || length === 0 || length > 32) return decodeError('rdata_value', at);
    if (at + 2 + length > end) return decodeError('rdata_short', end);
    for (let bit = 0; bit < length * 8; bit++) {
      if (((bytes[at + 2 + (bit >> 3)] as number) & (0x80 >> (bit & 7))) === 0) continue;
      if (--wire.partBudget < 0) return decodeError('rdata_limit', at);
      text += ` ${typeName(window * 256 + bit)}`;
    }
    lastWindow = window;
    at += 2 + length;
  }
  return text;
}
