/** How a lookup ends (model.ts, Outcome). */
import type { Outcome } from '../model.ts';

export const OUTCOME_NAMES = [
  'answered',
  'timeout',
  'sent',
  'unknown',
  'connection_refused',
  'host_unreachable',
  'network_unreachable',
] as const satisfies readonly Outcome[];
