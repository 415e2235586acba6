/**
 * The stages of the ledger and every reason each can give. A reason that is not here does not compile (health.ts). `whodns.dropped` and
 * `whodns.filtered` have a point of 0 for each from the first export on, so that the first loss is an increase and not a new series.
 */
import type { StageReasons } from './drop-definition.ts';
import { ANSWER_DROPS, ANSWER_FILTERS } from './drops-answers.ts';
import { DETECT_DROPS, DETECT_FILTERS, DETECTOR_DROPS, DETECTOR_FILTERS } from './drops-detect.ts';
import { FRAGMENT_DROPS, KERNEL_DROPS } from './drops-kernel.ts';
import { PROGRAM_FILTERS, SINK_DROPS, SPAN_FILTERS } from './drops-sinks.ts';
import { STREAM_DROPS, STREAM_FILTERS, WIRE_DROPS } from './drops-streams.ts';

/** In the order of the way of a record. Holds and reports lose nothing: what goes in comes out. */
export const STAGES = {
  wire: { dropped: WIRE_DROPS, filtered: {} },
  streams: { dropped: STREAM_DROPS, filtered: STREAM_FILTERS },
  dns: {
    dropped: {},
    filtered: {
      answer_sent: 'An answer that was sent to a DNS port, not a request.',
      request_received: 'A request that was received from a DNS port, not an answer.',
    },
  },
  correlate: { dropped: {}, filtered: { retry: 'The same request again: `whodns.retries` of its record.' } },
  answers: { dropped: ANSWER_DROPS, filtered: ANSWER_FILTERS },
  connections: { dropped: {}, filtered: {} },
  inspection: { dropped: {}, filtered: {} },
  containers: { dropped: {}, filtered: {} },
  visibility: {
    dropped: {},
    filtered: {
      workload_off: 'Its workload is not captured.',
      workload_metrics: 'Its workload is only counted.',
      executable: '`--include-executable` or `--exclude-executable`.',
      user: '`--include-user` or `--exclude-user`.',
      domain: '`--include-domain` or `--exclude-domain`.',
      type: '`--include-type` or `--exclude-type`.',
      filter: '`--filter`, `--failed`, `--pid`, `--container` or `--server`.',
    },
  },
  suppressed: { dropped: {}, filtered: {} },
  detect: { dropped: DETECT_DROPS, filtered: DETECT_FILTERS },
  'sink:otlp-spans': { dropped: SINK_DROPS, filtered: SPAN_FILTERS },
  'sink:api': { dropped: SINK_DROPS, filtered: PROGRAM_FILTERS },
} as const satisfies Readonly<Record<string, StageReasons>>;

/** Stages of which there are several, by what stands before the colon. */
export const STAGE_FAMILIES = {
  detector: { dropped: DETECTOR_DROPS, filtered: DETECTOR_FILTERS },
  sink: { dropped: SINK_DROPS, filtered: {} },
} as const satisfies Readonly<Record<string, StageReasons>>;

/** Before the first stage: the kernel's own counters, or those of the reader of a capture file. No stage of the ledger. */
export const SOURCE_DROPS = { ...KERNEL_DROPS, ...FRAGMENT_DROPS } as const;

export type StageFamily = keyof typeof STAGE_FAMILIES;
export type StageName = keyof typeof STAGES | `${StageFamily}:${string}`;
type ReasonsOf<Name extends StageName> = Name extends keyof typeof STAGES
  ? (typeof STAGES)[Name]
  : Name extends `${infer Family extends StageFamily}:${string}`
    ? (typeof STAGE_FAMILIES)[Family]
    : never;
type KeyOf<Reasons> = Reasons extends unknown ? keyof Reasons & string : never;

/** Reasons for which the stage may drop. */
export type DropOf<Name extends StageName> = KeyOf<ReasonsOf<Name>['dropped']>;
/** Reasons for which the stage may filter. */
export type FilterOf<Name extends StageName> = KeyOf<ReasonsOf<Name>['filtered']>;

/** What the stage of that name can give; every stage of the ledger has an entry. */
export function stageReasons(name: StageName): StageReasons {
  return name in STAGES
    ? STAGES[name as keyof typeof STAGES]
    : STAGE_FAMILIES[name.split(':', 1)[0] as StageFamily];
}
