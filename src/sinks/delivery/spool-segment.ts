/**
 * One file of the spool: frames one after the other, each found again whatever happened to the bytes before it.
 *
 *     frame  = marker 8 | state u32 | length u32 | records u32 | resources u32 | crc32 of the payload | crc32 of the header | payload
 *     header = marker, length, records, resources, crc32 of the payload; numbers are little-endian
 *
 * The marker is the file's own, random, and kept in its name: what an attacker puts into a DNS name cannot pass for a frame
 * when damage makes the reader look for the next one, and no byte of the file is needed to read the rest of it. The state is
 * the only thing that changes later, in place; it takes all four bytes of DONE to make a frame count as delivered.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { SealedRequest } from './request-store.ts';

export const HEADER = 32;
/** Frames are at most this long: gRPC servers take 4 MiB, a server told to take more gets no larger ones from us. */
export const MAX_PAYLOAD = 16 * 1024 * 1024;
const MARKER = 8;
const STATE_AT = 8;
const PENDING = Buffer.from('wait');
const DONE = Buffer.from('DONE');
const NAME = /^([0-9a-f]{12})-([0-9a-f]{16})\.segment$/;
/** Bytes looked through at once for the next marker. */
const LEAST_WINDOW = 512;
const MAX_WINDOW = 256 * 1024;
/** Failed payload checks may cost this many times the file: a made-up file must not keep the agent busy for hours. */
const WORK = 4;

export interface Frame {
  readonly at: number;
  readonly request: SealedRequest;
  readonly done: boolean;
}

/** What stands between an offset and the next intact frame. */
export interface Found {
  readonly frame: Frame | undefined;
  /** Where to go on. */
  readonly next: number;
  /** Bytes that belong to no intact frame. */
  readonly damagedBytes: number;
  /** Records of damaged frames whose header is intact. */
  readonly damagedRecords: number;
}

/** Gives the buffer for a payload of that length. */
export type Memory = (length: number) => Buffer<ArrayBuffer>;

/** One buffer for all payloads, gone with the next: a full spool that is checked must not pass through the heap. */
export function onlyChecked(): Memory {
  let buffer = Buffer.alloc(0);
  return (length) => {
    if (length > buffer.length) buffer = Buffer.allocUnsafeSlow(Math.max(length, 2 * buffer.length));
    return buffer.subarray(0, length);
  };
}

export class SegmentFile {
  readonly id: number;
  readonly path: string;
  readonly #marker: Buffer;
  #fd: number | undefined;

  private constructor(directory: string, id: number, marker: string) {
    this.id = id;
    this.path = join(directory, `${id.toString(16).padStart(12, '0')}-${marker}.segment`);
    this.#marker = Buffer.from(marker, 'hex');
  }

  /** The segment of that file name; undefined if it is none. */
  static named(directory: string, name: string): SegmentFile | undefined {
    const [, id, marker] = NAME.exec(name) ?? [];
    return id === undefined || marker === undefined
      ? undefined
      : new SegmentFile(directory, Number.parseInt(id, 16), marker);
  }

  /** Creates the file (mode 0600) and gives its descriptor for appending. @throws the system's error */
  static create(directory: string, id: number): { readonly file: SegmentFile; readonly fd: number } {
    const file = new SegmentFile(directory, id, randomBytes(MARKER).toString('hex'));
    const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND } = constants;
    return { file, fd: openSync(file.path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0o600) };
  }

  /**
   * Appends a frame to the file, which has that size. Half a frame is taken back; where that fails too the reader skips it.
   * @param fd from `create` @throws the system's error
   */
  append(fd: number, request: SealedRequest, size: number): void {
    try {
      writeAll(fd, this.#header(request));
      writeAll(fd, request.bytes);
    } catch (error) {
      try {
        ftruncateSync(fd, size);
      } catch {
        // as said
      }
      throw error;
    }
  }

  #header({ bytes, records, resourceCount }: SealedRequest): Buffer {
    const header = Buffer.alloc(HEADER);
    this.#marker.copy(header);
    PENDING.copy(header, STATE_AT);
    header.writeUInt32LE(bytes.length, 12);
    header.writeUInt32LE(records, 16);
    header.writeUInt32LE(resourceCount, 20);
    header.writeUInt32LE(crc32(bytes), 24);
    header.writeUInt32LE(this.#checksum(header), 28);
    return header;
  }

  /**
   * The next intact frame at or after `from`.
   * @param memory gives the buffer for a payload; the frame's request is made of it
   * @throws the system's error when the file cannot be read
   */
  find(from: number, memory: Memory = Buffer.allocUnsafeSlow): Found {
    const fd = this.#open();
    const size = fstatSync(fd).size;
    let at = from;
    let damagedRecords = 0;
    let work = size * WORK;
    while (at + HEADER <= size && work >= 0) {
      const header = this.#read(fd, at, Buffer.allocUnsafe(HEADER));
      const length = this.#lengthIn(header);
      if (length !== undefined) {
        const records = header.readUInt32LE(16);
        const done = header.subarray(STATE_AT, STATE_AT + DONE.length).equals(DONE);
        const end = at + HEADER + length;
        const bytes = end <= size ? this.#read(fd, at + HEADER, memory(length)) : undefined;
        if (bytes !== undefined && crc32(bytes) === header.readUInt32LE(24)) {
          const request = { bytes, records, resourceCount: header.readUInt32LE(20) };
          return { frame: { at, request, done }, next: end, damagedBytes: at - from, damagedRecords };
        }
        work -= length;
        if (!done) damagedRecords += records;
      }
      at = this.#nextMarker(fd, at + 1, size);
    }
    return { frame: undefined, next: size, damagedBytes: Math.max(size - from, 0), damagedRecords };
  }

  /** The frame is delivered: not given again after a restart. @throws the system's error */
  markDone(at: number): void {
    writeSync(this.#open(), DONE, 0, DONE.length, at + STATE_AT);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #open(): number {
    this.#fd ??= openSync(this.path, constants.O_RDWR | constants.O_NOFOLLOW);
    return this.#fd;
  }

  #checksum(header: Buffer): number {
    return crc32(header.subarray(12, 28), crc32(this.#marker));
  }

  /** Payload bytes after an intact, plausible header. */
  #lengthIn(header: Buffer): number | undefined {
    if (!header.subarray(0, MARKER).equals(this.#marker)) return undefined;
    if (header.readUInt32LE(28) !== this.#checksum(header)) return undefined;
    const length = header.readUInt32LE(12);
    const records = header.readUInt32LE(16);
    // A record takes at least two bytes of protocol buffers: no count is believed that the bytes cannot hold.
    const plausible = length <= MAX_PAYLOAD && records > 0 && records <= length;
    return plausible && header.readUInt32LE(20) <= length ? length : undefined;
  }

  #nextMarker(fd: number, from: number, size: number): number {
    // Small steps first: where every marker is followed by damage the same bytes are not read over and over.
    for (let at = from, window = LEAST_WINDOW; at + HEADER <= size; at += window - MARKER + 1) {
      window = Math.min(window * 2, MAX_WINDOW);
      const found = this.#read(fd, at, Buffer.allocUnsafe(Math.min(window, size - at))).indexOf(this.#marker);
      if (found >= 0) return at + found;
    }
    return size;
  }

  /** Fills the buffer. What the file no longer has is zeros: it shrank meanwhile, the checksums notice. */
  #read(fd: number, at: number, into: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
    for (let got = 0; got < into.length; ) {
      const count = readSync(fd, into, got, into.length - got, at + got);
      if (count === 0) return into.fill(0, got);
      got += count;
    }
    return into;
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
}
