/** Seeded random changes to bytes: a failure is repeated with the same seed. */

/** mulberry32: 32 bits of state, enough for choosing mutations. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const EDGES = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff];

/** Octets of the DNS header, and types that change how what follows is read: SOA, OPT, SVCB. */
const HEADER = 12;
const TYPES = [6, 41, 64];

/** A changed copy of one of the seeds: bits, bytes, lengths, pointers, blocks moved or taken from another seed. */
export function mutate(random: Random, seeds: readonly Uint8Array[]): Uint8Array {
  let bytes = Uint8Array.from(random.of(seeds));
  for (let changes = 1 + random.below(4); changes > 0; changes--) bytes = change(random, bytes, seeds);
  return bytes;
}

/** A copy in which one to three bytes behind the header of a message differ: most of the framing stays. */
export function mutateGently(random: Random, seeds: readonly Uint8Array[]): Uint8Array {
  const bytes = Uint8Array.from(random.of(seeds));
  if (bytes.length <= HEADER) return bytes;
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const at = HEADER + random.below(bytes.length - HEADER);
    const old = bytes[at] as number;
    bytes[at] = random.of([random.below(256), old + 1, old - 1, random.of(EDGES), random.of(TYPES)]);
  }
  return bytes;
}

function change(
  random: Random,
  bytes: Uint8Array<ArrayBuffer>,
  seeds: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  if (bytes.length < 4) return Uint8Array.from(random.of(seeds));
  const at = random.below(bytes.length - 1);
  switch (random.below(8)) {
    case 0:
      bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      return bytes;
    case 1:
      bytes[at] = random.of(EDGES);
      return bytes;
    case 2: // a compression pointer
      bytes[at] = 0xc0 | random.below(4);
      bytes[at + 1] = random.below(256);
      return bytes;
    case 3: // a count of the header, or the flags
      bytes[Math.min(2 + random.below(10), bytes.length - 1)] = random.below(256);
      return bytes;
    case 4:
      return bytes.slice(0, at);
    case 5: {
      const other = random.of(seeds);
      const from = random.below(other.length + 1);
      const size = Math.min(random.below(200), bytes.length - at);
      bytes.set(other.subarray(from, from + size), at);
      return bytes;
    }
    case 6:
      bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
      return bytes;
    default: {
      bytes[at] = random.below(256);
      bytes[at + 1] = random.below(256);
      return bytes;
    }
  }
}
