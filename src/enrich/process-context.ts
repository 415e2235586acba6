/**
 * The identity that an application publishes in its own memory: OTEP 4719, "Process Context". A mapping called OTEL_CTX
 * holds a header (32 bytes, native byte order), the header points to a protobuf message anywhere in the process:
 *
 *   0 char[8] "OTEL_CTX" | 8 u32 version, 2 | 12 u32 payload size | 16 u64 time of publication, 0 = being changed | 24 u64 payload
 *
 * All of it is hostile: a process can publish what it likes, change it meanwhile, and point anywhere in itself.
 */
import { endianness } from 'node:os';
import { isPlainMemory, MAPS_BYTES, type Mapping, parseMaps } from './memory-map.ts';
import type { ProcDirectory } from './proc.ts';
import { decodeProcessContext, type PublishedContext } from './process-context-payload.ts';

/** As the OpenTelemetry profiler has it (processcontext.go); the OTEP sets no bound. */
export const MOST_PAYLOAD_BYTES = 65_536;
const HEADER_BYTES = 32;
const VERSION = 2;
const ATTEMPTS = 3;
/** Mappings of that name looked at: one is published, others are mistakes or malice. */
const MOST_CANDIDATES = 4;
const LITTLE = endianness() === 'LE';

export type ContextOutcome =
  | { readonly kind: 'read'; readonly context: PublishedContext }
  /** Nothing is published. */
  | { readonly kind: 'none' }
  /** It was being changed each time it was looked at. */
  | { readonly kind: 'busy' }
  /** Not what the OTEP describes, or above a bound. */
  | { readonly kind: 'invalid' }
  /** The process is gone, or reading its memory is not permitted. */
  | { readonly kind: 'unreadable' };

/** Synchronous: two reads of /proc for a process without a context, some more for one with it. */
export function readProcessContext(directory: ProcDirectory): ContextOutcome {
  const maps = directory.read('maps', MAPS_BYTES);
  // An exited process has no mappings, nor has a kernel thread.
  if (maps === undefined) return { kind: 'unreadable' };
  // Most processes publish nothing: this alone is done for them.
  if (!maps.includes('OTEL_CTX')) return { kind: 'none' };
  const mappings = parseMaps(maps.toString('latin1'));
  const candidates = mappings.filter(isContext).slice(0, MOST_CANDIDATES);
  let outcome: ContextOutcome = { kind: 'none' };
  for (const { start } of candidates) {
    outcome = readAt(directory, start, mappings);
    if (outcome.kind === 'read') break;
  }
  return outcome;
}

/** Readable data under one of the three names that the OTEP gives: memfd and prctl, prctl alone, memfd alone. */
function isContext({ name, permissions }: Mapping): boolean {
  if (!permissions.startsWith('r') || permissions[2] === 'x') return false;
  return (
    name.startsWith('[anon_shmem:OTEL_CTX]') ||
    name.startsWith('[anon:OTEL_CTX]') ||
    name.startsWith('/memfd:OTEL_CTX')
  );
}

/** The order of the OTEP: time, payload, time again; equal and not 0 = nothing changed in between. */
function readAt(directory: ProcDirectory, address: bigint, mappings: readonly Mapping[]): ContextOutcome {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const header = parseHeader(directory.readAt('mem', address, HEADER_BYTES));
    if (header === undefined) return { kind: 'unreadable' };
    if (header.signature !== 'OTEL_CTX' || header.version !== VERSION) return { kind: 'invalid' };
    if (header.time === 0n) continue;
    const { size, payload } = header;
    const end = payload + BigInt(size);
    const within = mappings.some((each) => each.start <= payload && end <= each.end && isPlainMemory(each));
    if (size === 0 || size > MOST_PAYLOAD_BYTES || !within) return { kind: 'invalid' };
    const bytes = directory.readAt('mem', payload, size);
    const after = parseHeader(directory.readAt('mem', address, HEADER_BYTES));
    if (bytes === undefined || after === undefined) return { kind: 'unreadable' };
    if (after.time !== header.time) continue;
    const context = decodeProcessContext(bytes);
    return context === undefined ? { kind: 'invalid' } : { kind: 'read', context };
  }
  return { kind: 'busy' };
}

interface Header {
  readonly signature: string;
  readonly version: number;
  readonly size: number;
  readonly time: bigint;
  readonly payload: bigint;
}

function parseHeader(bytes: Buffer | undefined): Header | undefined {
  if (bytes === undefined || bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  return {
    signature: bytes.toString('latin1', 0, 8),
    version: view.getUint32(8, LITTLE),
    size: view.getUint32(12, LITTLE),
    time: view.getBigUint64(16, LITTLE),
    payload: view.getBigUint64(24, LITTLE),
  };
}
