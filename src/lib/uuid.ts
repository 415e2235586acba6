/**
 * UUID version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, 74 random bits. Random bytes are drawn from the
 * kernel in blocks, which makes one identifier cost well under a microsecond.
 */
import { randomFillSync } from 'node:crypto';

export const UUID_BYTES = 16;
const RANDOM_BYTES = 10;
const pool = new Uint8Array(RANDOM_BYTES * 512);
let used = pool.length;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const scratch = new Uint8Array(UUID_BYTES);

/** Writes a new identifier. @param time Unix milliseconds, 0 to 2^48 - 1 */
export function putUuidV7(target: Uint8Array, at: number, time: number): void {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const high = Math.floor(time / 0x1_0000);
  target[at] = high >>> 24;
  target[at + 1] = high >>> 16;
  target[at + 2] = high >>> 8;
  target[at + 3] = high;
  target[at + 4] = time / 256;
  target[at + 5] = time;
  for (let i = 0; i < RANDOM_BYTES; i++) target[at + 6 + i] = pool[used + i] as number;
  used += RANDOM_BYTES;
  target[at + 6] = 0x70 | ((target[at + 6] as number) & 0x0f);
  target[at + 8] = 0x80 | ((target[at + 8] as number) & 0x3f);
}

/** A new identifier. @param time Unix milliseconds, 0 to 2^48 - 1 */
export function uuidV7(time: number): string {
  putUuidV7(scratch, 0, time);
  return uuidText(scratch);
}

/** Sixteen bytes as text. */
export function uuidText(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < UUID_BYTES; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
    text += HEX[bytes[i] as number];
  }
  return text;
}
