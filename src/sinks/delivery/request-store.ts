/**
 * Where encoded requests wait for their destination. The sender knows only this interface, so that a spool on disk can
 * stand in the place of the memory.
 */

/** One encoded export request: complete, valid bytes that go out as they are. */
export interface SealedRequest {
  /** ExportLogsServiceRequest, uncompressed. Owned by the request: no one writes to it until it is delivered. */
  readonly bytes: Uint8Array;
  /** Log records inside; at least 1. */
  readonly records: number;
  /** ResourceLogs inside. */
  readonly resourceCount: number;
}

/**
 * Each request that enters ends exactly once: `done`, dropped by `push` (then it never comes out), or still held at
 * `close`. Held are requests that wait and requests handed out. Calls never wait and never throw.
 */
export interface RequestStore {
  readonly heldRecords: number;
  readonly heldBytes: number;
  /**
   * Takes the request in, if it has room.
   * @returns what was lost since the last call, this request or older ones
   */
  push(request: SealedRequest): LostRecords;
  /** The oldest request not handed out yet. */
  take(): SealedRequest | undefined;
  /** Final: delivered, or refused for good. */
  done(request: SealedRequest): void;
  /** Not delivered now: `take` gives it again, before newer ones. */
  requeue(request: SealedRequest): void;
  /**
   * Nothing is pushed or taken after this. `heldRecords` then says what is kept for the next start: a spool keeps all
   * that is not `done`, memory nothing. What is no longer held the caller counts as lost.
   */
  close(): Promise<void>;
}

export interface LostRecords {
  /** For want of room: its own records (a full memory refuses the newest), or older ones. */
  readonly droppedRecords: number;
  /** Found damaged. */
  readonly damagedRecords?: number;
}

export interface StoreLimits {
  /** Bytes held, waiting and handed out together: encoded ones and REQUEST_OVERHEAD for each request. */
  readonly maxBytes: number;
  /** Records held, waiting and handed out together; default: any number. */
  readonly maxRecords: number | undefined;
}

/** What a request takes besides its bytes (two objects, a buffer, a map's entry): some 660 bytes, measured. */
export const REQUEST_OVERHEAD = 768;

interface Held {
  readonly requests: number;
  readonly records: number;
  readonly bytes: number;
}

/** Whether there is room for one more. */
export function hasRoom(limits: StoreLimits, held: Held, request: SealedRequest): boolean {
  const bytes = held.bytes + request.bytes.length + (held.requests + 1) * REQUEST_OVERHEAD;
  const records = held.records + request.records;
  return bytes <= limits.maxBytes && records <= (limits.maxRecords ?? records);
}

/** In memory: when full the newest is refused, since a queue that drops its oldest would drop what is being sent. */
export class MemoryStore implements RequestStore {
  readonly #limits: StoreLimits;
  /** Oldest first; each with its place in the order of arrival. */
  readonly #waiting: SealedRequest[] = [];
  readonly #order = new Map<SealedRequest, number>();
  #arrived = 0;
  #records = 0;
  #bytes = 0;

  constructor(limits: StoreLimits) {
    this.#limits = limits;
  }

  get heldRecords(): number {
    return this.#records;
  }

  get heldBytes(): number {
    return this.#bytes;
  }

  push(request: SealedRequest): LostRecords {
    const held = { requests: this.#order.size, records: this.#records, bytes: this.#bytes };
    if (!hasRoom(this.#limits, held, request)) return { droppedRecords: request.records };
    this.#order.set(request, this.#arrived++);
    this.#waiting.push(request);
    this.#records += request.records;
    this.#bytes += request.bytes.length;
    return { droppedRecords: 0 };
  }

  take(): SealedRequest | undefined {
    return this.#waiting.shift();
  }

  done(request: SealedRequest): void {
    if (!this.#order.delete(request)) throw new Error('a request is done that is not held');
    this.#records -= request.records;
    this.#bytes -= request.bytes.length;
  }

  requeue(request: SealedRequest): void {
    const place = this.#order.get(request);
    if (place === undefined) throw new Error('a request comes back that is not held');
    const older = this.#waiting.findIndex((other) => (this.#order.get(other) ?? 0) > place);
    this.#waiting.splice(older === -1 ? this.#waiting.length : older, 0, request);
  }

  async close(): Promise<void> {
    this.#waiting.length = 0;
    this.#order.clear();
    this.#records = 0;
    this.#bytes = 0;
  }
}
