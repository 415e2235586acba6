/**
 * Says once that a destination fails, then at most once a minute while it keeps failing, then once that it works again:
 * an endpoint that is down for a night must not fill the operator's disk.
 */
import type { Notices } from './sink.ts';

const REPEAT_MS = 60_000;
const MESSAGE_CHARACTERS = 300;

export class FailureReporter {
  readonly #name: string;
  readonly #notices: Notices;
  readonly #unit: string;
  #lost = 0;
  #lastReport = Number.NEGATIVE_INFINITY;
  #failing = false;

  /** @param unit what is lost, in the singular */
  constructor(name: string, notices: Notices, unit = 'record') {
    this.#name = name;
    this.#notices = notices;
    this.#unit = unit;
  }

  /** @param lost records; @param message what went wrong, foreign text of any length */
  failed(lost: number, message: string): void {
    this.#failing = true;
    this.#lost += lost;
    const now = performance.now();
    if (now - this.#lastReport < REPEAT_MS) return;
    this.#lastReport = now;
    const loss = this.#lost === 0 ? '' : `${this.#count(this.#lost)} lost: `;
    this.#notices.warn(`${this.#name}: ${loss}${oneLine(message)}`);
    this.#lost = 0;
  }

  succeeded(): void {
    if (!this.#failing) return;
    this.#failing = false;
    const more = this.#lost === 0 ? '' : ` (${this.#lost} more ${this.#unit}s were lost meanwhile)`;
    this.#lost = 0;
    this.#lastReport = Number.NEGATIVE_INFINITY;
    this.#notices.info(`${this.#name}: works again${more}`);
  }

  /** At the end: what was lost since the last line, and what was still waiting. */
  finish(undelivered: number): void {
    const lost = this.#lost + undelivered;
    if (lost > 0) this.#notices.warn(`${this.#name}: ${this.#count(lost)} lost until the end`);
    this.#lost = 0;
  }

  #count(lost: number): string {
    return `${lost} ${this.#unit}${lost === 1 ? '' : 's'}`;
  }
}

function oneLine(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim();
  return line.length <= MESSAGE_CHARACTERS ? line : `${line.slice(0, MESSAGE_CHARACTERS)}...`;
}
