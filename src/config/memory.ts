/**
 * What the agent may hold follows the memory it has: in a small control group the default sizes alone would bring the
 * kernel's out-of-memory killer. A size that somebody set stays as it is.
 */
import type { Config, Key, Origins } from './config.ts';

const MEBIBYTE = 1024 * 1024;
/** From here on the defaults fit. */
const AMPLE_BYTES = 512 * MEBIBYTE;
const ORIGIN = 'memory limit';

interface Size {
  readonly key: Key & ('ringBytes' | 'maxInFlight' | 'queueBytes');
  /** What the defaults allow for, under a limit of AMPLE_BYTES and more. */
  readonly min: number;
  readonly of: (limit: number) => number;
}

/** Parts of the limit; what is left is for the program itself, some 70 MB. A request in flight takes about 2 KB. */
const SIZES: readonly Size[] = [
  { key: 'ringBytes', min: MEBIBYTE / 2, of: (limit) => 2 ** Math.floor(Math.log2(limit / 128)) },
  { key: 'maxInFlight', min: 1024, of: (limit) => Math.floor(limit / 32_768) },
  { key: 'queueBytes', min: 4 * MEBIBYTE, of: (limit) => Math.floor(limit / 24) },
];

export interface Adapted {
  readonly config: Config;
  readonly origins: Origins;
  /** One line for the log; undefined: nothing is smaller than by default. */
  readonly note: string | undefined;
  /** What objects of JavaScript may take. */
  readonly heapBytes: number;
}

/** Of the limit. */
const HEAP_PART = 3;
const MIN_HEAP_BYTES = 32 * MEBIBYTE;

/** @param limit bytes that the control group may use (process.constrainedMemory()); 0 or huge: no limit */
export function adaptToMemory(config: Config, origins: Origins, limit: number): Adapted {
  const heapBytes = Math.max(MIN_HEAP_BYTES, Math.floor(limit / HEAP_PART));
  if (limit <= 0 || limit >= AMPLE_BYTES) return { config, origins, note: undefined, heapBytes };
  const smaller = SIZES.filter(({ key }) => origins[key] === 'default').map(
    ({ key, min, of }) => [key, Math.min(config[key], Math.max(min, of(limit)))] as const,
  );
  const said = smaller.map(([key, value]) => `${key} ${value}`).join(', ');
  return {
    heapBytes,
    config: Object.freeze({ ...config, ...Object.fromEntries(smaller) }),
    origins: { ...origins, ...Object.fromEntries(smaller.map(([key]) => [key, ORIGIN])) },
    note:
      smaller.length === 0
        ? undefined
        : `the control group has ${Math.round(limit / MEBIBYTE)} MiB of memory: ${said}`,
  };
}
