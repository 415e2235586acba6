/** What becomes of answers that end no lookup (stage `answers`). */
import type { Drops, Filters } from './drop-definition.ts';

export const ANSWER_DROPS = {
  ambiguous: {
    cost: 'answer',
    description: 'An answer without a question that would fit several open lookups.',
    action: 'None: the server leaves the question out, and nothing else tells which it was.',
  },
  answers_full: {
    cost: 'answer',
    description: 'Too many answers waited for their requests: one of the server that had most was given up.',
    action:
      'A server sends answers that no one asked for, or `tracepoint` reads a burst out of order. `whodns stats` says whose share it was.',
  },
} as const satisfies Drops;

export const ANSWER_FILTERS = {
  conflicting: 'A further answer that contradicts the first, beyond those that have a record.',
  duplicate: 'The same answer came before.',
  late: 'Its lookup had timed out.',
  not_awaited: 'Answers are not waited for (`--emit request`).',
  other_question: 'Its id is that of an open lookup, its question is not.',
  unmatched: 'No request to it was seen: no lookup waits for it.',
} as const satisfies Filters;
