/** EDNS(0): the options of the OPT record (RFC 6891), and those that are shown in words. */
import { writeIPv4, writeIPv6 } from '../lib/address.ts';
import { ByteWriter } from '../lib/byte-writer.ts';
import type { Edns } from '../model.ts';
import { EDNS_OPTIONS, extendedErrorName } from '../tables/edns.ts';
import { skipName, writeName } from './name.ts';
import { writeQuoted, writeSpace } from './text.ts';
import { readU16, type Wire } from './wire.ts';

/** What follows them is not read (`rdata_limit`): no one sends as many, but for the work they make. */
const MAX_OPTIONS = 256;
/** Bytes before the value of an option: its code and its length. */
const OPTION_HEAD = 4;

/** The options as an object has them. */
type Options = Pick<Edns, 'options' | 'clientSubnet' | 'clientSubnetScope' | 'extendedErrors'>;

const NONE = Object.freeze([]);
const NO_OPTIONS: Options = Object.freeze({
  options: NONE,
  clientSubnet: undefined,
  clientSubnetScope: undefined,
  extendedErrors: NONE,
});
const SLASH = 0x2f;

/** Where values become text, and an address is completed. Not state: they are written before they are read. */
const scratch = new ByteWriter(1024);
const address = new Uint8Array(16);

/**
 * The index after the last option of start..end that is read. What is wrong is noted: an option with a bad value is kept, one
 * longer than the record ends the list.
 */
export function checkOptions(wire: Wire, start: number, end: number): number {
  const { bytes } = wire;
  let count = 0;
  for (let at = start; at < end; count++) {
    const value = at + OPTION_HEAD;
    const stop = value > end ? end + 1 : value + readU16(bytes, at + 2);
    if (stop > end) {
      wire.fail('opt_option', at);
      return at;
    }
    if (--wire.partBudget < 0 || count === MAX_OPTIONS) {
      wire.fail('rdata_limit', at);
      return at;
    }
    if (!checkOption(wire, readU16(bytes, at), value, stop)) wire.fail('opt_option', at);
    at = stop;
  }
  return end;
}

/** The options of start..end, which is as far as `checkOptions` came, with the same budgets. */
export function readOptions(wire: Wire, start: number, end: number): Options {
  const { bytes } = wire;
  if (start >= end) return NO_OPTIONS;
  const options: { code: number; data: string }[] = [];
  const extendedErrors: { code: number; text: string }[] = [];
  let clientSubnet: string | undefined;
  let clientSubnetScope: number | undefined;
  for (let at = start; at + OPTION_HEAD <= end; ) {
    const code = readU16(bytes, at);
    const value = at + OPTION_HEAD;
    const stop = Math.min(value + readU16(bytes, at + 2), end);
    const isValid = checkOption(wire, code, value, stop);
    scratch.position = 0;
    if (isValid) writeOption(wire, scratch, code, value, stop);
    else scratch.hex(bytes, value, stop);
    const data = scratch.latin1();
    options.push({ code, data });
    if (isValid && code === EDNS_OPTIONS['edns-client-subnet'] && clientSubnet === undefined) {
      clientSubnet = data.slice(0, data.lastIndexOf('/'));
      clientSubnetScope = bytes[value + 3] as number;
    }
    if (isValid && code === EDNS_OPTIONS['Extended-DNS-Error']) {
      extendedErrors.push({ code: readU16(bytes, value), text: errorText(bytes, value + 2, stop) });
    }
    at = stop;
  }
  return {
    options,
    clientSubnet,
    clientSubnetScope,
    extendedErrors: extendedErrors.length === 0 ? NONE : extendedErrors,
  };
}

/** Whether the value of an option keeps to its definition. Notes nothing. */
function checkOption(wire: Wire, code: number, start: number, end: number): boolean {
  const size = end - start;
  switch (code) {
    case EDNS_OPTIONS['edns-client-subnet']:
      return checkSubnet(wire.bytes, start, end);
    case EDNS_OPTIONS['Extended-DNS-Error']: // RFC 8914 section 2
      return size >= 2;
    case EDNS_OPTIONS['edns-tcp-keepalive']: // RFC 7828 section 3.1: empty or units of 100 ms
      return size === 0 || size === 2;
    case EDNS_OPTIONS.COOKIE: // RFC 7873 section 4: 8 octets, or 16 to 40 with the server's
      return size === 8 || (size >= 16 && size <= 40);
    case EDNS_OPTIONS['Report-Channel']: // RFC 9567 section 6.1: a name, not compressed
      return size > 0 && checkAgent(wire, start, end);
    default:
      return true;
  }
}

function checkAgent(wire: Wire, start: number, end: number): boolean {
  const { malformedReason, malformedOffset } = wire;
  if (skipName(wire, start, end) === end) return true;
  // What is wrong is the option.
  wire.malformedReason = malformedReason;
  wire.malformedOffset = malformedOffset;
  return false;
}

/** Writes the value of an option, which is valid, in words; in hex where there are none. */
function writeOption(wire: Wire, out: ByteWriter, code: number, start: number, end: number): void {
  const { bytes } = wire;
  switch (code) {
    case EDNS_OPTIONS['edns-client-subnet']:
      writeSubnet(out, bytes, start, end);
      break;
    case EDNS_OPTIONS['Extended-DNS-Error']:
      writeError(out, bytes, start, end);
      break;
    case EDNS_OPTIONS['edns-tcp-keepalive']:
      if (start < end) out.ascii(`${readU16(bytes, start) / 10}s`);
      break;
    case EDNS_OPTIONS.Padding: // RFC 7830: its octets say nothing
      out.decimal(end - start);
      out.ascii(' bytes');
      break;
    case EDNS_OPTIONS['Report-Channel']:
      writeName(wire, out, start);
      break;
    default:
      out.hex(bytes, start, end);
  }
}

function writeError(out: ByteWriter, bytes: Uint8Array, start: number, end: number): void {
  const code = readU16(bytes, start);
  out.decimal(code);
  out.ascii(` (${extendedErrorName(code)})`);
  if (end - start === 2) return;
  writeSpace(out);
  writeQuoted(out, bytes, start + 2, end);
}

/** RFC 8914 section 2: UTF-8, possibly ending in a NUL that is not part of it. Hostile: sinks escape it. */
function errorText(bytes: Uint8Array, start: number, end: number): string {
  const stop = end > start && bytes[end - 1] === 0 ? end - 1 : end;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).toString('utf8');
}

/** Bits of an address of family 1 or 2 (RFC 7871 section 6). */
function addressBits(family: number): number {
  return family === 1 ? 32 : family === 2 ? 128 : 0;
}

/** Family, source and scope prefix (RFC 7871 section 6): just the octets of the source prefix are sent, spare bits zero. */
function checkSubnet(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 4) return false;
  const family = readU16(bytes, start);
  const source = bytes[start + 2] as number;
  const octets = end - start - 4;
  // dig +subnet=0 sends family 0 with nothing more: "do not use my address".
  if (family === 0 && source === 0 && octets === 0) return true;
  const width = addressBits(family);
  if (
    width === 0 ||
    source > width ||
    (bytes[start + 3] as number) > width ||
    octets !== Math.ceil(source / 8)
  )
    return false;
  const spare = octets * 8 - source;
  return octets === 0 || ((bytes[end - 1] as number) & ((1 << spare) - 1)) === 0;
}

/** `address/source/scope` */
function writeSubnet(out: ByteWriter, bytes: Uint8Array, start: number, end: number): void {
  const family = readU16(bytes, start);
  address.fill(0);
  for (let i = start + 4; i < end; i++) address[i - start - 4] = bytes[i] as number;
  if (family === 0) out.ascii('0');
  else if (family === 1) writeIPv4(out, address, 0);
  else writeIPv6(out, address, 0);
  for (let i = start + 2; i < start + 4; i++) {
    out.reserve(1);
    out.byte(SLASH);
    out.decimal(bytes[i] as number);
  }
}
