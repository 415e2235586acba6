/**
 * Empties the kernel's ring on the event loop. A timer of the addon's looks at it: often when there is much, seldom when there is little,
 * and without a call of JavaScript when there is nothing. What fills faster than that wakes it (native/wakeup.h). The bytes go into
 * one buffer that is used again, so nothing is allocated and nothing is held between two looks but what the ring holds; and a ring
 * that is full the kernel counts.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { NativeCapture, NativeResult } from './addon.ts';

/** Handed on at once: some 100 messages, whose objects are young together, and a millisecond of work. */
const PIECE_BYTES = 32 * 1024;
/** A piece and the largest record, a message of 64 KB. */
const BUFFER_BYTES = PIECE_BYTES + 72 * 1024;
const MIN_INTERVAL_MS = 5;
const MAX_INTERVAL_MS = 100;
/** Bytes of one look from which on the interval is halved, unless the ring is small; below a quarter of them it is doubled. */
const BUSY_BYTES = 256 * 1024;
/** Of the ring: as much between two looks is much for it. */
const BUSY_SHARE = 1 / 16;
/** A look that takes longer goes on in the next turn of the event loop: timers and sockets have theirs first. */
const TURN_MS = 10;

export class RingReader {
  readonly #capture: NativeCapture;
  readonly #onBytes: (bytes: Uint8Array) => void;
  readonly #busyBytes: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #interval = MIN_INTERVAL_MS;
  #turn: NodeJS.Immediate | undefined;
  #finishing = false;

  /** @param onBytes records as in bpf/event.h, each padded to 8 bytes; valid during the call only */
  constructor(capture: NativeCapture, ringBytes: number, onBytes: (bytes: Uint8Array) => void) {
    this.#capture = capture;
    this.#onBytes = onBytes;
    this.#busyBytes = Math.min(BUSY_BYTES, ringBytes * BUSY_SHARE);
  }

  start(): NativeResult<object> {
    const watched = this.#capture.watch(this.#ready);
    if (!('error' in watched)) this.#wait();
    return watched;
  }

  /** Detaches the programs and takes what they have written. */
  async finish(): Promise<void> {
    this.#finishing = true;
    clearImmediate(this.#turn);
    this.#capture.detach();
    while (this.#read(0).hasMore) await nextTurn();
  }

  readonly #ready = (waitedMs: number): void => {
    this.#interval = waitedMs;
    // It looks in this turn anyway.
    if (!this.#finishing && this.#turn === undefined) this.#look();
  };

  readonly #look = (): void => {
    this.#turn = undefined;
    // What came while the last piece was worked on can wait for the next look.
    const { bytes, hasMore } = this.#read(PIECE_BYTES / 2);
    if (bytes >= this.#busyBytes) this.#interval = Math.max(this.#interval / 2, MIN_INTERVAL_MS);
    else if (bytes < this.#busyBytes / 4) this.#interval = Math.min(this.#interval * 2, MAX_INTERVAL_MS);
    if (hasMore) this.#turn = setImmediate(this.#look);
    else this.#wait();
  };

  /** Reads until a piece is not larger than `enough`, or for as long as one turn may take. */
  #read(enough: number): { readonly bytes: number; readonly hasMore: boolean } {
    const end = performance.now() + TURN_MS;
    let bytes = 0;
    do {
      const size = this.#capture.drain(this.#buffer, PIECE_BYTES);
      if (size > 0) this.#onBytes(this.#buffer.subarray(0, size));
      bytes += size;
      if (size <= enough) return { bytes, hasMore: false };
    } while (performance.now() < end);
    return { bytes, hasMore: true };
  }

  #wait(): void {
    this.#capture.wait(this.#interval, MAX_INTERVAL_MS);
  }
}
