/**
 * Tells a thread outside of JavaScript (native/watchdog.h) that the event loop turns, and whose detector runs: one that never returns
 * cannot be stopped from here.
 */
import type { Detector } from './detector.ts';
import { originOf } from './origin.ts';

const TURN_MS = 500;

export interface WatchedCells {
  /** [0] how often the event loop turned, [1] place in `names` of the detector that runs, from 1 on; 0: none. */
  readonly cells: Uint32Array;
  /** Of users' detectors. */
  readonly names: readonly string[];
}

export class Turns implements WatchedCells {
  readonly cells = new Uint32Array(2);
  readonly names: readonly string[];

  constructor(detectors: readonly Detector[]) {
    this.names = detectors.filter((detector) => originOf(detector) !== undefined).map(({ name }) => name);
  }

  start(): void {
    setInterval(() => {
      this.cells[0] = (this.cells[0] ?? 0) + 1;
    }, TURN_MS).unref();
  }

  placeOf({ name }: Detector): number {
    return this.names.indexOf(name) + 1;
  }

  /** What `code` gives; as long as it runs it is the detector's of that place. */
  during<Result>(place: number, code: () => Result): Result {
    this.cells[1] = place;
    try {
      return code();
    } finally {
      this.cells[1] = 0;
    }
  }
}
