/** RDATA of SVCB and HTTPS (RFC 9460 section 2.2), rendered as in its section 2.1 and as dig shows it. */
import { formatIPv4, formatIPv6 } from '../lib/address.ts';
import type { DecodeError } from '../model.ts';
import { SVCB_KEYS, svcbKeyName } from '../tables/svcb.ts';
import { readName, writeDecimalEscape } from './name.ts';
import { quoted } from './text.ts';
import { decodeError, readU16, type Wire } from './wire.ts';

/** Priority, target name, parameters with rising keys. */
export function svcb(wire: Wire, start: number, end: number): string | DecodeError {
  if (end - start < 3) return decodeError('rdata_short', end);
  const { bytes } = wire;
  const target = readName(wire, start + 2, end);
  if (target.reason !== undefined) return target;
  let text = `${readU16(bytes, start)} ${target.value}`;
  let lastKey = -1;
  for (let at = target.next; at < end; ) {
    if (at + 4 > end) return decodeError('rdata_short', end);
    const key = readU16(bytes, at);
    const stop = at + 4 + readU16(bytes, at + 2);
    if (stop > end) return decodeError('rdata_short', at + 2);
    if (key <= lastKey) return decodeError('rdata_value', at);
    if (--wire.partBudget < 0) return decodeError('rdata_limit', at);
    const value = parameter(wire, key, at + 4, stop);
    if (typeof value !== 'string') return value;
    text += ` ${svcbKeyName(key)}${value}`;
    lastKey = key;
    at = stop;
  }
  return text;
}

/** The value of one parameter with its `=`, '' where it has none. */
function parameter(wire: Wire, key: number, start: number, end: number): string | DecodeError {
  const { bytes, buffer } = wire;
  switch (key) {
    case SVCB_KEYS.mandatory:
      return mandatory(wire, start, end);
    case SVCB_KEYS.alpn:
      return alpn(wire, start, end);
    case SVCB_KEYS['no-default-alpn']:
    case SVCB_KEYS.ohttp:
      return start === end ? '' : decodeError('rdata_value', start);
    case SVCB_KEYS.port:
      return end - start === 2 ? `=${readU16(bytes, start)}` : decodeError('rdata_value', start);
    case SVCB_KEYS.ipv4hint:
      return addresses(wire, start, end, 4, formatIPv4);
    case SVCB_KEYS.ipv6hint:
      return addresses(wire, start, end, 16, formatIPv6);
    case SVCB_KEYS.ech:
      return start === end ? decodeError('rdata_value', start) : `=${buffer.toString('base64', start, end)}`;
    default:
      return start === end ? '' : `=${quoted(buffer, start, end)}`;
  }
}

/** RFC 9460 section 8: keys in rising order, not `mandatory` itself. */
function mandatory(wire: Wire, start: number, end: number): string | DecodeError {
  if (start === end || (end - start) % 2 !== 0) return decodeError('rdata_value', start);
  let text = '';
  const { bytes } = wire;
  let last: number = SVCB_KEYS.mandatory;
  for (let at = start; at < end; at += 2) {
    const key = readU16(bytes, at);
    if (key <= last) return decodeError('rdata_value', at);
    if (--wire.partBudget < 0) return decodeError('rdata_limit', at);
    text += `${at === start ? '=' : ','}${svcbKeyName(key)}`;
    last = key;
  }
  return text;
}

function addresses(
  wire: Wire,
  start: number,
  end: number,
  size: number,
  format: (bytes: Uint8Array, offset: number) => string,
): string | DecodeError {
  if (start === end || (end - start) % size !== 0) return decodeError('rdata_value', start);
  // Before anything is rendered: most of the time of a message built to be slow.
  const room = Math.max(wire.partBudget, 0);
  wire.partBudget -= (end - start) / size;
  if (wire.partBudget < 0) return decodeError('rdata_limit', start + room * size);
  let text = '';
  for (let at = start; at < end; at += size) {
    text += `${at === start ? '=' : ','}${format(wire.bytes, at)}`;
  }
  return text;
}

/**
 * Protocol names of one or more octets (RFC 9460 section 7.1.1) as a quoted comma-separated list. Commas and backslashes
 * inside a name are escaped twice, once for the list and once for the character-string (RFC 9460 appendix A.1).
 */
function alpn(wire: Wire, start: number, end: number): string | DecodeError {
  if (start === end) return decodeError('rdata_value', start);
  const { bytes } = wire;
  const text = Buffer.allocUnsafe((end - start) * 4);
  let size = 0;
  for (let at = start; at < end; ) {
    const stop = at + 1 + (bytes[at] as number);
    if (stop > end || stop === at + 1) return decodeError('rdata_value', at);
    if (--wire.partBudget < 0) return decodeError('rdata_limit', at);
    if (at > start) text[size++] = 0x2c;
    for (let i = at + 1; i < stop; i++) size = writeListOctet(text, size, bytes[i] as number);
    at = stop;
  }
  return `="${text.toString('latin1', 0, size)}"`;
}

function writeListOctet(text: Buffer, size: number, octet: number): number {
  if (octet < 0x20 || octet > 0x7e) return writeDecimalEscape(text, size, octet);
  let at = size;
  if (octet === 0x2c || octet === 0x5c) {
    text[at++] = 0x5c;
    text[at++] = 0x5c;
  }
  if (octet === 0x5c || octet === 0x22) text[at++] = 0x5c;
  text[at] = octet;
  return at + 1;
}
