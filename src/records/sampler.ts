/** Which lookups become spans: the samplers of the specification (OTEL_TRACES_SAMPLER). */
import type { TraceContext } from '../model.ts';
import type { SamplerName } from '../tables/options.ts';

const SAMPLED = 1;
/** A trace id's last 56 bits are random (W3C Trace Context level 2): every program that samples by them takes the same traces. */
const RANDOM_BYTES = 7;

/** @param parent the span that the asking thread was in */
export function isSampled(
  name: SamplerName,
  ratio: number,
  traceId: Uint8Array,
  parent: TraceContext | undefined,
): boolean {
  if (parent !== undefined && name.startsWith('parentbased_')) return (parent.flags & SAMPLED) !== 0;
  switch (name.replace('parentbased_', '')) {
    case 'always_off':
      return false;
    case 'traceidratio':
      return randomness(traceId) >= 1 - ratio;
    default:
      return true;
  }
}

/** From 0 to below 1. */
function randomness(traceId: Uint8Array): number {
  let value = 0;
  for (const byte of traceId.slice(-RANDOM_BYTES).reverse()) value = (value + byte) / 256;
  return value;
}
