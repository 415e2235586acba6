/** Figures over many names in fixed memory. */

/** How often each of 64 classes of characters occurred: letters, digits, `-`, `_` and the rest. */
export class Characters {
  total = 0;
  digits = 0;
  readonly #counts = new Uint32Array(CLASSES);

  add(text: string, end: number): void {
    for (let i = 0; i < end; i++) {
      const code = text.charCodeAt(i);
      if (code === DOT) continue;
      const at = classOf(code);
      if (at < 10) this.digits++;
      this.#counts[at] = (this.#counts[at] as number) + 1;
      this.total++;
    }
  }

  /** Shannon entropy in bits a character. */
  get entropy(): number {
    if (this.total === 0) return 0;
    let sum = 0;
    for (const count of this.#counts) if (count > 0) sum += count * Math.log2(count);
    return Math.log2(this.total) - sum / this.total;
  }

  clear(): void {
    this.total = 0;
    this.digits = 0;
    this.#counts.fill(0);
  }
}

const DOT = 0x2e;
const CLASSES = 64;

/** 0-9 digits, 10-35 small letters, 36-61 capitals, 62 `-` and `_`, 63 the rest. */
function classOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x61 && code <= 0x7a) return code - 0x61 + 10;
  if (code >= 0x41 && code <= 0x5a) return code - 0x41 + 36;
  return code === 0x2d || code === 0x5f ? 62 : 63;
}

const BITS = 4096;

/**
 * About how many different values were added (linear counting: Whang and others 1990): 512 bytes, some 2 % off up to a few
 * thousand. The hash is seeded: nobody can choose names that count as one.
 */
export class Distinct {
  readonly #bits = new Uint32Array(BITS / 32);
  #set = 0;

  /** True when it had certainly not been added before. */
  add(hash: number): boolean {
    const bit = hash & (BITS - 1);
    const word = this.#bits[bit >>> 5] as number;
    const mask = 1 << (bit & 31);
    if ((word & mask) !== 0) return false;
    this.#bits[bit >>> 5] = word | mask;
    this.#set++;
    return true;
  }

  get count(): number {
    if (this.#set >= BITS) return Number.POSITIVE_INFINITY;
    return -BITS * Math.log(1 - this.#set / BITS);
  }

  clear(): void {
    this.#set = 0;
    this.#bits.fill(0);
  }
}

const SEED = (Math.random() * 0x1_0000_0000) | 0;

/** Seeded hash of the first `end` characters (FNV-1a with the finalizer of MurmurHash3). */
export function hashOf(text: string, end = text.length): number {
  let hash = SEED;
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
