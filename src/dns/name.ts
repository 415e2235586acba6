/** Domain names as they are on the wire (RFC 1035 sections 3.1 and 4.1.4): skipped with all checks, or written as text. */
import type { ByteWriter } from '../lib/byte-writer.ts';
import type { DecodeReason } from '../tables/decode-errors.ts';
import { writeDecimalEscape } from './text.ts';
import type { Wire } from './wire.ts';

/** RFC 1035 section 2.3.4. The limit on octets also limits labels to 127. */
export const MAX_NAME = 255;
/** Characters of a name as text: each octet at most four. */
const MAX_TEXT = MAX_NAME * 4;
/** Octets of the header: no name begins in it. */
const HEADER = 12;

const DOT = 0x2e;
const BACKSLASH = 0x5c;

/**
 * The index after the domain name at `at`, whose uncompressed part must end before `end` (exclusive); -1 if it is
 * malformed or the budget is spent, which is noted.
 *
 * A compression pointer must point before the start of the labels it ends, so that each jump goes strictly back and no
 * loop is possible (RFC 1035 section 4.1.4: "a prior occurrence"; what BIND demands too).
 */
export function skipName(wire: Wire, at: number, end: number): number {
  const { bytes } = wire;
  if (at + 1 >= end || (bytes[at] as number) < 0xc0) return skipLabels(wire, at, end);
  const target = pointerTarget(bytes, at);
  if (target === wire.lastTarget) {
    // Text of the same length again: retained memory and later work are bounded by the same budget.
    wire.nameBudget -= 2;
    wire.nameOctets = wire.lastOctets;
    return at + 2;
  }
  const next = skipLabels(wire, at, end);
  if (next >= 0) {
    wire.lastTarget = target;
    wire.lastOctets = wire.nameOctets;
  }
  return next;
}

function skipLabels(wire: Wire, at: number, end: number): number {
  const { bytes, base } = wire;
  let position = at;
  let limit = end;
  let segment = at;
  let next = -1;
  let octets = 1;
  for (;;) {
    if (position >= limit) return overrun(wire, position, limit);
    const length = bytes[position] as number;
    if (length === 0) break;
    if (length < 64) {
      octets += length + 1;
      if (octets > MAX_NAME) return lost(wire, 'name_too_long', position);
      if (position + length >= limit) return overrun(wire, limit, limit);
      position += length + 1;
    } else if (length < 0xc0) {
      return lost(wire, 'name_label_type', position);
    } else {
      if (position + 1 >= limit) return overrun(wire, limit, limit);
      const target = base + pointerTarget(bytes, position);
      if (target >= segment || target < base + HEADER) return lost(wire, 'name_pointer', position);
      if (next < 0) next = position + 2;
      wire.nameBudget -= 8;
      if (wire.nameBudget < 0) return lost(wire, 'name_budget', at);
      position = target;
      segment = target;
      limit = wire.limit;
    }
  }
  wire.nameBudget -= octets;
  if (wire.nameBudget < 0) return lost(wire, 'name_budget', at);
  wire.nameOctets = octets;
  return next < 0 ? position + 1 : next;
}

/** From the start of the message. */
function pointerTarget(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) & 0x3f) << 8) | (bytes[at + 1] as number);
}

function lost(wire: Wire, reason: DecodeReason, at: number): -1 {
  wire.fail(reason, at);
  return -1;
}

function overrun(wire: Wire, position: number, limit: number): -1 {
  return lost(wire, wire.cut && limit === wire.limit ? 'cut' : 'name_overrun', position);
}

/**
 * The index of the next label of a name that was skipped before, pointers followed; of the root's empty label at the end. If the
 * bytes have changed since, it is still a place in the message or its end; loops over labels count octets, so that they end too.
 */
export function labelAt(wire: Wire, at: number): number {
  const { bytes, base } = wire;
  let position = at;
  while ((bytes[position] as number) >= 0xc0) {
    const target = base + pointerTarget(bytes, position);
    if (target >= position) return wire.limit;
    position = target;
  }
  return position;
}

/**
 * Writes the name at `at`, which was skipped before, in presentation form without the final dot, except the root, which is ".";
 * dots and backslashes inside a label are `\.` and `\\`, octets outside 0x21..0x7e are `\DDD` (RFC 4343 section 2.1). Case is kept.
 */
export function writeName(wire: Wire, out: ByteWriter, at: number): void {
  out.reserve(MAX_TEXT);
  const { bytes, limit } = wire;
  const text = out.bytes;
  const start = out.position;
  let size = start;
  let left = MAX_NAME - 1;
  for (let position = labelAt(wire, at); position < limit; position = labelAt(wire, position)) {
    const length = bytes[position] as number;
    left -= length + 1;
    if (length === 0 || left < 0) break;
    if (size > start) text[size++] = DOT;
    const end = Math.min(position + length + 1, limit);
    for (position++; position < end; position++) {
      const octet = bytes[position] as number;
      if (octet > 0x20 && octet < 0x7f) {
        if (octet === DOT || octet === BACKSLASH) text[size++] = BACKSLASH;
        text[size++] = octet;
      } else {
        size = writeDecimalEscape(text, size, octet);
      }
    }
  }
  if (size === start) text[size++] = DOT;
  out.position = size;
}
