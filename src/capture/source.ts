/**
 * Where events come from: the running kernel (kernel.ts) or a capture file (pcap.ts). The pipeline knows only this.
 */
import type { ExitedCounts, ProcessCount, ProcessKey, RawEvent, SourceStats, Suppression } from '../model.ts';

/**
 * Called with each batch, in the order of capture. The array must not be kept by the source. A source that can wait
 * (a file) gives the next batch only when the promise is resolved.
 */
export type OnBatch = (events: readonly RawEvent[]) => Promise<void> | undefined;

export interface Source {
  /**
   * Begins capturing. Resolves once it runs: from then on every message is either given to `onBatch` or counted in
   * `stats().drops`. Rejects with a UserError, leaving nothing half-started. Called once.
   */
  start(onBatch: OnBatch): void | Promise<void>;
  /**
   * Ends capturing. Everything captured by then is delivered or counted before the promise resolves. May be called any
   * number of times and before `start`; all calls give the same promise.
   */
  stop(): Promise<void>;
  /** Counters since start; still answers after `stop` (with the last values). */
  stats(): SourceStats;
  /** Bytes of events not handed over yet; where the source has such a thing. Costs next to nothing. */
  waiting?(): number;
  /**
   * Messages per process, exact whatever was lost on the way, of those that live and those that have exited not long ago. Empty where
   * the source has no such counters.
   */
  processes(): readonly ProcessCount[];
  /** Sums over all processes that have exited; undefined where the source has no such counters. */
  exited?(): ExitedCounts;
  /** What was left out since the last call, by share. */
  suppressed?(): readonly Suppression[];
  /** Forgets the counters of these processes (they have exited and were reported). Unknown keys are ignored. */
  forget(keys: readonly ProcessKey[]): void;
  /**
   * Answers left out since the start, by the control group that asked; where the source has budgets.
   * @param total the counter of all of them: the groups are read again only when it has changed
   */
  suppressedAnswers?(total: number): readonly { readonly cgroupId: bigint; readonly count: number }[];
  /** Resolves when nothing more will come: end of file, or `stop` is done. Rejects when the capture broke off by itself. */
  readonly finished: Promise<void>;
}
