import { type Decoded, decodeError, type Wire } from './wire.ts';

/** RFC 1035 section 2.3.4. The limit on octets also limits labels to 127. */
const MAX_NAME = 255;

/**
 * Where the text of a name is put together: 255 octets, each at most four characters. Not state: every call writes it
 * before it reads it, and JavaScript runs one call at a time.
 */
const scratch = Buffer.allocUnsafe(MAX_NAME * 4);

const DOT = 0x2e;
const BACKSLASH = 0x5c;

/**
 * The domain name at `offset`, whose uncompressed part must end before `end` (exclusive).
 *
 * Presentation form without the final dot, except the root, which is "."; dots and backslashes inside a label are `\.`
 * and `\\`, octets outside 0x21..0x7e are `\DDD` (RFC 4343 section 2.1). Case is kept.
 *
 * A compression pointer must point before the start of the labels it ends, so that each jump goes strictly back and no
 * loop is possible (RFC 1035 section 4.1.4: "a prior occurrence"; what BIND demands too). `next` is the offset after
 * the name where it stands.
 */
export function readName(wire: Wire, offset: number, end: number): Decoded<string> {
  const first = wire.bytes[offset] as number;
  if (offset + 1 < end && first >= 0xc0) {
    const target = ((first & 0x3f) << 8) | (wire.bytes[offset + 1] as number);
    if (target === wire.lastTarget) {
      // Text of the same length again: retained memory and later work are bounded by the same budget.
      wire.nameBudget -= 2;
      return { value: wire.lastName, next: offset + 2 };
    }
    const name = readLabels(wire, offset, end);
    if (name.reason === undefined) {
      wire.lastTarget = target;
      wire.lastName = name.value;
    }
    return name;
  }
  return readLabels(wire, offset, end);
}

function readLabels(wire: Wire, offset: number, end: number): Decoded<string> {
  const { bytes } = wire;
  let position = offset;
  let limit = end;
  let segment = offset;
  let next = -1;
  let octets = 1;
  let size = 0;
  for (;;) {
    if (position >= limit) return overrun(wire, position, limit);
    const length = bytes[position] as number;
    if (length === 0) break;
    if (length < 64) {
      octets += length + 1;
      if (octets > MAX_NAME) return decodeError('name_too_long', position);
      if (position + length >= limit) return overrun(wire, limit, limit);
      if (size > 0) scratch[size++] = DOT;
      size = writeLabel(bytes, position + 1, position + 1 + length, size);
      position += length + 1;
    } else if (length < 0xc0) {
      return decodeError('name_label_type', position);
    } else {
      if (position + 1 >= limit) return overrun(wire, limit, limit);
      const target = ((length & 0x3f) << 8) | (bytes[position + 1] as number);
      if (target >= segment || target < 12) return decodeError('name_pointer', position);
      if (next < 0) next = position + 2;
      wire.nameBudget -= 8;
      if (wire.nameBudget < 0) return decodeError('name_budget', offset);
      position = target;
      segment = target;
      limit = bytes.length;
    }
  }
  wire.nameBudget -= octets;
  if (wire.nameBudget < 0) return decodeError('name_budget', offset);
  return {
    value: size === 0 ? '.' : scratch.toString('latin1', 0, size),
    next: next < 0 ? position + 1 : next,
  };
}

function overrun(wire: Wire, position: number, limit: number): Decoded<string> {
  return decodeError(wire.cut && limit === wire.bytes.length ? 'cut' : 'name_overrun', position);
}

/** Writes a label at `size` of the scratch text, escaped; returns the new size. */
function writeLabel(bytes: Uint8Array, start: number, end: number, size: number): number {
  let at = size;
  for (let i = start; i < end; i++) {
    const octet = bytes[i] as number;
    if (octet > 0x20 && octet < 0x7f) {
      if (octet === DOT || octet === BACKSLASH) scratch[at++] = BACKSLASH;
      scratch[at++] = octet;
    } else {
      at = writeDecimalEscape(scratch, at, octet);
    }
  }
  return at;
}

/** Writes `\DDD` (RFC 1035 section 5.1). */
export function writeDecimalEscape(target: Uint8Array, at: number, octet: number): number {
  const hundreds = octet < 100 ? 0 : octet < 200 ? 1 : 2;
  const rest = octet - hundreds * 100;
  const tens = (rest * 205) >> 11; // rest / 10 for rest < 100
  target[at] = BACKSLASH;
  target[at + 1] = 0x30 + hundreds;
  target[at + 2] = 0x30 + tens;
  target[at + 3] = 0x30 + rest - tens * 10;
  return at + 4;
}
