/** Whether one kind of request works: said to the operator once an outage, counted always. */
import { forTerminal } from '../../lib/escape.ts';
import type { Log } from '../../lib/log.ts';
import type { Failure, FailureReason } from './api-client.ts';

export class SourceState {
  readonly failures: Partial<Record<FailureReason, number>> = {};
  readonly #log: Log;
  readonly #what: string;
  #works: boolean | undefined;
  #told: FailureReason | undefined;

  /** @param what of which it is the state, for the operator: `Kubernetes API: pods` */
  constructor(log: Log, what: string) {
    this.#log = log;
    this.#what = what;
  }

  /** The last attempt succeeded. */
  get works(): boolean {
    return this.#works === true;
  }

  /** The last attempt failed. */
  get fails(): boolean {
    return this.#works === false;
  }

  /** Nothing is tried any more, and nothing known: what comes next is told as the first time. */
  reset(): void {
    this.#works = undefined;
    this.#told = undefined;
  }

  /** @param failure undefined: it works (again) */
  report(failure: Failure | undefined): void {
    const worked = this.#works;
    this.#works = failure === undefined;
    if (failure === undefined) {
      if (worked !== true)
        this.#log.info(`${this.#what}: ${worked === undefined ? 'connected' : 'connected again'}`);
      this.#told = undefined;
      return;
    }
    this.failures[failure.reason] = (this.failures[failure.reason] ?? 0) + 1;
    if (failure.reason === this.#told) return;
    this.#told = failure.reason;
    const { reason, message } = failure;
    this.#log.warn(
      `${this.#what}: ${reason} (${forTerminal(message)}); going on with what is known, trying again`,
    );
  }
}
