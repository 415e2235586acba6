/** RDATA of SVCB and HTTPS (RFC 9460 section 2.2), rendered as in its section 2.1 and as dig shows it. */
import { writeIPv4, writeIPv6 } from '../lib/address.ts';
import type { ByteWriter } from '../lib/byte-writer.ts';
import { SVCB_KEYS, svcbKeyName } from '../tables/svcb.ts';
import { skipName, writeName } from './name.ts';
import type { Render } from './rdata-rare.ts';
import { writeDecimalEscape, writeNumber, writeQuoted, writeSpace } from './text.ts';
import { readU16, type Wire } from './wire.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/** Priority, target name, parameters with rising keys. */
export const svcb: Render = (wire, out, start, end) => {
  if (end - start < 3) return wire.fail('rdata_short', end);
  const { bytes } = wire;
  const parameters = skipName(wire, start + 2, end);
  if (parameters < 0) return false;
  writeNumber(out, readU16(bytes, start));
  writeName(wire, out, start + 2);
  let lastKey = -1;
  for (let at = parameters; at < end; ) {
    if (at + 4 > end) return wire.fail('rdata_short', end);
    const key = readU16(bytes, at);
    const stop = at + 4 + readU16(bytes, at + 2);
    if (stop > end) return wire.fail('rdata_short', at + 2);
    if (key <= lastKey) return wire.fail('rdata_value', at);
    if (--wire.partBudget < 0) return wire.fail('rdata_limit', at);
    writeSpace(out);
    out.ascii(svcbKeyName(key));
    if (!writeValue(wire, out, key, at + 4, stop)) return false;
    lastKey = key;
    at = stop;
  }
  return true;
};

/** The value of one parameter with its `=`, nothing where it has none. */
function writeValue(wire: Wire, out: ByteWriter, key: number, start: number, end: number): boolean {
  const { bytes } = wire;
  switch (key) {
    case SVCB_KEYS.mandatory:
      return writeMandatory(wire, out, start, end);
    case SVCB_KEYS.alpn:
      return writeProtocols(wire, out, start, end);
    case SVCB_KEYS['no-default-alpn']:
    case SVCB_KEYS.ohttp:
      return start === end || wire.fail('rdata_value', start);
    case SVCB_KEYS.port:
      if (end - start !== 2) return wire.fail('rdata_value', start);
      writeMark(out, EQUALS);
      out.decimal(readU16(bytes, start));
      return true;
    case SVCB_KEYS.ipv4hint:
      return writeAddresses(wire, out, start, end, 4);
    case SVCB_KEYS.ipv6hint:
      return writeAddresses(wire, out, start, end, 16);
    case SVCB_KEYS.ech:
      if (start === end) return wire.fail('rdata_value', start);
      writeMark(out, EQUALS);
      out.base64(bytes, start, end);
      return true;
    default:
      if (start === end) return true;
      writeMark(out, EQUALS);
      writeQuoted(out, bytes, start, end);
      return true;
  }
}

function writeMark(out: ByteWriter, mark: number): void {
  out.reserve(1);
  out.byte(mark);
}

/** RFC 9460 section 8: keys in rising order, not `mandatory` itself. */
function writeMandatory(wire: Wire, out: ByteWriter, start: number, end: number): boolean {
  if (start === end || (end - start) % 2 !== 0) return wire.fail('rdata_value', start);
  let last: number = SVCB_KEYS.mandatory;
  for (let at = start; at < end; at += 2) {
    const key = readU16(wire.bytes, at);
    if (key <= last) return wire.fail('rdata_value', at);
    if (--wire.partBudget < 0) return wire.fail('rdata_limit', at);
    writeMark(out, at === start ? EQUALS : COMMA);
    out.ascii(svcbKeyName(key));
    last = key;
  }
  return true;
}

/** @param size bytes of one: 4 or 16 */
function writeAddresses(wire: Wire, out: ByteWriter, start: number, end: number, size: 4 | 16): boolean {
  if (start === end || (end - start) % size !== 0) return wire.fail('rdata_value', start);
  // Before anything is rendered: most of the time of a message built to be slow.
  const room = Math.max(wire.partBudget, 0);
  wire.partBudget -= (end - start) / size;
  if (wire.partBudget < 0) return wire.fail('rdata_limit', start + room * size);
  for (let at = start; at < end; at += size) {
    writeMark(out, at === start ? EQUALS : COMMA);
    if (size === 4) writeIPv4(out, wire.bytes, at);
    else writeIPv6(out, wire.bytes, at);
  }
  return true;
}

/**
 * Protocol names of one or more octets (RFC 9460 section 7.1.1) as a quoted comma-separated list. Commas and backslashes
 * inside a name are escaped twice, once for the list and once for the character-string (RFC 9460 appendix A.1).
 */
function writeProtocols(wire: Wire, out: ByteWriter, start: number, end: number): boolean {
  if (start === end) return wire.fail('rdata_value', start);
  out.reserve(4 * (end - start) + 3);
  const { bytes } = wire;
  out.byte(EQUALS);
  out.byte(QUOTE);
  for (let at = start; at < end; ) {
    const stop = at + 1 + (bytes[at] as number);
    if (stop > end || stop === at + 1) return wire.fail('rdata_value', at);
    if (--wire.partBudget < 0) return wire.fail('rdata_limit', at);
    if (at > start) out.byte(COMMA);
    for (let i = at + 1; i < stop; i++) writeListOctet(out, bytes[i] as number);
    at = stop;
  }
  out.byte(QUOTE);
  return true;
}

/** Within what was reserved: at most four bytes. */
function writeListOctet(out: ByteWriter, octet: number): void {
  if (octet < 0x20 || octet > 0x7e) {
    out.position = writeDecimalEscape(out.bytes, out.position, octet);
    return;
  }
  if (octet === COMMA || octet === BACKSLASH) {
    out.byte(BACKSLASH);
    out.byte(BACKSLASH);
  }
  if (octet === BACKSLASH || octet === QUOTE) out.byte(BACKSLASH);
  out.byte(octet);
}
