/** The agent's own state, as the page shows it. */
import { hostname } from 'node:os';
import type { HistoryQueries } from '../history/types.ts';
import type { StageSnapshot } from '../ledger.ts';
import type { SourceStats } from '../model.ts';
import type { AgentHealth, LiveBeat, LiveHello } from './protocol.ts';

const SAMPLE_MS = 1000;

export interface VitalParts {
  readonly history: Pick<HistoryQueries, 'status'>;
  readonly stats: () => { readonly stages: readonly StageSnapshot[]; readonly source: SourceStats };
  readonly version: string;
}

export class Vitals {
  readonly #parts: VitalParts;
  readonly #viewers: () => number;
  readonly #started = (Date.now() - performance.now()) * 1000;
  #beat: LiveBeat = { kind: 'beat', time: 0, rate: 0, lost: 0 };
  #requests = 0;
  /** 0: no page looked. */
  #at = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(parts: VitalParts, viewers: () => number) {
    this.#parts = parts;
    this.#viewers = viewers;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  hello(): LiveHello {
    const { version, stats } = this.#parts;
    return {
      kind: 'hello',
      version,
      host: hostname(),
      hook: stats().source.hook,
      started: Math.round(this.#started),
    };
  }

  /** The same for all who ask within a second. */
  beat(): LiveBeat {
    return this.#beat;
  }

  async health(): Promise<AgentHealth> {
    const { source, stages } = this.#parts.stats();
    const { rss, heapUsed } = process.memoryUsage();
    const { hook, counters, drops, missedRuns, ring } = source;
    return {
      version: this.#parts.version,
      started: Math.round(this.#started),
      memory: { rss, heap: heapUsed },
      stages,
      source: { hook, counters, drops, missedRuns, ring },
      history: await this.#parts.history.status(),
      viewers: this.#viewers(),
    };
  }

  #sample(): void {
    if (this.#viewers() === 0) {
      this.#at = 0;
      return;
    }
    const { source, stages } = this.#parts.stats();
    const now = performance.now();
    const requests = source.counters['requests'] ?? 0;
    // Since the last sample, if there was one for these viewers.
    const rate = this.#at === 0 ? 0 : (1000 * (requests - this.#requests)) / Math.max(now - this.#at, 1);
    const lost = stages.reduce((total, { dropped }) => total + sum(dropped), sum(source.drops));
    this.#beat = { kind: 'beat', time: Date.now() * 1000, rate: Math.max(rate, 0), lost };
    this.#requests = requests;
    this.#at = now;
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
