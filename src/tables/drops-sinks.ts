/** Why a sink lost a record: the `reason` of its ledger stage (`sink:NAME`). */
import type { Drops, Filters } from './drop-definition.ts';

export const SINK_DROPS = {
  queue_full: {
    cost: 'record',
    description: 'The queue in front of the destination was full.',
    action: 'The destination is away or too slow. Give the queue more room, or a disk: `--spool DIR`.',
  },
  spool_damaged: {
    cost: 'record',
    description: 'It stood in a part of the spool that was damaged.',
    action: 'Look at the disk, and whether something else writes to the spool.',
  },
  failed: {
    cost: 'record',
    description: 'The destination refused the batch or could not be reached.',
    action:
      'The log says what it answered: wrong endpoint, wrong protocol, no credentials, a batch too large.',
  },
  timeout: {
    cost: 'record',
    description: 'The destination did not answer in time.',
    action: 'The destination is overloaded, or `OTEL_EXPORTER_OTLP_TIMEOUT` is too short.',
  },
  rejected: {
    cost: 'record',
    description: 'The destination took the batch but rejected some records (OTLP partial success).',
    action: 'The log says why. Most often a limit of the backend: age, size, number of attributes.',
  },
  error: {
    cost: 'record',
    description: 'The sink failed on the record.',
    action: 'The log says how. Report it.',
  },
  shutdown: {
    cost: 'record',
    description: 'Still waiting when the time to stop had passed.',
    action: 'The destination was away when the agent stopped. `--spool DIR` keeps what waits.',
  },
  closed: {
    cost: 'record',
    description: 'The destination is gone (broken pipe) or the sink was closed.',
    action: 'None: whoever read the output has left.',
  },
} as const satisfies Drops;

export type SinkDrop = keyof typeof SINK_DROPS;

/** What a program that captures (src/api/) does not want. */
export const PROGRAM_FILTERS = {
  not_asked: 'No lookup, or before it asked for the first one.',
} as const satisfies Filters;

/** Records that are no spans. */
export const SPAN_FILTERS = {
  unfinished: 'Not a finished lookup: no one knows when it ended.',
  unsampled: 'The sampler does not want it.',
} as const satisfies Filters;
