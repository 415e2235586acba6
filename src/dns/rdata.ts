import { formatIPv4, formatIPv6 } from '../lib/address.ts';
import type { DecodeError } from '../model.ts';
import { CLASSES } from '../tables/classes.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';
import { readName } from './name.ts';
import { dnskey, ds, fingerprint, nsec, nsec3, nsec3param, rrsig, tlsa } from './rdata-security.ts';
import { svcb } from './rdata-svcb.ts';
import { characterStrings, quoted, unknownRdata } from './text.ts';
import { decodeError, readU16, readU32, type Wire } from './wire.ts';

/** RDATA at start..end in presentation form, or the first thing that was wrong with it. All of it must be used. */
export type Render = (wire: Wire, start: number, end: number) => string | DecodeError;

/** Types whose RDATA means the same in every class (RFC 3597 section 5 sets the others apart). */
const RENDERERS = new Map<number, Render>([
  [RR_TYPES.NS, oneName],
  [RR_TYPES.MD, oneName],
  [RR_TYPES.MF, oneName],
  [RR_TYPES.CNAME, oneName],
  [RR_TYPES.SOA, soa],
  [RR_TYPES.MB, oneName],
  [RR_TYPES.MG, oneName],
  [RR_TYPES.MR, oneName],
  [RR_TYPES.PTR, oneName],
  [RR_TYPES.HINFO, hinfo],
  [RR_TYPES.MINFO, twoNames],
  [RR_TYPES.MX, numberAndName],
  [RR_TYPES.TXT, strings],
  [RR_TYPES.RP, twoNames],
  [RR_TYPES.AFSDB, numberAndName],
  [RR_TYPES.RT, numberAndName],
  [RR_TYPES.NAPTR, naptr],
  [RR_TYPES.DNAME, oneName],
  [RR_TYPES.DS, ds],
  [RR_TYPES.SSHFP, fingerprint],
  [RR_TYPES.RRSIG, rrsig],
  [RR_TYPES.NSEC, nsec],
  [RR_TYPES.DNSKEY, dnskey],
  [RR_TYPES.NSEC3, nsec3],
  [RR_TYPES.NSEC3PARAM, nsec3param],
  [RR_TYPES.TLSA, tlsa],
  [RR_TYPES.SMIMEA, tlsa],
  [RR_TYPES.CDS, ds],
  [RR_TYPES.CDNSKEY, dnskey],
  [RR_TYPES.SPF, strings],
  [RR_TYPES.URI, uri],
  [RR_TYPES.CAA, caa],
  [RR_TYPES.DLV, ds],
]);

/** Types defined for class IN only. */
const INTERNET_RENDERERS = new Map<number, Render>([
  [RR_TYPES.A, a],
  [RR_TYPES.AAAA, aaaa],
  [RR_TYPES.SRV, srv],
  [RR_TYPES.KX, numberAndName],
  [RR_TYPES.SVCB, svcb],
  [RR_TYPES.HTTPS, svcb],
]);

/**
 * RDATA in presentation form (names without the final dot, hex in lower case), in RFC 3597 form where the type is not
 * rendered, or what was wrong with it. The top bit of the class is not looked at: multicast DNS uses it (RFC 6762
 * section 10.2).
 */
export function renderRdata(
  wire: Wire,
  type: number,
  recordClass: number,
  start: number,
  end: number,
): string | DecodeError {
  const internet = (recordClass & 0x7fff) === CLASSES.IN;
  if (internet && type === RR_TYPES.A) return a(wire, start, end);
  if (internet && type === RR_TYPES.AAAA) return aaaa(wire, start, end);
  // Prerequisites and deletions of dynamic update have no RDATA (RFC 2136 sections 2.4 and 2.5).
  if (start === end && (recordClass === CLASSES.ANY || recordClass === CLASSES.NONE)) return '';
  const render = RENDERERS.get(type) ?? (internet ? INTERNET_RENDERERS.get(type) : undefined);
  return render === undefined ? unknownRdata(wire.buffer, start, end) : render(wire, start, end);
}

function a(wire: Wire, start: number, end: number): string | DecodeError {
  return end - start === 4 ? formatIPv4(wire.bytes, start) : wrongLength(start, end, 4);
}

function aaaa(wire: Wire, start: number, end: number): string | DecodeError {
  return end - start === 16 ? formatIPv6(wire.bytes, start) : wrongLength(start, end, 16);
}

function wrongLength(start: number, end: number, size: number): DecodeError {
  return end - start < size ? decodeError('rdata_short', end) : decodeError('rdata_trailing', start + size);
}

/** The name at `offset` as the last field: nothing may follow it. */
export function lastName(wire: Wire, offset: number, end: number): string | DecodeError {
  if (offset >= end) return decodeError('rdata_short', end);
  const name = readName(wire, offset, end);
  if (name.reason !== undefined) return name;
  return name.next === end ? name.value : decodeError('rdata_trailing', name.next);
}

function oneName(wire: Wire, start: number, end: number): string | DecodeError {
  return lastName(wire, start, end);
}

function twoNames(wire: Wire, start: number, end: number): string | DecodeError {
  if (start >= end) return decodeError('rdata_short', end);
  const first = readName(wire, start, end);
  if (first.reason !== undefined) return first;
  const second = lastName(wire, first.next, end);
  return typeof second === 'string' ? `${first.value} ${second}` : second;
}

function numberAndName(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 3) return decodeError('rdata_short', end);
  const name = lastName(wire, start + 2, end);
  return typeof name === 'string' ? `${readU16(wire.bytes, start)} ${name}` : name;
}

/** RFC 1035 section 3.3.13. */
function soa(wire: Wire, start: number, end: number): string | DecodeError {
  if (start >= end) return decodeError('rdata_short', end);
  const server = readName(wire, start, end);
  if (server.reason !== undefined) return server;
  if (server.next >= end) return decodeError('rdata_short', end);
  const mailbox = readName(wire, server.next, end);
  if (mailbox.reason !== undefined) return mailbox;
  const at = mailbox.next;
  if (end - at !== 20) return wrongLength(at, end, 20);
  const { bytes } = wire;
  const serial = readU32(bytes, at);
  const timers = `${readU32(bytes, at + 4)} ${readU32(bytes, at + 8)} ${readU32(bytes, at + 12)} ${readU32(bytes, at + 16)}`;
  return `${server.value} ${mailbox.value} ${serial} ${timers}`;
}

function strings(wire: Wire, start: number, end: number): string | DecodeError {
  return characterStrings(wire, start, end);
}

/** RFC 1035 section 3.3.2: two character-strings, no more. */
function hinfo(wire: Wire, start: number, end: number): string | DecodeError {
  const second = start + 1 + (wire.bytes[start] ?? 0);
  if (second >= end) return decodeError('rdata_short', end);
  const stop = second + 1 + (wire.bytes[second] as number);
  return stop === end ? characterStrings(wire, start, end) : wrongLength(second, end, stop - second);
}

/** RFC 2782. */
function srv(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 7) return decodeError('rdata_short', end);
  const target = lastName(wire, start + 6, end);
  if (typeof target !== 'string') return target;
  const { bytes } = wire;
  return `${readU16(bytes, start)} ${readU16(bytes, start + 2)} ${readU16(bytes, start + 4)} ${target}`;
}

/** RFC 3403 section 4.1. */
function naptr(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 8) return decodeError('rdata_short', end);
  let text = `${readU16(wire.bytes, start)} ${readU16(wire.bytes, start + 2)}`;
  let at = start + 4;
  for (let field = 0; field < 3; field++) {
    if (at >= end) return decodeError('rdata_short', end);
    const stop = at + 1 + (wire.bytes[at] as number);
    if (stop > end) return decodeError('rdata_short', at);
    if (--wire.partBudget < 0) return decodeError('rdata_limit', at);
    text += ` ${quoted(wire.buffer, at + 1, stop)}`;
    at = stop;
  }
  const replacement = lastName(wire, at, end);
  return typeof replacement === 'string' ? `${text} ${replacement}` : replacement;
}

/** RFC 7553 section 4.5: the target fills the rest and is not empty. */
function uri(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 5) return decodeError('rdata_short', end);
  const target = quoted(wire.buffer, start + 4, end);
  return `${readU16(wire.bytes, start)} ${readU16(wire.bytes, start + 2)} ${target}`;
}

/** RFC 8659 section 4.1: flags, a tag of ASCII letters and digits, the value. */
function caa(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 3) return decodeError('rdata_short', end);
  const { bytes, buffer } = wire;
  const tagEnd = start + 2 + (bytes[start + 1] as number);
  if (tagEnd > end) return decodeError('rdata_short', start + 1);
  if (tagEnd === start + 2) return decodeError('rdata_value', start + 1);
  for (let i = start + 2; i < tagEnd; i++) {
    if (!isAlphanumeric(bytes[i] as number)) return decodeError('rdata_value', i);
  }
  return `${bytes[start]} ${buffer.toString('latin1', start + 2, tagEnd)} ${quoted(buffer, tagEnd, end)}`;
}

function isAlphanumeric(octet: number): boolean {
  const letter = octet | 0x20;
  return (octet >= 0x30 && octet <= 0x39) || (letter >= 0x61 && letter <= 0x7a);
}
