/**
 * Any record of a batch, read where it lies: `view` shows the batch, `at` is the record's offset in it. No objects, no BigInt.
 * A batch is records one after the other; the next begins `recordStep` bytes on.
 */
import { LITTLE } from './byte-order.ts';
import { EVENT_HEADER } from './layout.gen.ts';

/** Bytes of the record; 0: what is there cannot be one, and what follows it is lost. `end` is the offset at which the batch ends. */
export function recordSize(view: DataView, at: number, end: number): number {
  const left = end - at;
  if (left < EVENT_HEADER.SIZEOF) return 0;
  const size = view.getUint32(at + EVENT_HEADER.size, LITTLE);
  return size < EVENT_HEADER.SIZEOF || size > left ? 0 : size;
}

/** Records are padded to 8 bytes. */
export function recordStep(size: number): number {
  return (size + 7) & ~7;
}

/** EVENT_KIND. */
export function recordKind(view: DataView, at: number): number {
  return view.getUint16(at + EVENT_HEADER.kind, LITTLE);
}

/** HOOK_FAMILY: which programs made it. */
export function recordHook(view: DataView, at: number): number {
  return view.getUint8(at + EVENT_HEADER.hook);
}

/** ns of CLOCK_MONOTONIC, the lower 32 bits. */
export function recordTimeLow(view: DataView, at: number): number {
  return view.getUint32(at + EVENT_HEADER.time + (LITTLE ? 0 : 4), LITTLE);
}

/** ns of CLOCK_MONOTONIC, the upper 32 bits. */
export function recordTimeHigh(view: DataView, at: number): number {
  return view.getUint32(at + EVENT_HEADER.time + (LITTLE ? 4 : 0), LITTLE);
}
