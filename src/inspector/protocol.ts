/** What is said to build/whodns-inspector: native/inspector/protocol.h in bytes. Numbers are of this machine's byte order. */
import { endianness } from 'node:os';

/** Field 22 of /proc/PID/stat counts USER_HZ, 100 on every architecture that Node runs on (include/uapi/asm-generic/param.h). */
export const NS_PER_TICK = 10_000_000n;
/** Instead of a start time: whoever has the pid. */
export const ANYONE = (1n << 64n) - 1n;
/** Workers at once, stuck ones included. */
export const PLACES = 8;
export const HEAD_BYTES = 8;
/** Processes in one question which of them still exist. */
export const MAX_ALIVE = 1024;
/** The inspector takes no longer message. */
export const MAX_REQUEST_BYTES = 64 * 1024;

const LITTLE = endianness() === 'LE';
const KIND = { inspect: 1, alive: 2 } as const;
const OPERATION = {
  file: 1,
  link: 2,
  inode: 3,
  memory: 4,
  rootFile: 5,
  rootInode: 6,
  sockets: 7,
} as const;
const INSPECT_BYTES = 24;
const DEVICE_BYTES = 8;
const READ_BYTES = 24;
const ALIVE_BYTES = 8;
const PROCESS_BYTES = 16;

/** Of a file system: `major` and `minor` of its device. */
export interface Device {
  readonly major: number;
  readonly minor: number;
}

/** One thing to be read of a process. Names are relative to its directory in /proc; paths are below its root. */
export type Read =
  /** At most `limit` bytes of a file; with `needles` those of its lines that hold one of them. */
  | {
      readonly kind: 'file';
      readonly name: string;
      readonly limit: number;
      readonly needles?: readonly string[];
    }
  /** Target of a symbolic link. */
  | { readonly kind: 'link'; readonly name: string }
  /** What a link leads to: `inodeOf` of the result. */
  | { readonly kind: 'inode'; readonly name: string }
  /** `length` bytes of its memory. EACCES: not mapped, or a file stands behind it of a file system that was not named. */
  | { readonly kind: 'memory'; readonly address: bigint; readonly length: number }
  /** At most `limit` bytes of a regular file; links are followed below that root. */
  | { readonly kind: 'rootFile'; readonly path: string; readonly limit: number }
  /** Of whatever is there, links themselves: `inodeOf` of the result. */
  | { readonly kind: 'rootInode'; readonly path: string }
  /** Inodes of the sockets among its first `limit` descriptors: `socketsOf` of the result. */
  | { readonly kind: 'sockets'; readonly limit: number };

export interface ReadResult {
  /** undefined: it could not be read. */
  readonly bytes: Buffer | undefined;
  /** Why not (errno(3), positive); else 0. */
  readonly error: number;
}

export interface InspectRequest {
  readonly pid: number;
  /** Or ANYONE. */
  readonly startTicks: bigint;
  /** Inode; 0: whichever. */
  readonly mountNamespace: number;
  /** File systems whose mapped files may be read as memory. */
  readonly devices: readonly Device[];
  readonly reads: readonly Read[];
}

export function encodeInspect({ reads, devices, ...process }: InspectRequest): Buffer {
  const texts = reads.map((read) => ({
    read,
    name: Buffer.from(`${nameOf(read)}\0`, 'utf8'),
    needles: Buffer.from(
      read.kind === 'file' ? (read.needles ?? []).map((each) => `${each}\0`).join('') : '',
      'latin1',
    ),
  }));
  const size = texts.reduce((sum, { name, needles }) => sum + READ_BYTES + name.length + needles.length, 0);
  const bytes = Buffer.alloc(INSPECT_BYTES + devices.length * DEVICE_BYTES + size);
  const view = viewOf(bytes);
  view.setUint8(0, KIND.inspect);
  view.setUint8(1, reads.length);
  view.setUint16(2, devices.length, LITTLE);
  view.setUint32(4, process.pid, LITTLE);
  view.setBigUint64(8, process.startTicks, LITTLE);
  view.setBigUint64(16, BigInt(process.mountNamespace), LITTLE);
  let at = INSPECT_BYTES;
  for (const { major, minor } of devices) {
    view.setUint32(at, major, LITTLE);
    view.setUint32(at + 4, minor, LITTLE);
    at += DEVICE_BYTES;
  }
  for (const { read, name, needles } of texts) {
    view.setUint8(at, OPERATION[read.kind]);
    view.setUint16(at + 2, name.length, LITTLE);
    view.setUint16(at + 4, needles.length, LITTLE);
    view.setUint32(at + 8, limitOf(read), LITTLE);
    view.setBigUint64(at + 16, read.kind === 'memory' ? read.address : 0n, LITTLE);
    at += READ_BYTES;
    at += name.copy(bytes, at);
    at += needles.copy(bytes, at);
  }
  return bytes;
}

/** undefined: the process is gone, another has its pid or the answer is damaged. */
export function decodeInspect(answer: Buffer, count: number): readonly ReadResult[] | undefined {
  if (answer.length < 4 || int32(answer, 0) !== 0) return undefined;
  const results: ReadResult[] = [];
  for (let at = 4; at + 4 <= answer.length && results.length < count; ) {
    const length = int32(answer, at);
    at += 4;
    if (length < 0) results.push({ bytes: undefined, error: -length });
    else results.push({ bytes: answer.subarray(at, at + length), error: 0 });
    at += Math.max(length, 0);
  }
  return results.length === count ? results : undefined;
}

export function encodeAlive(
  processes: readonly { readonly pid: number; readonly startTicks: bigint }[],
): Buffer {
  const bytes = Buffer.alloc(ALIVE_BYTES + processes.length * PROCESS_BYTES);
  const view = viewOf(bytes);
  view.setUint8(0, KIND.alive);
  view.setUint16(2, processes.length, LITTLE);
  processes.forEach(({ pid, startTicks }, index) => {
    view.setBigUint64(ALIVE_BYTES + index * PROCESS_BYTES, BigInt(pid), LITTLE);
    view.setBigUint64(ALIVE_BYTES + index * PROCESS_BYTES + 8, startTicks, LITTLE);
  });
  return bytes;
}

export function decodeAlive(answer: Buffer): readonly boolean[] {
  return [...answer].map((byte) => byte !== 0);
}

/** The head of a message; the size is that of what follows. */
export function encodeHead(size: number, place: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, size, LITTLE);
  view.setUint32(4, place, LITTLE);
  return bytes;
}

export function decodeHead(bytes: Buffer): { readonly size: number; readonly place: number } {
  const view = viewOf(bytes);
  return { size: view.getUint32(0, LITTLE), place: view.getUint32(4, LITTLE) };
}

/** Result of the reads `inode` and `rootInode`. */
export function inodeOf(
  result: ReadResult | undefined,
): { readonly inode: bigint; readonly links: bigint } | undefined {
  if (result?.bytes?.length !== 16) return undefined;
  const view = viewOf(result.bytes);
  return { inode: view.getBigUint64(0, LITTLE), links: view.getBigUint64(8, LITTLE) };
}

/** Result of the read `sockets`; undefined: its descriptors could not be listed. */
export function socketsOf(result: ReadResult | undefined): ReadonlySet<bigint> | undefined {
  if (result?.bytes === undefined) return undefined;
  const view = viewOf(result.bytes);
  const inodes = new Set<bigint>();
  for (let at = 0; at + 8 <= view.byteLength; at += 8) inodes.add(view.getBigUint64(at, LITTLE));
  return inodes;
}

function nameOf(read: Read): string {
  const name = 'name' in read ? read.name : 'path' in read ? read.path : '';
  // What the kernel takes as a name ends there.
  return name.replace(/\0.*$/s, '');
}

function limitOf(read: Read): number {
  if ('limit' in read) return read.limit;
  return read.kind === 'memory' ? read.length : 0;
}

function int32(bytes: Buffer, at: number): number {
  return LITTLE ? bytes.readInt32LE(at) : bytes.readInt32BE(at);
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
