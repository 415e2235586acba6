/** What an attempt to send is made of and how it fails: shared by the transports of all protocols. */
import type { OtlpTarget, Signal } from './target.ts';

export interface TransportParts {
  readonly signal: Signal;
  readonly target: OtlpTarget;
  readonly userAgent: string;
  /** Tells the operator of certificate files that cannot be used. */
  readonly warn: (message: string) => void;
}

/** Answers longer than this are not read (OTLP specification 1.60, "response size limit"). */
export const MAX_RESPONSE_BYTES = 4 * 1024 * 1024;

/** Why an attempt failed. `name` is the value of `error.type`: a gRPC status name, an HTTP status or an errno name. */
export class AttemptError extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}
