import type { UnknownReason } from '../model.ts';

/** Why it is not known whether a lookup was answered: values of `whodns.outcome.reason`. */
export const UNKNOWN_REASONS = {
  ring_full: "the kernel's ring was full: answers were lost while this one was waited for",
  kernel_budget: 'its workload was over its budget of records: answers were left out in the kernel',
  missed_run: 'the kernel did not run a program of the agent: messages may be unseen',
  unreadable: 'its answer was seen, but could not be read',
  stream_gap: 'bytes of its TCP connection were not seen',
  streams_full: 'too many TCP streams: the one with the answer was given up',
  fragments: 'its answer came in IP fragments, of which too many waited for the rest',
  requests_full: 'too many requests waited for their answers: this one was given up before its time',
  answers_full: 'too many answers waited for their requests: that of this one was given up',
} as const satisfies Record<UnknownReason, string>;
