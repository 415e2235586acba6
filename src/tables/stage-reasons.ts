/**
 * The reasons that each stage of the ledger can give: `whodns.dropped` and `whodns.filtered` have a point of 0 for each of them from the
 * first export on, so that the first loss is an increase and not a new series.
 */
import { DETECT_DROPS, DETECT_FILTERS, DETECTOR_DROPS, DETECTOR_FILTERS } from './detect-reasons.ts';
import { SINK_DROPS } from './sink-drops.ts';
import { STREAM_DROPS, STREAM_FILTERS } from './stream-drops.ts';

export interface StageReasons {
  readonly dropped: readonly string[];
  readonly filtered: readonly string[];
}

const NONE: StageReasons = { dropped: [], filtered: [] };
const SINK: StageReasons = { dropped: Object.keys(SINK_DROPS), filtered: [] };
const DETECTOR: StageReasons = {
  dropped: Object.keys(DETECTOR_DROPS),
  filtered: Object.keys(DETECTOR_FILTERS),
};
const STAGES: Readonly<Record<string, StageReasons>> = {
  wire: { dropped: ['cut', 'kind', 'field'], filtered: [] },
  streams: { dropped: Object.keys(STREAM_DROPS), filtered: Object.keys(STREAM_FILTERS) },
  dns: { dropped: [], filtered: ['answer-sent', 'request-received'] },
  correlate: { dropped: [], filtered: ['retry'] },
  answers: {
    dropped: ['ambiguous', 'answers-full', 'unmatched'],
    filtered: ['conflicting', 'duplicate', 'late', 'not-awaited', 'other-question'],
  },
  detect: { dropped: Object.keys(DETECT_DROPS), filtered: Object.keys(DETECT_FILTERS) },
  'sink:otlp-spans': { ...SINK, filtered: ['unfinished', 'unsampled'] },
};

export function stageReasons(stage: string): StageReasons {
  if (stage.startsWith('detector:')) return DETECTOR;
  return STAGES[stage] ?? (stage.startsWith('sink:') ? SINK : NONE);
}
