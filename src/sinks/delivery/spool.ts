/**
 * The queue of encoded requests on disk (`--spool`): what waits survives a collector that is away for hours and the agent's
 * own end by SIGKILL. Every request is written when it comes, so only what is not encoded yet can be lost with the agent; a
 * delivered request is marked, so a restart sends again at most those that were under way. When the disk takes no more,
 * requests wait in memory and move to disk when there is room.
 */
import { UserError } from '../../lib/errors.ts';
import { safeDirectory } from '../../lib/safe-path.ts';
import type { Notices } from '../sink.ts';
import { InUseError, lockDirectory } from './directory-lock.ts';
import { FailureReporter } from './failure-reporter.ts';
import {
  hasRoom,
  type LostRecords,
  type RequestStore,
  type SealedRequest,
  type StoreLimits,
} from './request-store.ts';
import { type Place, type SpoolDamage, SpoolDisk } from './spool-disk.ts';

export interface SpoolOptions {
  /** One signal's own directory; made when missing, mode 0700. */
  readonly directory: string;
  /** Bytes of all segments. */
  readonly maxBytes: number;
  /** What may wait in memory while the disk takes nothing. */
  readonly memory: StoreLimits;
  readonly notices: Notices;
}

/** A request that was handed out: its place in the order of arrival, and on disk if it is there. */
interface Taken {
  readonly order: number;
  readonly place: Place | undefined;
}

export class Spool implements RequestStore {
  readonly #memoryLimits: StoreLimits;
  readonly #disk: SpoolDisk;
  readonly #unlock: () => void;
  /** Newer than everything on disk. */
  readonly #memory: SealedRequest[] = [];
  readonly #inMemory = { records: 0, bytes: 0 };
  /** Handed out, whether or not given back. */
  readonly #taken = new Map<SealedRequest, Taken>();
  readonly #handedOut = { records: 0, bytes: 0 };
  /** Given back, oldest first. */
  readonly #returned: SealedRequest[] = [];
  #orders = 0;
  #refused = 0;
  #closed: Promise<void> | undefined;

  /** Reads what an earlier run left. @throws UserError: the directory cannot be used or another agent uses it */
  constructor({ directory, maxBytes, memory, notices }: SpoolOptions) {
    this.#memoryLimits = memory;
    try {
      const path = safeDirectory(directory, 0o700);
      this.#unlock = lockDirectory(path, { what: 'spool', flag: '--spool' });
      this.#disk = new SpoolDisk(path, maxBytes, new FailureReporter('spool', notices));
    } catch (error) {
      if (error instanceof InUseError) throw error;
      const hint = error instanceof UserError && error.hint !== undefined ? { hint: error.hint } : {};
      throw new UserError(`the spool ${directory} cannot be used: ${(error as Error).message}`, hint);
    }
  }

  /** Records lost to damage or to the bound are in it until `push` tells of them, or until `close`. */
  get heldRecords(): number {
    const lost = this.#closed === undefined ? this.#disk.lost + this.#refused : 0;
    return this.#disk.waiting.records + this.#inMemory.records + this.#handedOut.records + lost;
  }

  get heldBytes(): number {
    return this.#disk.waiting.bytes + this.#inMemory.bytes + this.#handedOut.bytes;
  }

  /** Bytes of the files. */
  get diskBytes(): number {
    return this.#disk.bytes;
  }

  get damage(): SpoolDamage {
    return this.#disk.damage;
  }

  push(request: SealedRequest): LostRecords {
    if (this.#closed !== undefined) return { droppedRecords: request.records };
    this.#moveToDisk();
    if (this.#memory.length > 0 || !this.#disk.append(request)) this.#remember(request);
    const { full, damaged } = this.#disk.tellLost();
    const droppedRecords = full + this.#refused;
    this.#refused = 0;
    return { droppedRecords, damagedRecords: damaged };
  }

  take(): SealedRequest | undefined {
    const returned = this.#returned.shift();
    if (returned !== undefined) return returned;
    const next = this.#disk.next();
    const request = next?.request ?? this.#memory.shift();
    if (request === undefined) return undefined;
    if (next === undefined) count(this.#inMemory, request, -1);
    this.#taken.set(request, { order: this.#orders++, place: next?.place });
    count(this.#handedOut, request, 1);
    return request;
  }

  done(request: SealedRequest): void {
    const taken = this.#taken.get(request);
    if (taken === undefined) throw new Error('a request is done that is not held');
    this.#taken.delete(request);
    count(this.#handedOut, request, -1);
    if (taken.place !== undefined) this.#disk.done(taken.place);
  }

  requeue(request: SealedRequest): void {
    const taken = this.#taken.get(request);
    if (taken === undefined) throw new Error('a request comes back that is not held');
    const later = this.#returned.findIndex((other) => (this.#taken.get(other)?.order ?? 0) > taken.order);
    this.#returned.splice(later === -1 ? this.#returned.length : later, 0, request);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** What is only in memory goes to disk if it can: the handed out too, nobody knows that they are delivered. */
  async #close(): Promise<void> {
    for (const [request, { place }] of this.#taken) {
      if (place !== undefined && !place.segment.removed) continue;
      this.#taken.delete(request);
      count(this.#handedOut, request, -1);
      this.#disk.append(request);
    }
    this.#moveToDisk();
    for (const request of this.#memory.splice(0)) count(this.#inMemory, request, -1);
    await this.#disk.close();
    this.#unlock();
  }

  #moveToDisk(): void {
    for (let next = this.#memory[0]; next !== undefined && this.#disk.append(next); next = this.#memory[0]) {
      this.#memory.shift();
      count(this.#inMemory, next, -1);
    }
  }

  #remember(request: SealedRequest): void {
    if (!hasRoom(this.#memoryLimits, { ...this.#inMemory, requests: this.#memory.length }, request)) {
      this.#refused += request.records;
      return;
    }
    this.#memory.push(request);
    count(this.#inMemory, request, 1);
  }
}

function count(sums: { records: number; bytes: number }, request: SealedRequest, sign: 1 | -1): void {
  sums.records += sign * request.records;
  sums.bytes += sign * request.bytes.length;
}
