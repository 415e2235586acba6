/** Connections and findings as they go to the thread that keeps them, and lookups that were read from records. */
import type { Attributes, ConnectionEvent, LogEvent, ResolutionScope } from '../model.ts';

/** A connection as it goes by message. Times are Unix µs. */
export interface SentConnection {
  readonly kind: 'connection';
  readonly time: number;
  readonly process: number;
  readonly address: string;
  readonly port: number;
  readonly local: string;
  readonly localPort: number;
  readonly names: readonly string[];
  readonly scope: ResolutionScope | undefined;
  readonly answered: number | undefined;
  readonly expires: number | undefined;
}

export interface SentFinding {
  readonly kind: 'finding';
  readonly time: number;
  readonly process: number;
  readonly event: string;
  readonly severity: number;
  readonly body: string;
  readonly attributes: Attributes;
}

/** A lookup that was read from a record (src/search/otlp-file.ts), not from its messages. Times are Unix µs. */
export interface SentLookup {
  readonly kind: 'lookup';
  readonly time: number;
  readonly process: number;
  /** As `StoredLookup.name`. */
  readonly name: string;
  /** `questionCode`. */
  readonly type: number;
  /** Response code, UNREADABLE or `outcomeCode`. */
  readonly result: number;
  readonly server: { readonly address: string; readonly port: number; readonly isTcp: boolean };
  readonly duration: number | undefined;
  readonly retries: number;
  /** Index of REASONS + 1; 0: none. */
  readonly reason: number;
  readonly isConflicting: boolean;
  readonly answers: readonly { readonly type: number; readonly data: string }[];
  readonly answerCount: number;
  readonly ttl: number | undefined;
}

export type SentEvent = SentLookup | SentConnection | SentFinding;

const NS = 1000n;

/** @param process the number that its identity was sent under */
export function sentEvent(event: LogEvent, process: number): SentEvent {
  if (event.connection !== undefined) return sentConnection(event.connection, process);
  return {
    kind: 'finding',
    time: Number(event.time / NS),
    process,
    event: event.eventName,
    severity: event.severity,
    body: event.body,
    attributes: event.attributes,
  };
}

function sentConnection({ time, connection, resolution }: ConnectionEvent, process: number): SentConnection {
  const { remote, local } = connection;
  return {
    kind: 'connection',
    time: Number(time / NS),
    process,
    address: remote.address,
    port: remote.port,
    local: local.address,
    localPort: local.port,
    names: resolution?.names ?? [],
    scope: resolution?.scope,
    answered: resolution === undefined ? undefined : Number(resolution.answered / NS),
    expires: resolution === undefined ? undefined : Number(resolution.expires / NS),
  };
}
