/** What the agent and its page say to each other, beside the questions and answers of the history (src/history/types.ts). */
import type { Microseconds, StoredLookup } from '../history/types.ts';
import type { StageSnapshot } from '../ledger.ts';
import type { HookFamily } from '../model.ts';

/** One JSON object a line, from `live`. The first is a `hello`. */
export type LiveMessage = LiveHello | LiveRows | LiveBeat;

export interface LiveHello {
  readonly kind: 'hello';
  readonly version: string;
  readonly host: string;
  readonly hook: HookFamily | undefined;
  /** When the agent began; another one is another agent: what was kept of the old one may be gone. */
  readonly started: Microseconds;
}

export interface LiveRows {
  readonly kind: 'rows';
  /** Those that ended, the oldest first. */
  readonly rows: readonly StoredLookup[];
  /** Left out between the last message and these rows: too many, or the reader was slow. */
  readonly skipped: number;
}

/** Once a second. */
export interface LiveBeat {
  readonly kind: 'beat';
  readonly time: Microseconds;
  /** Requests seen in the last second, whatever the filter. */
  readonly rate: number;
  /** Messages lost since the start, by any cause. */
  readonly lost: number;
}

/** What a route says in place of an answer. */
export interface Problem {
  readonly error: {
    readonly code: string;
    readonly message: string;
    /** Of a filter: the characters that are wrong. */
    readonly at?: number;
    readonly end?: number;
  };
}

/** The agent's own state: `health`. */
export interface AgentHealth {
  readonly version: string;
  readonly started: Microseconds;
  readonly memory: { readonly rss: number; readonly heap: number };
  readonly stages: readonly StageSnapshot[];
  readonly source: {
    readonly hook: HookFamily | undefined;
    readonly counters: Readonly<Record<string, number>>;
    readonly drops: Readonly<Record<string, number>>;
    readonly missedRuns: number;
    readonly ring: { readonly used: number; readonly size: number } | undefined;
  };
  readonly history: {
    readonly place: string;
    readonly bytes: number;
    readonly lookups: number;
    readonly connections: number;
    readonly findings: number;
    readonly processes: number;
    readonly names: number;
    readonly oldest: Microseconds | undefined;
  };
  /** Processes by what they asked, the busiest first. */
  readonly viewers: number;
}
