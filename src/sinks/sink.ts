/**
 * Where records end. Each sink keeps its own ledger stage `sink:<name>`: what it accepted is delivered (`out`), dropped
 * with a reason of tables/stages.ts, or held.
 */
import type { LogEvent } from '../model.ts';

export interface Sink {
  /** Unique among the sinks of a run; the stage is `sink:<name>`. */
  readonly name: string;
  /** Takes one event. Returns at once, never waits for the destination. After `close` the event is counted `closed`. */
  accept(event: LogEvent): void;
  /** Resolves when everything accepted before the call is delivered or dropped. Never rejects. */
  flush(): Promise<void>;
  /** Resolves when it can take some thousand events more without dropping one; without it `flush` does. Never rejects. */
  room?(): Promise<void>;
  /**
   * Delivers what is held, for at most `deadlineMs` milliseconds from now; what is left then is dropped (`shutdown`).
   * Resolves at the latest shortly after the deadline, never rejects. May be called any number of times.
   */
  close(deadlineMs: number): Promise<void>;
}

/** Tells the operator; one line each, may hold text of others (the log escapes it). */
export interface Notices {
  warn(message: string): void;
  info(message: string): void;
}

/** Name of a sink's ledger stage. */
export function stageName<Name extends string>(sink: Name): `sink:${Name}` {
  return `sink:${sink}`;
}
