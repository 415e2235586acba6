/**
 * The segments of a spool: written at one end, read once from the other, removed when everything in them is delivered or when
 * the bound is passed. Only sums are kept in memory, whatever the disk holds.
 *
 * Writing is synchronous, into the page cache: a request a second, some milliseconds (docs/faults.md). A segment is synced
 * (fdatasync, in a thread) when it is full: losing power can cost the requests of the newest segments, ending the agent none.
 */
import { close, closeSync, fdatasync, lstatSync, readdirSync, unlinkSync } from 'node:fs';
import { isTrusted } from '../../lib/safe-path.ts';
import type { FailureReporter } from './failure-reporter.ts';
import type { SealedRequest } from './request-store.ts';
import { type Found, HEADER, MAX_PAYLOAD, type Memory, onlyChecked, SegmentFile } from './spool-segment.ts';

const SEGMENTS = 16;
const SEGMENT_BYTES = 8 * 1024 * 1024;

export interface SpoolDamage {
  /** Stretches of bytes that are no intact request. */
  readonly stretches: number;
  readonly bytes: number;
  /** Records known to have been in them; a frame without intact header cannot say. */
  readonly records: number;
}

/** Where a request is. */
export interface Place {
  readonly segment: Segment;
  readonly at: number;
}

export interface Segment {
  readonly file: SegmentFile;
  size: number;
  /** Records and payload bytes that were not read yet. */
  waitingRecords: number;
  waitingBytes: number;
  /** Offsets of requests that were read and are not done. */
  readonly out: Set<number>;
  /** It could not be read: the file stays, for the next start or for the bound. */
  kept: boolean;
  /** Its file is gone. */
  removed: boolean;
}

export class SpoolDisk {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #reporter: FailureReporter;
  /** Oldest first; `#writer` appends to the last one. */
  readonly #segments: Segment[] = [];
  #writer: number | undefined;
  #nextId = 1;
  #reading: Place | undefined;
  #lost = { full: 0, damaged: 0 };
  #bytes = 0;
  #damage = { stretches: 0, bytes: 0, records: 0 };
  readonly #syncs = new Set<Promise<void>>();

  /** Reads and checks what an earlier run left. @throws the system's error when the directory cannot be read */
  constructor(directory: string, maxBytes: number, reporter: FailureReporter) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#reporter = reporter;
    const memory = onlyChecked();
    const files = readdirSync(directory).flatMap((name) => SegmentFile.named(directory, name) ?? []);
    for (const file of files.sort((a, b) => a.id - b.id)) this.#restore(file, memory);
    this.#keepWithin(maxBytes);
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#bytes;
  }

  get damage(): SpoolDamage {
    return { ...this.#damage };
  }

  /** Not read yet. */
  get waiting(): { readonly records: number; readonly bytes: number } {
    const sum = { records: 0, bytes: 0 };
    for (const { waitingRecords, waitingBytes } of this.#segments) {
      sum.records += waitingRecords;
      sum.bytes += waitingBytes;
    }
    return sum;
  }

  /** Records lost to damage and to the bound that were not told yet. */
  get lost(): number {
    return this.#lost.full + this.#lost.damaged;
  }

  tellLost(): { readonly full: number; readonly damaged: number } {
    const lost = this.#lost;
    this.#lost = { full: 0, damaged: 0 };
    return lost;
  }

  /** Appends; false when the disk does not take it. The oldest segments make room. */
  append(request: SealedRequest): boolean {
    const size = HEADER + request.bytes.length;
    if (request.bytes.length > MAX_PAYLOAD || size > this.#maxBytes) return false;
    this.#keepWithin(this.#maxBytes - size);
    const newest = this.#segments.at(-1);
    const max = Math.min(SEGMENT_BYTES, this.#maxBytes / SEGMENTS);
    if (newest !== undefined && newest.size + size > max) this.#endSegment();
    return this.#attempt(() => this.#write(request, size)) ?? false;
  }

  /** The next request that was never read; undefined when there is none. */
  next(): { readonly request: SealedRequest; readonly place: Place } | undefined {
    for (;;) {
      const first = this.#segments[0];
      if (first === undefined) return undefined;
      this.#reading ??= { segment: first, at: 0 };
      const { segment } = this.#reading;
      const found = this.#readFrom(this.#reading);
      if (found !== undefined) return found;
      const following = this.#segments[this.#segments.indexOf(segment) + 1];
      if (following === undefined && segment.waitingRecords === 0) return undefined;
      if (following === undefined) this.#endSegment();
      else this.#reading = { segment: following, at: 0 };
      const { waitingBytes } = segment;
      const records = this.#giveUp(segment, 'damaged');
      if (records > 0 && !segment.kept) this.#countDamage(segment, waitingBytes, records);
      if (this.#isFinished(segment)) this.#remove(segment);
    }
  }

  /** The request there is settled: a later run does not find it again. */
  done({ segment, at }: Place): void {
    if (segment.removed) return;
    segment.out.delete(at);
    if (this.#isFinished(segment)) this.#remove(segment);
    else this.#attempt(() => segment.file.markDone(at));
  }

  async close(): Promise<void> {
    this.#endSegment();
    for (const { file } of this.#segments) file.close();
    await Promise.all(this.#syncs);
  }

  #restore(file: SegmentFile, memory: Memory): void {
    const stat = lstatSync(file.path, { throwIfNoEntry: false });
    if (stat?.isFile() !== true || !isTrusted(stat.uid)) return; // not ours
    const segment = newSegment(file, stat.size);
    this.#nextId = Math.max(this.#nextId, file.id + 1);
    this.#segments.push(segment);
    this.#bytes += segment.size;
    // A file larger than any we write is not read: it would keep the agent from starting.
    const isReadable = segment.size <= Math.max(this.#maxBytes, SEGMENT_BYTES + MAX_PAYLOAD);
    const isRead = isReadable && this.#attempt(() => this.#count(segment, memory));
    file.close();
    if (isRead === undefined) segment.kept = true;
    else if (!isReadable) this.#countDamage(segment, segment.size, 0);
    if (this.#isFinished(segment)) this.#remove(segment);
  }

  #count(segment: Segment, memory: Memory): true {
    for (let at = 0; ; ) {
      const { frame, next, damagedBytes, damagedRecords } = segment.file.find(at, memory);
      if (damagedBytes > 0) this.#countDamage(segment, damagedBytes, damagedRecords);
      this.#lost.damaged += damagedRecords;
      if (frame === undefined) return true;
      if (!frame.done) add(segment, frame.request);
      at = next;
    }
  }

  #readFrom(from: Place): { readonly request: SealedRequest; readonly place: Place } | undefined {
    const { segment } = from;
    for (let { at } = from; at < segment.size && segment.waitingRecords > 0; ) {
      const found: Found | undefined = this.#attempt(() => segment.file.find(at));
      if (found === undefined) {
        segment.kept = true;
        return undefined;
      }
      const { frame, next } = found;
      at = next;
      this.#reading = { segment, at };
      if (frame === undefined) return undefined; // the file may be shorter than it was
      if (frame.done || frame.request.records > segment.waitingRecords) continue;
      segment.waitingRecords -= frame.request.records;
      segment.waitingBytes -= frame.request.bytes.length;
      segment.out.add(frame.at);
      return { request: frame.request, place: { segment, at: frame.at } };
    }
    return undefined;
  }

  #write(request: SealedRequest, size: number): true {
    this.#writer ??= this.#startSegment();
    const segment = this.#segments.at(-1) as Segment;
    try {
      segment.file.append(this.#writer, request, segment.size);
    } catch (error) {
      this.#endSegment();
      throw error;
    }
    segment.size += size;
    this.#bytes += size;
    add(segment, request);
    this.#reporter.succeeded();
    return true;
  }

  #startSegment(): number {
    const { file, fd } = SegmentFile.create(this.#directory, this.#nextId++);
    this.#segments.push(newSegment(file, 0));
    return fd;
  }

  /** Nothing more is appended to the newest segment. */
  #endSegment(): void {
    const fd = this.#writer;
    const segment = this.#segments.at(-1);
    if (fd === undefined || segment === undefined) return;
    this.#writer = undefined;
    if (this.#isFinished(segment)) {
      closeSync(fd);
      this.#remove(segment);
      return;
    }
    const synced = new Promise<void>((resolve) => {
      fdatasync(fd, () => close(fd, () => resolve()));
    }).then(() => void this.#syncs.delete(synced));
    this.#syncs.add(synced);
  }

  #keepWithin(maxBytes: number): void {
    while (this.#bytes > maxBytes) {
      const oldest = this.#segments[0] as Segment; // bytes are the sum of the segments: there is one
      if (this.#segments.length === 1) this.#endSegment();
      if (oldest.removed) continue;
      const records = this.#giveUp(oldest, 'full');
      if (records > 0) this.#reporter.failed(records, 'the spool is full, the oldest records go');
      this.#remove(oldest);
    }
  }

  /** What nobody read is lost. */
  #giveUp(segment: Segment, why: 'full' | 'damaged'): number {
    const { waitingRecords } = segment;
    this.#lost[why] += waitingRecords;
    segment.waitingRecords = 0;
    segment.waitingBytes = 0;
    return waitingRecords;
  }

  #isFinished(segment: Segment): boolean {
    const isWritten = this.#writer !== undefined && segment === this.#segments.at(-1);
    const { waitingRecords, out, kept, removed } = segment;
    return waitingRecords === 0 && out.size === 0 && !kept && !removed && !isWritten;
  }

  #remove(segment: Segment): void {
    const index = this.#segments.indexOf(segment);
    this.#segments.splice(index, 1);
    segment.removed = true;
    this.#bytes -= segment.size;
    segment.file.close();
    this.#attempt(() => unlinkSync(segment.file.path));
    if (this.#reading?.segment !== segment) return;
    const following = this.#segments[index];
    this.#reading = following === undefined ? undefined : { segment: following, at: 0 };
  }

  #countDamage({ file }: Segment, bytes: number, records: number): void {
    this.#damage.stretches++;
    this.#damage.bytes += bytes;
    this.#damage.records += records;
    this.#reporter.failed(records, `${file.path}: ${bytes} bytes are damaged and skipped`);
  }

  /** A disk that fails is said once a minute and never stops the agent. */
  #attempt<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      this.#reporter.failed(0, `${this.#directory}: ${(error as Error).message}`);
      return undefined;
    }
  }
}

function newSegment(file: SegmentFile, size: number): Segment {
  return { file, size, waitingRecords: 0, waitingBytes: 0, out: new Set(), kept: false, removed: false };
}

function add(segment: Segment, { records, bytes }: SealedRequest): void {
  segment.waitingRecords += records;
  segment.waitingBytes += bytes.length;
}
