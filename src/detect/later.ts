/** A judgement that waits for a fact: what a detector returns when it asked for one that is not known yet. */
import type { Outcome, PendingFinding } from './detector.ts';

/** In place of a fact that did not come in time. A fact that cannot be learnt (the process is gone) is `undefined`. */
export const NO_FACT = Symbol('no fact');

export class Later implements PendingFinding {
  readonly #subscribe: (deliver: (fact: unknown) => void) => void;
  readonly #decide: (fact: never) => Outcome;

  /**
   * @param subscribe calls its argument once, with the fact or NO_FACT, never before it returns
   * @param decide the detector's own code
   */
  constructor(subscribe: (deliver: (fact: unknown) => void) => void, decide: (fact: never) => Outcome) {
    this.#subscribe = subscribe;
    this.#decide = decide;
  }

  whenKnown(deliver: (fact: unknown) => void): void {
    this.#subscribe(deliver);
  }

  /** @throws what the detector throws */
  decide(fact: unknown): Outcome {
    // The type of the fact is that of the question that `decide` was given with.
    return this.#decide(fact as never);
  }
}
