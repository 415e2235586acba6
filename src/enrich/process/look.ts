/** A look at a process that the inspector has been asked for: what is known of the process till then, and once it has been taken. */
import type { ProcessFacts } from './resource.ts';

export class Look {
  #facts: ProcessFacts;
  #isDone = false;
  readonly #end = Promise.withResolvers<void>();

  constructor(facts: ProcessFacts) {
    this.#facts = facts;
  }

  get facts(): ProcessFacts {
    return this.#facts;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get finished(): Promise<void> {
    return this.#end.promise;
  }

  /** The first time counts: what comes later is of another program, or too late. */
  finish(facts: ProcessFacts): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#facts = facts;
    this.#end.resolve();
  }
}
