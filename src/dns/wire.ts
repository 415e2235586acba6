import type { DecodeReason } from '../tables/decode-errors.ts';

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

const NO_BYTES = new Uint8Array(0);

/**
 * The bytes of one message where they lie, and what may still be spent on them. Places ("at", "start", "end") are indices of
 * `bytes`; only what leaves dns/ counts from the start of the message.
 */
export class Wire {
  /** The memory that holds the message, at `base`. */
  bytes: Uint8Array = NO_BYTES;
  base = 0;
  /** The index after the last byte that was captured. */
  limit = 0;
  /** The message was longer than the copy. */
  cut = false;
  /** Octets of names left of NAME_BUDGET. */
  nameBudget = NAME_BUDGET;
  /** Parts of RDATA left of PART_BUDGET. */
  partBudget = PART_BUDGET;
  /** Octets of the name that was skipped last; the root has 1. */
  nameOctets = 0;
  /** Where the last compressed name pointed, and its octets: most records of an answer share an owner. */
  lastTarget = -1;
  lastOctets = 0;
  /** The first thing that was wrong, and where, from the start of the message. */
  malformedReason: DecodeReason | undefined = undefined;
  malformedOffset = -1;

  /** Budgets as at the start of a message. */
  refill(): void {
    this.nameBudget = NAME_BUDGET;
    this.partBudget = PART_BUDGET;
    this.lastTarget = -1;
  }

  /** Notes what is wrong at an index, unless something was before. @returns false, for the caller to return */
  fail(reason: DecodeReason, at: number): false {
    if (this.malformedReason === undefined) {
      this.malformedReason = reason;
      this.malformedOffset = at - this.base;
    }
    return false;
  }
}

/** 16 bits, network order. The caller has checked that they are there. */
export function readU16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}

/** 32 bits, network order, unsigned. The caller has checked that they are there. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset) * 65_536 + readU16(bytes, offset + 2);
}
