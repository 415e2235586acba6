/** Why a detector did not see an event (stages `detector:NAME`), and what became of findings (stage `detect`). */

export const DETECTOR_DROPS = { threw: 'The call threw.' } as const;

/** Not looked at, though nothing is lost by it: the records themselves go out. */
export const DETECTOR_FILTERS = { off: 'The detector was switched off.' } as const;

export const DETECT_DROPS = {
  limit: 'More findings a second than are sent.',
  no_fact: 'What the host knows of the process did not come in time.',
  invalid: 'The detector threw when the fact came, or returned what is no finding.',
} as const;

export const DETECT_FILTERS = {
  cooldown: 'The same finding about the same process and subject went out before.',
  cleared: 'What the host knows of the process speaks against it.',
  off: 'The detector was switched off before the fact came.',
} as const;

export type DetectDrop = keyof typeof DETECT_DROPS;
export type DetectFilter = keyof typeof DETECT_FILTERS;
