/**
 * The identity that an application publishes in its own memory: OTEP 4719, "Process Context". A mapping called OTEL_CTX
 * holds a header (32 bytes, native byte order), the header points to a protobuf message anywhere in the process:
 *
 *   0 char[8] "OTEL_CTX" | 8 u32 version, 2 | 12 u32 payload size | 16 u64 time of publication, 0 = being changed | 24 u64 payload
 *
 * All of it is hostile: a process can publish what it likes, change it meanwhile, and point anywhere in itself.
 */
import { endianness } from 'node:os';
import type { Inspector, Target } from '../../inspector/inspector.ts';
import type { Read, ReadResult } from '../../inspector/protocol.ts';
import { type Mapping, parseMaps } from './memory-map.ts';
import { decodeProcessContext, type PublishedContext } from './process-context-payload.ts';

/** As the OpenTelemetry profiler has it (processcontext.go); the OTEP sets no bound. */
export const MAX_PAYLOAD_BYTES = 65_536;
const HEADER_BYTES = 32;
const VERSION = 2;
const ATTEMPTS = 3;
/** Mappings of that name looked at: one is published, others are mistakes or malice. */
const MAX_CANDIDATES = 4;
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

/** The lines of mappings that may be one. Most processes have none: this alone is read of them. */
export const CONTEXT_MAPS = {
  kind: 'file',
  name: 'maps',
  limit: 64 * 1024,
  needles: ['OTEL_CTX'],
} as const satisfies Read;

/** EACCES of the inspector: not mapped, or memory that a file stands behind. */
const REFUSED = 13;

/** @param maps what CONTEXT_MAPS gave; undefined: it could not be read */
export async function readProcessContext(
  inspector: Pick<Inspector, 'inspect'>,
  target: Target,
  maps: Buffer | undefined,
): Promise<ContextOutcome> {
  if (maps === undefined) return { kind: 'unreadable' };
  const candidates = parseMaps(maps.toString('latin1')).filter(isContext).slice(0, MAX_CANDIDATES);
  let outcome: ContextOutcome = { kind: 'none' };
  for (const { start } of candidates) {
    outcome = await readAt(inspector, target, start);
    if (outcome.kind === 'read') break;
  }
  return outcome;
}

/**
 * Readable data under one of the three names that the OTEP gives: memfd and prctl, prctl alone, memfd alone. A name is a claim: the
 * inspector reads only what really is memory.
 */
function isContext({ name, permissions }: Mapping): boolean {
  if (!permissions.startsWith('r') || permissions[2] === 'x') return false;
  return (
    name.startsWith('[anon_shmem:OTEL_CTX]') ||
    name.startsWith('[anon:OTEL_CTX]') ||
    name.startsWith('/memfd:OTEL_CTX')
  );
}

/**
 * The order of the OTEP: time, payload, time again; equal and not 0 = nothing changed in between. All three are read in one go; where the
 * payload lies is known from a first look at the header, and must still be what the header says.
 */
async function readAt(
  inspector: Pick<Inspector, 'inspect'>,
  target: Target,
  address: bigint,
): Promise<ContextOutcome> {
  const head = { kind: 'memory', address, length: HEADER_BYTES } as const;
  const [first] = (await inspector.inspect(target, [head])) ?? [];
  const found = parseHeader(first?.bytes);
  if (found === undefined) return unreadable(first);
  let header: Header = found;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (header.signature !== 'OTEL_CTX' || header.version !== VERSION) return { kind: 'invalid' };
    const { size, payload } = header;
    if (header.time !== 0n && (size === 0 || size > MAX_PAYLOAD_BYTES)) return { kind: 'invalid' };
    const data = { kind: 'memory', address: payload, length: Math.min(size, MAX_PAYLOAD_BYTES) } as const;
    const [before, bytes, after] = (await inspector.inspect(target, [head, data, head])) ?? [];
    const [now, then] = [parseHeader(before?.bytes), parseHeader(after?.bytes)];
    if (now === undefined || then === undefined) return unreadable(before);
    const isSteady = now.time === then.time && now.time !== 0n;
    if (isSteady && now.payload === payload && now.size === size) {
      if (bytes?.bytes === undefined) return unreadable(bytes);
      const context = decodeProcessContext(bytes.bytes);
      return context === undefined ? { kind: 'invalid' } : { kind: 'read', context };
    }
    header = then;
  }
  return { kind: 'busy' };
}

function unreadable(result: ReadResult | undefined): ContextOutcome {
  return { kind: result?.error === REFUSED ? 'invalid' : 'unreadable' };
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
