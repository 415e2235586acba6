/** `replay`: the lookups in a capture file, which needs no rights. */
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Agent } from '../agent.ts';
import type { Capture, LookupOptions } from './options.ts';
import { configOf, LookupStream } from './stream.ts';

export interface ReplayOptions extends LookupOptions {}

/** What can be read as a capture file: a path, or its bytes. */
export type CaptureFile = string | URL | AsyncIterable<Uint8Array>;

/**
 * The lookups in a capture file (pcap or pcapng, plain or packed with gzip or zstd), as fast as the program takes them: nothing is dropped.
 * No process is known. A stream is read as it comes: a lookup is given when its answer is there.
 * @throws CaptureError (by the iterator and by `ready`): `file`, `rights`, `options`; `damaged` after the last lookup that could be read
 */
export function replay(file: CaptureFile, options: ReplayOptions = {}): Capture {
  return new LookupStream({
    options,
    queueSize: Number.POSITIVE_INFINITY,
    durationMs: undefined,
    otherwise: 'file',
    open: (parts) => Agent.create({ ...parts, config: configOf('replay', options), file: inputOf(file) }),
  });
}

/** `-` is a file like others here. */
function inputOf(file: CaptureFile): string | Readable {
  if (file instanceof URL) return fileURLToPath(file);
  if (typeof file === 'string') return file === '-' ? './-' : file;
  return file instanceof Readable ? file : Readable.from(file, { objectMode: false });
}
