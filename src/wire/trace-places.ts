/** Values of the kernel's map `trace_places` (struct trace_place of bpf/event.h); the keys are those of `processes`. */

import type { TracePlace } from '../model.ts';
import { LITTLE } from './byte-order.ts';
import { TRACE_PLACE as P } from './layout.gen.ts';

export function encodeTracePlace(place: TracePlace): Uint8Array {
  const bytes = new Uint8Array(P.SIZEOF);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(P.offset, place.offset, LITTLE);
  view.setUint32(P.module, place.module, LITTLE);
  view.setInt32(P.vector, place.vector, LITTLE);
  view.setInt32(P.length, place.length, LITTLE);
  view.setUint32(P.step, place.step, LITTLE);
  return bytes;
}
