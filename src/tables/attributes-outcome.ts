/** Attributes of `whodns.query` that say what is unusual about how a lookup ended. */
import type { AttributeDefinition } from './resource-attributes.ts';
import { UNKNOWN_REASONS } from './unknown-reasons.ts';

export const OUTCOME_ATTRIBUTES = {
  'whodns.outcome': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      '`unknown`: no answer was seen, but one may have been lost by the agent itself; absent otherwise. `error.type` `timeout` means that nothing came.',
    example: 'unknown',
  },
  'whodns.outcome.reason': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: `Why the outcome is unknown: ${Object.entries(UNKNOWN_REASONS)
      .map(([reason, description]) => `\`${reason}\` (${description})`)
      .join('; ')}.`,
    example: 'ring_full',
  },
  'whodns.answers.conflicting': {
    type: 'boolean',
    stability: 'development',
    source: 'whodns',
    description:
      'True: a further answer to a lookup, and it says something else than the first (response code or records, whatever their order and TTL). A record of its own, with the time of the request, up to 4 for one lookup; metrics, spans and detections count the lookup once.',
    example: true,
  },
  'whodns.answers.conflicts_with': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: '`log.record.uid` of the record with the first answer.',
    example: '0191f0a2-7c4e-7b3a-9d6e-2f1c0b8a7e55',
  },
} as const satisfies Record<string, AttributeDefinition>;
