/** Why a detector did not see an event (stages `detector:NAME`), and what became of findings (stage `detect`). */
import type { Drops, Filters } from './drop-definition.ts';

export const DETECTOR_DROPS = {
  threw: {
    cost: 'finding',
    description: 'The call threw. The detector is switched off for a while.',
    action: 'The log says what it threw. Mend the detector.',
  },
} as const satisfies Drops;

/** Not looked at, though nothing is lost by it: the records themselves go out. */
export const DETECTOR_FILTERS = { off: 'The detector was switched off.' } as const satisfies Filters;

export const DETECT_DROPS = {
  limit: {
    cost: 'finding',
    description: 'More findings a second than are sent.',
    action: 'Raise the threshold of the rule that finds so much (`--detect-set`).',
  },
  no_fact: {
    cost: 'finding',
    description: 'What the host knows of the process did not come in time.',
    action: 'Look at `whodns.inspector.requests`: the inspector may hang, or be asked too much.',
  },
  invalid: {
    cost: 'finding',
    description: 'The detector threw when the fact came, or returned what is no finding.',
    action: 'The log says what was wrong. Mend the detector.',
  },
} as const satisfies Drops;

export const DETECT_FILTERS = {
  cooldown: 'The same finding about the same process and subject went out before.',
  cleared: 'What the host knows of the process speaks against it.',
  off: 'The detector was switched off before the fact came.',
} as const satisfies Filters;
