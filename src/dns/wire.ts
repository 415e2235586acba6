import type { DecodeError } from '../model.ts';
import type { DecodeReason } from '../tables/decode-errors.ts';

/** A value read at an offset and the offset after it, or what was wrong. */
export type Decoded<T> = { readonly value: T; readonly next: number; readonly reason?: never } | DecodeError;

/**
 * Octets of names (and pointers followed) that are decoded of one message. An honest message stays far below: 64 KB
 * hold about 2 000 records with names of their own, some 25 octets each. A compression bomb reaches millions (CVE-2024-8508 and
 * "dns-zlip" of 1999 are of this kind).
 */
export const NAME_BUDGET = 65_536;

/** Questions and records decoded of one message; an honest answer over UDP has under 100, a zone transfer is cut here. */
export const RECORD_LIMIT = 1024;

/**
 * Small parts of RDATA rendered of one message: character-strings, types of a bit map, service parameters and their
 * addresses, signatures, EDNS options. 64 KB can hold half a million types; an honest message has at most some hundred parts.
 */
export const PART_BUDGET = 2048;

/** The bytes of one message and what may still be spent on it. Lives as long as one call of `decodeMessage`. */
export interface Wire {
  readonly bytes: Uint8Array;
  /** The same memory, for the hex and base64 writers of Buffer. */
  readonly buffer: Buffer;
  /** The message was longer than the copy. */
  readonly cut: boolean;
  /** Octets of names left of NAME_BUDGET. */
  nameBudget: number;
  /** Parts of RDATA left of PART_BUDGET. */
  partBudget: number;
  /** Where the last compressed name pointed, and that name: most records of an answer share an owner. */
  lastTarget: number;
  lastName: string;
}

export function makeWire(bytes: Uint8Array, cut: boolean): Wire {
  return {
    bytes,
    buffer: Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    cut,
    nameBudget: NAME_BUDGET,
    partBudget: PART_BUDGET,
    lastTarget: -1,
    lastName: '',
  };
}

export function decodeError(reason: DecodeReason, offset: number): DecodeError {
  return { reason, offset };
}

/** 16 bits, network order. The caller has checked that they are there. */
export function readU16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}

/** 32 bits, network order, unsigned. The caller has checked that they are there. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset) * 65_536 + readU16(bytes, offset + 2);
}
