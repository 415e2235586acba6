/** EDNS(0): the OPT record (RFC 6891) and the options that are shown in words. */
import { formatIPv4, formatIPv6 } from '../lib/address.ts';
import type { DecodeError, Edns } from '../model.ts';
import { EDNS_OPTIONS, extendedErrorName } from '../tables/edns.ts';
import { readName } from './name.ts';
import { quoted } from './text.ts';
import { decodeError, readU16, type Wire } from './wire.ts';

/** What the options have given so far. */
interface Options {
  readonly options: { code: number; data: string }[];
  readonly extendedErrors: { code: number; text: string }[];
  clientSubnet: ClientSubnet | undefined;
}

interface ClientSubnet {
  /** `address/source prefix`. */
  readonly prefix: string;
  /** Scope prefix length: 0 in a request; in an answer, for whom it holds. */
  readonly scope: number;
}

const NO_OPTIONS = Object.freeze([]);
/** What follows them is not read (`rdata_limit`): nobody sends as many, but for the work they make. */
const MOST_OPTIONS = 256;

/**
 * The OPT record whose TYPE field is at `fixed` and whose RDATA fills start..end. An option with a bad value is kept in
 * hex, and `malformed` set; an option longer than the record ends the list.
 */
export function decodeEdns(
  wire: Wire,
  fixed: number,
  start: number,
  end: number,
): { readonly value: Edns; readonly malformed: DecodeError | undefined } {
  const { bytes } = wire;
  const found: Options = { options: [], extendedErrors: [], clientSubnet: undefined };
  let malformed: DecodeError | undefined;
  for (let at = start; at < end; ) {
    const stop = at + 4 > end ? end + 1 : at + 4 + readU16(bytes, at + 2);
    if (stop > end) {
      malformed ??= decodeError('opt_option', at);
      break;
    }
    if (--wire.partBudget < 0 || found.options.length === MOST_OPTIONS) {
      malformed ??= decodeError('rdata_limit', at);
      break;
    }
    const code = readU16(bytes, at);
    const data = renderOption(wire, code, at + 4, stop, found);
    if (data === undefined) malformed ??= decodeError('opt_option', at);
    found.options.push({ code, data: data ?? wire.buffer.toString('hex', at + 4, stop) });
    at = stop;
  }
  const value: Edns = {
    version: bytes[fixed + 5] as number,
    udpSize: readU16(bytes, fixed + 2),
    do: ((bytes[fixed + 6] as number) & 0x80) !== 0,
    extendedRcode: bytes[fixed + 4] as number,
    options: found.options.length === 0 ? NO_OPTIONS : found.options,
    clientSubnet: found.clientSubnet?.prefix,
    clientSubnetScope: found.clientSubnet?.scope,
    extendedErrors: found.extendedErrors.length === 0 ? NO_OPTIONS : found.extendedErrors,
  };
  return { value, malformed };
}

/** The value of an option in words, in hex where there are none; undefined if it breaks its definition. */
function renderOption(
  wire: Wire,
  code: number,
  start: number,
  end: number,
  found: Options,
): string | undefined {
  const { buffer, bytes } = wire;
  const size = end - start;
  switch (code) {
    case EDNS_OPTIONS['edns-client-subnet']: {
      const subnet = clientSubnet(bytes, start, end);
      if (subnet === undefined) return undefined;
      found.clientSubnet ??= subnet;
      return `${subnet.prefix}/${subnet.scope}`;
    }
    case EDNS_OPTIONS['Extended-DNS-Error']: {
      if (size < 2) return undefined;
      const error = { code: readU16(bytes, start), text: errorText(buffer, start + 2, end) };
      found.extendedErrors.push(error);
      const detail = size === 2 ? '' : ` ${quoted(buffer, start + 2, end)}`;
      return `${error.code} (${extendedErrorName(error.code)})${detail}`;
    }
    case EDNS_OPTIONS['edns-tcp-keepalive']: // RFC 7828 section 3.1: empty or units of 100 ms
      return size === 0 ? '' : size === 2 ? `${readU16(bytes, start) / 10}s` : undefined;
    case EDNS_OPTIONS.COOKIE: // RFC 7873 section 4: 8 octets, or 16 to 40 with the server's
      return size === 8 || (size >= 16 && size <= 40) ? buffer.toString('hex', start, end) : undefined;
    case EDNS_OPTIONS.Padding: // RFC 7830: its octets say nothing
      return `${size} bytes`;
    case EDNS_OPTIONS['Report-Channel']: {
      // RFC 9567 section 6.1: a name, not compressed
      const agent = size === 0 ? undefined : readName(wire, start, end);
      return agent === undefined || agent.reason !== undefined || agent.next !== end
        ? undefined
        : agent.value;
    }
    default:
      return buffer.toString('hex', start, end);
  }
}

/** RFC 8914 section 2: UTF-8, possibly ending in a NUL that is not part of it. Hostile: sinks escape it. */
function errorText(buffer: Buffer, start: number, end: number): string {
  const stop = end > start && buffer[end - 1] === 0 ? end - 1 : end;
  return buffer.toString('utf8', start, stop);
}

/** RFC 7871 section 6: just the octets of the source prefix are sent, spare bits zero. */
function clientSubnet(bytes: Uint8Array, start: number, end: number): ClientSubnet | undefined {
  if (end - start < 4) return undefined;
  const family = readU16(bytes, start);
  const source = bytes[start + 2] as number;
  const scope = bytes[start + 3] as number;
  const octets = end - start - 4;
  // dig +subnet=0 sends family 0 with nothing more: "do not use my address".
  if (family === 0 && source === 0 && octets === 0) return { prefix: '0/0', scope };
  const width = family === 1 ? 32 : family === 2 ? 128 : 0;
  if (width === 0 || source > width || scope > width || octets !== Math.ceil(source / 8)) return undefined;
  const address = new Uint8Array(16);
  address.set(bytes.subarray(start + 4, end));
  const spare = octets * 8 - source;
  if (octets > 0 && ((address[octets - 1] as number) & ((1 << spare) - 1)) !== 0) return undefined;
  const text = width === 32 ? formatIPv4(address, 0) : formatIPv6(address, 0);
  return { prefix: `${text}/${source}`, scope };
}
