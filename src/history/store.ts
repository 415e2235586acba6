/**
 * The segments of a history that is written to. Each is a database of its own, an eighth of what may be kept: the oldest goes as a
 * whole, which costs nothing, and damage costs one of them. In memory they are a tenth each.
 */
import { closeSync } from 'node:fs';
import { openToAppend } from '../lib/safe-file.ts';
import { BatchReader } from './batch.ts';
import { Database, isDamage, VersionError } from './database.ts';
import {
  ageMs,
  historyBytes,
  idleMs,
  removeDamaged,
  removeSegment,
  segmentFiles,
  segmentPath,
  setAside,
} from './files.ts';
import type { SentProcess } from './process-rows.ts';
import type { Segments } from './read.ts';
import { Segment } from './rows.ts';
import { SegmentWriter } from './segment.ts';
import type { SentEvent } from './sent-event.ts';

export const MEMORY = ':memory:';

export interface StoreOptions {
  /** MEMORY, or a safe directory that is this agent's alone. */
  readonly place: string;
  /** Bytes of all files. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** Rows kept in memory, at least. */
  readonly maxRows: number;
  /** Told of what was set aside. */
  readonly warn: (message: string) => void;
}

const PARTS = 8;
const MEMORY_PARTS = 10;
const FILE_MODE = 0o600;
/** Between two looks at bytes and ages. */
const LOOK_MS = 1000;

interface Kept {
  readonly segment: Segment;
  /** undefined: in memory. */
  readonly path: string | undefined;
}

export class Store implements Segments {
  readonly #options: StoreOptions;
  readonly #processes = new Map<number, SentProcess>();
  #kept: Kept[] = [];
  /** Of another version, the oldest first: left alone until their age or the bytes end them. */
  readonly #foreign: string[] = [];
  #writer: SegmentWriter;
  #lastLook = Number.NEGATIVE_INFINITY;

  /** @throws Error: the directory cannot be read or written to */
  constructor(options: StoreOptions) {
    this.#options = options;
    if (options.place !== MEMORY) this.#openFiles();
    const newest = this.#kept.at(-1);
    this.#writer = newest === undefined ? this.#begin(1) : this.#writerOf(newest.segment);
    this.#look();
  }

  /** Bytes of all files, or of all memory. */
  get bytes(): number {
    const { place } = this.#options;
    if (place !== MEMORY) return historyBytes(place);
    return this.#kept.reduce((sum, { segment }) => sum + segment.database.bytes, 0);
  }

  all(): readonly Segment[] {
    return this.#kept.map(({ segment }) => segment);
  }

  failed(segment: Segment, error: unknown): boolean {
    const kept = this.#kept.find((each) => each.segment === segment);
    // It went while the question was on its way.
    if (kept === undefined) return true;
    if (!isDamage(error) || kept.path === undefined) return false;
    this.#setAside(kept, error);
    return true;
  }

  /** What the sender will call them. @param isFirst it begins to count again */
  learn(processes: ReadonlyMap<number, SentProcess>, isFirst: boolean): void {
    if (isFirst) {
      this.#processes.clear();
      this.#writer.forgetProcesses();
    }
    for (const [number, process] of processes) this.#processes.set(number, process);
  }

  /** All of it or nothing. @throws Error: nothing of it is kept */
  write(buffer: ArrayBuffer, count: number, events: readonly SentEvent[]): void {
    try {
      this.#writer.write(new BatchReader(buffer), count, events);
    } catch (error) {
      const newest = this.#kept.at(-1);
      if (newest?.path === undefined || !isDamage(error)) throw error;
      this.#setAside(newest, error);
      this.#writer.write(new BatchReader(buffer), count, events);
    }
    this.#bound();
  }

  close(): void {
    for (const { segment } of this.#kept.splice(0)) segment.database.close();
  }

  #openFiles(): void {
    const { place, warn } = this.#options;
    const files = segmentFiles(place);
    for (const { number, path } of files)
      try {
        const isNewest = number === files.at(-1)?.number;
        const database = isNewest ? Database.open(path) : Database.read(path);
        // What is written to has to be whole; of the others it shows when they are read.
        if (isNewest) checkWhole(database);
        this.#kept.push({ segment: new Segment(number, database), path });
      } catch (error) {
        if (error instanceof VersionError) {
          this.#foreign.push(path);
          warn(`${path} ${error.message}: it is left alone until its room is needed`);
        } else if (isDamage(error)) warn(`${path} is damaged (${text(error)}): ${setAside(place, path)}`);
        else throw error;
      }
  }

  #begin(number: number): SegmentWriter {
    const { place } = this.#options;
    if (place === MEMORY) {
      const segment = new Segment(number, Database.open(MEMORY));
      this.#kept.push({ segment, path: undefined });
      return this.#writerOf(segment);
    }
    const used = segmentFiles(place).at(-1)?.number ?? 0;
    const path = segmentPath(place, Math.max(number, used + 1));
    // SQLite would make it for all to read.
    closeSync(openToAppend(path, FILE_MODE).fd);
    const segment = new Segment(Math.max(number, used + 1), Database.open(path));
    this.#kept.push({ segment, path });
    return this.#writerOf(segment);
  }

  #writerOf(segment: Segment): SegmentWriter {
    return new SegmentWriter(segment.database, this.#processes);
  }

  #bound(): void {
    const { place, maxRows } = this.#options;
    if (place === MEMORY) {
      if (this.#writer.rows < Math.ceil(maxRows / MEMORY_PARTS)) return;
      this.#next();
      while (this.#kept.length > MEMORY_PARTS + 1) this.#remove(this.#kept[0] as Kept);
    } else if (performance.now() - this.#lastLook > LOOK_MS || this.#isFull()) this.#look();
  }

  #isFull(): boolean {
    return this.#writer.database.bytes >= this.#options.maxBytes / PARTS;
  }

  /** Whether a new segment is to be begun, and old ones are to go. */
  #look(): void {
    const { place, maxBytes, maxAgeMs } = this.#options;
    this.#lastLook = performance.now();
    if (place === MEMORY) return;
    const newest = this.#kept.at(-1);
    if (newest?.path === undefined) return;
    const isOld = ageMs(newest.path) > maxAgeMs / PARTS && this.#writer.rows > 0;
    if (this.#isFull() || isOld) this.#next();
    for (const kept of this.#kept.slice(0, -1))
      if (kept.path !== undefined && idleMs(kept.path) > maxAgeMs) this.#remove(kept);
    while (this.#foreign.length > 0 && idleMs(this.#foreign[0] as string) > maxAgeMs) this.#removeForeign();
    while (historyBytes(place) > maxBytes) {
      if (removeDamaged(place) || this.#removeForeign()) continue;
      const [oldest] = this.#kept;
      if (oldest === undefined || this.#kept.length === 1) return;
      this.#remove(oldest);
    }
  }

  #next(): void {
    const newest = this.#kept.at(-1);
    if (newest?.path !== undefined) newest.segment.database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    this.#writer = this.#begin((newest?.segment.number ?? 0) + 1);
  }

  /** @returns whether there was one to remove */
  #removeForeign(): boolean {
    const path = this.#foreign.shift();
    if (path !== undefined) removeSegment(path);
    return path !== undefined;
  }

  #remove(kept: Kept): void {
    this.#kept = this.#kept.filter((each) => each !== kept);
    kept.segment.database.close();
    if (kept.path !== undefined) removeSegment(kept.path);
  }

  #setAside(kept: Kept, error: unknown): void {
    const { place, warn } = this.#options;
    const isNewest = kept === this.#kept.at(-1);
    this.#kept = this.#kept.filter((each) => each !== kept);
    kept.segment.database.close();
    if (kept.path !== undefined)
      warn(`${kept.path} is damaged (${text(error)}): ${setAside(place, kept.path)}`);
    if (isNewest) this.#writer = this.#begin(kept.segment.number + 1);
  }
}

/** @throws Error that isDamage: a page is not what it should be */
function checkWhole(database: Database): void {
  const found = database.once('PRAGMA quick_check(1)')[0];
  const said = found === undefined ? 'ok' : Object.values(found)[0];
  if (said === 'ok') return;
  database.close();
  throw Object.assign(new Error(String(said)), { errcode: 11 });
}

/** In one line, as it is said: what SQLite finds wrong can take several. */
function text(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ');
}
