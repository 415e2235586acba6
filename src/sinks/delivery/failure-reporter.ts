/**
 * Says that a destination fails and that it works again, each at most once a minute: an endpoint that is down for a
 * night must not fill the operator's disk.
 */
import type { Notices } from '../sink.ts';

const REPEAT_MS = 60_000;
const MESSAGE_CHARACTERS = 300;

export class FailureReporter {
  readonly #name: string;
  readonly #notices: Notices;
  #lost = 0;
  #lastReport = Number.NEGATIVE_INFINITY;
  #lastRecovery = Number.NEGATIVE_INFINITY;
  #failing = false;

  constructor(name: string, notices: Notices) {
    this.#name = name;
    this.#notices = notices;
  }

  /** @param lost records; @param message what went wrong, foreign text of any length */
  failed(lost: number, message: string): void {
    this.#failing = true;
    this.#lost += lost;
    const now = performance.now();
    if (now - this.#lastReport < REPEAT_MS) return;
    this.#lastReport = now;
    const loss = this.#lost === 0 ? '' : `${records(this.#lost)} lost: `;
    this.#notices.warn(`${this.#name}: ${loss}${oneLine(message)}`);
    this.#lost = 0;
  }

  succeeded(): void {
    if (!this.#failing) return;
    this.#failing = false;
    const more = this.#lost === 0 ? '' : ` (${records(this.#lost)} more lost meanwhile)`;
    const now = performance.now();
    if (now - this.#lastRecovery < REPEAT_MS) return; // it comes and goes: the losses are in the next warning
    this.#lastRecovery = now;
    this.#lost = 0;
    this.#notices.info(`${this.#name}: works again${more}`);
  }

  /** At the end: what was lost since the last line, and what was still waiting. */
  finish(undelivered: number): void {
    const lost = this.#lost + undelivered;
    if (lost > 0) this.#notices.warn(`${this.#name}: ${records(lost)} lost until the end`);
    this.#lost = 0;
  }
}

function records(count: number): string {
  return count === 1 ? '1 record' : `${count} records`;
}

function oneLine(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim();
  return line.length <= MESSAGE_CHARACTERS ? line : `${line.slice(0, MESSAGE_CHARACTERS)}...`;
}
