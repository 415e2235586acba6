/** One JSON object a line, for machines; safe to look at on a terminal all the same. */
import type { Writable } from 'node:stream';
import type { Ledger } from '../../ledger.ts';
import { safeJson } from '../../lib/escape.ts';
import { hex } from '../../lib/random-bytes.ts';
import type { LogEvent } from '../../model.ts';
import { type Sink, stageName } from '../sink.ts';
import { LineWriter } from './line-writer.ts';

/** RFC 3339 in UTC with nanoseconds. @param time Unix ns */
export function rfc3339(time: bigint): string {
  const seconds = time / 1_000_000_000n;
  const nanos = time % 1_000_000_000n;
  const stamp = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${stamp}.${nanos.toString().padStart(9, '0')}Z`;
}

export interface ConsoleJsonOptions {
  readonly stream: Writable;
  readonly ledger: Ledger;
  /** Called once when the reader has gone away (a closed pipe). */
  readonly onBroken?: () => void;
  readonly maxWaiting?: number;
}

export class ConsoleJsonSink implements Sink {
  readonly name = 'console';
  readonly #writer: LineWriter;
  #closed: Promise<void> | undefined;

  constructor(options: ConsoleJsonOptions) {
    const stage = options.ledger.stage(stageName(this.name));
    this.#writer = new LineWriter(options.stream, stage, options);
  }

  accept(event: LogEvent): void {
    const line = safeJson({
      time: rfc3339(event.time),
      observed_time: rfc3339(event.observedTime),
      event_name: event.eventName,
      severity_number: event.severity,
      body: event.body,
      ...(event.trace === undefined
        ? {}
        : { trace_id: hex(event.trace.traceId), span_id: hex(event.trace.spanId) }),
      attributes: event.attributes,
      resource: event.process.resource,
    });
    this.#writer.write(`${line}\n`);
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#writer.close(deadlineMs);
    return this.#closed;
  }
}
