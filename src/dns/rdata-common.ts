/** RDATA of the common types: the check writes nothing, the writing trusts the check. */
import { writeIPv4, writeIPv6 } from '../lib/address.ts';
import type { ByteWriter } from '../lib/byte-writer.ts';
import { skipName, writeName } from './name.ts';
import { checkStrings, writeNumber, writeSpace, writeStrings } from './text.ts';
import { readU16, readU32, type Wire } from './wire.ts';

/** What the RDATA of a type looks like; start..end are indices of `wire.bytes`, and all of it must be used. */
export interface RdataForm {
  /** Whether it keeps the rules of the type; if not, that is noted. */
  check(wire: Wire, start: number, end: number): boolean;
  /** Writes it in presentation form. False only where it does not keep the rules: then what was written is to be undone. */
  write(wire: Wire, out: ByteWriter, start: number, end: number): boolean;
}

export function failLength(wire: Wire, start: number, end: number, size: number): false {
  return end - start < size ? wire.fail('rdata_short', end) : wire.fail('rdata_trailing', start + size);
}

/** The name at `at` as the last field: nothing may follow it. */
export function checkLastName(wire: Wire, at: number, end: number): boolean {
  if (at >= end) return wire.fail('rdata_short', end);
  const next = skipName(wire, at, end);
  return next === end || (next >= 0 && wire.fail('rdata_trailing', next));
}

/** Writes a name; the index after it where it stands. */
function writeNameAt(wire: Wire, out: ByteWriter, at: number): number {
  writeName(wire, out, at);
  return nameEnd(wire, at);
}

/** Of a name that was checked: after its last label or its pointer. */
function nameEnd({ bytes, limit }: Wire, at: number): number {
  for (let position = at; position < limit; ) {
    const length = bytes[position] as number;
    if (length >= 0xc0) return position + 2;
    if (length === 0) return position + 1;
    position += length + 1;
  }
  return limit;
}

export const A: RdataForm = {
  check: (wire, start, end) => end - start === 4 || failLength(wire, start, end, 4),
  write(wire, out, start) {
    writeIPv4(out, wire.bytes, start);
    return true;
  },
};

export const AAAA: RdataForm = {
  check: (wire, start, end) => end - start === 16 || failLength(wire, start, end, 16),
  write(wire, out, start) {
    writeIPv6(out, wire.bytes, start);
    return true;
  },
};

/** NS, CNAME, PTR, DNAME and their kind. */
export const NAME: RdataForm = {
  check: checkLastName,
  write(wire, out, start) {
    writeName(wire, out, start);
    return true;
  },
};

/** RP, MINFO: two names. */
export const NAMES: RdataForm = {
  check(wire, start, end) {
    if (start >= end) return wire.fail('rdata_short', end);
    const second = skipName(wire, start, end);
    return second >= 0 && checkLastName(wire, second, end);
  },
  write(wire, out, start) {
    const second = writeNameAt(wire, out, start);
    writeSpace(out);
    writeName(wire, out, second);
    return true;
  },
};

/** MX and its kind: a number and a name. */
export const MX: RdataForm = {
  check(wire, start, end) {
    if (end - start < 3) return wire.fail('rdata_short', end);
    return checkLastName(wire, start + 2, end);
  },
  write(wire, out, start) {
    writeNumber(out, readU16(wire.bytes, start));
    writeName(wire, out, start + 2);
    return true;
  },
};

/** RFC 2782: priority, weight, port, target. */
export const SRV: RdataForm = {
  check(wire, start, end) {
    if (end - start < 7) return wire.fail('rdata_short', end);
    return checkLastName(wire, start + 6, end);
  },
  write(wire, out, start) {
    for (let at = start; at < start + 6; at += 2) writeNumber(out, readU16(wire.bytes, at));
    writeName(wire, out, start + 6);
    return true;
  },
};

/** RFC 1035 section 3.3.13: two names, a serial and four timers. */
export const SOA: RdataForm = {
  check(wire, start, end) {
    if (start >= end) return wire.fail('rdata_short', end);
    const mailbox = skipName(wire, start, end);
    if (mailbox < 0) return false;
    if (mailbox >= end) return wire.fail('rdata_short', end);
    const numbers = skipName(wire, mailbox, end);
    if (numbers < 0) return false;
    return end - numbers === 20 || failLength(wire, numbers, end, 20);
  },
  write(wire, out, start, end) {
    const mailbox = writeNameAt(wire, out, start);
    writeSpace(out);
    writeName(wire, out, mailbox);
    for (let at = end - 20; at < end; at += 4) {
      writeSpace(out);
      out.decimal(readU32(wire.bytes, at));
    }
    return true;
  },
};

/** TXT: character-strings. */
export const STRINGS: RdataForm = {
  check: checkStrings,
  write(wire, out, start, end) {
    writeStrings(wire, out, start, end);
    return true;
  },
};
