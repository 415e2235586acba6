/** Compression of requests, off the event loop: zlib uses the thread pool. */
import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import type { OtlpTarget } from './target.ts';

const COMPRESSORS = { gzip: promisify(gzip), zstd: promisify(zstdCompress) } as const;

/** The bytes as they are with `none`. */
export async function compressed(
  data: Uint8Array,
  compression: OtlpTarget['compression'],
): Promise<Uint8Array> {
  return compression === 'none' ? data : COMPRESSORS[compression](data);
}
