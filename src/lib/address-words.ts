/**
 * Addresses as four 32-bit words: sixteen bytes in network order as they lie in memory, IPv4 as ::ffff:a.b.c.d (RFC 4291 section
 * 2.5.5.2). Texts come from a small cache: most messages are of few addresses.
 */
import { formatIPv4, formatIPv6, isV4Mapped, parseAddress } from './address.ts';

/** Texts kept: a power of two. A collision overwrites, and costs one more formatting. */
const SLOTS = 4096;
/** Addresses given as text whose words are kept. */
const MAX_TEXTS = 4096;

const keys = new Int32Array(4 * SLOTS);
const texts = new Array<string>(SLOTS).fill('::');
const scratch = new Int32Array(4);
const scratchBytes = new Uint8Array(scratch.buffer);
const known = new Map<string, Int32Array>();

/** Presentation form (model.ts, Endpoint) of the address in four words. */
export function addressText(words: Int32Array, at: number): string {
  const slot = hashAddress(words, at) & (SLOTS - 1);
  const key = 4 * slot;
  if (!isSameAddress(words, at, keys, key)) {
    for (let i = 0; i < 4; i++) {
      keys[key + i] = words[at + i] as number;
      scratch[i] = words[at + i] as number;
    }
    texts[slot] = isV4Mapped(scratchBytes, 0) ? formatIPv4(scratchBytes, 12) : formatIPv6(scratchBytes, 0);
  }
  return texts[slot] as string;
}

export function isSameAddress(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  return (
    a[aAt] === b[bAt] && a[aAt + 1] === b[bAt + 1] && a[aAt + 2] === b[bAt + 2] && a[aAt + 3] === b[bAt + 3]
  );
}

const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** fe80::/10, and multicast of interface and link scope (RFC 4291 sections 2.5.6 and 2.7): they mean something on one link only. */
export function needsZone(words: Int32Array, at: number): boolean {
  const word = words[at] as number;
  const first = LITTLE ? word & 0xff : word >>> 24;
  if (first !== 0xfe && first !== 0xff) return false;
  const second = LITTLE ? (word >> 8) & 0xff : (word >> 16) & 0xff;
  if (first === 0xfe) return (second & 0xc0) === 0x80;
  return (second & 15) === 1 || (second & 15) === 2;
}

/** 32 bits, not seeded. */
export function hashAddress(words: Int32Array, at: number): number {
  const low = Math.imul(
    (words[at + 2] as number) ^ Math.imul(words[at + 3] as number, 0x9e3779b1),
    0xc2b2ae35,
  );
  const hash = Math.imul(
    (words[at] as number) ^ Math.imul((words[at + 1] as number) ^ low, 0x85ebca6b),
    0x27d4eb2f,
  );
  return hash ^ (hash >>> 15);
}

/** The words of an address in presentation form; of what is none, those of `::`. */
export function putAddress(words: Int32Array, at: number, text: string): void {
  const found = known.get(text) ?? remember(text);
  for (let i = 0; i < 4; i++) words[at + i] = found[i] as number;
}

function remember(text: string): Int32Array {
  const address = new Int32Array(4);
  const bytes = parseAddress(text);
  if (bytes !== undefined) new Uint8Array(address.buffer).set(bytes);
  if (known.size >= MAX_TEXTS) known.clear();
  known.set(text, address);
  return address;
}
