/** Why a sink lost a record: the `reason` of its ledger stage and of the metric `whodns.dropped`. */
export const SINK_DROPS = {
  queue_full: 'the queue in front of the destination was full',
  spool_damaged: 'stood in a part of the spool that was damaged',
  failed: 'the destination refused the batch or could not be reached',
  timeout: 'the destination did not answer in time',
  rejected: 'the destination took the batch but rejected some records (OTLP partial success)',
  error: 'the sink failed on the record',
  shutdown: 'still waiting when the time to stop had passed',
  closed: 'the destination is gone (broken pipe) or the sink was closed',
} as const;

export type SinkDrop = keyof typeof SINK_DROPS;
