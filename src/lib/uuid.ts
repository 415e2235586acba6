/**
 * UUID version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, 74 random bits. Random bytes are drawn from the
 * kernel in blocks, which makes one identifier cost well under a microsecond.
 */
import { randomFillSync } from 'node:crypto';

const BYTES_EACH = 10;
const pool = new Uint8Array(BYTES_EACH * 512);
let used = pool.length;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function hex(byte: number): string {
  return HEX[byte & 0xff] as string;
}

/** A new identifier. @param time Unix milliseconds, 0 to 2^48 - 1 */
export function uuidV7(time: number): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const at = used;
  used += BYTES_EACH;
  const random = (i: number): number => pool[at + i] as number;
  const stamp = Math.trunc(time).toString(16).padStart(12, '0').slice(-12);
  return (
    `${stamp.slice(0, 8)}-${stamp.slice(8)}` +
    `-${hex(0x70 | (random(0) & 0x0f))}${hex(random(1))}` +
    `-${hex(0x80 | (random(2) & 0x3f))}${hex(random(3))}` +
    `-${hex(random(4))}${hex(random(5))}${hex(random(6))}${hex(random(7))}${hex(random(8))}${hex(random(9))}`
  );
}
