/** Each lookup as a span too (`--traces`), over the same delivery as the records; queued in memory only. */
import type { Ledger, Stage } from '../../ledger.ts';
import type { LogEvent } from '../../model.ts';
import { writeSpan } from '../../otlp/encode-span.ts';
import { type Sink, stageName } from '../sink.ts';
import { createOtlpLogsSink, type OtlpLogsOptions } from './logs-sink.ts';

export interface OtlpSpansOptions extends Omit<OtlpLogsOptions, 'kind'> {
  /** How long an answer is waited for: the end of a lookup that has none. */
  readonly timeoutNs: bigint;
}

const NAME = 'otlp-spans';

export async function createOtlpSpansSink(options: OtlpSpansOptions): Promise<Sink> {
  const { timeoutNs, ledger } = options;
  const inner = await createOtlpLogsSink({
    ...options,
    kind: { signal: 'traces', name: NAME, write: (writer, event) => writeSpan(writer, event, timeoutNs) },
  });
  return new SpansSink(inner, ledger);
}

/** Leaves out what is no finished lookup (nobody knows when it ended) and what the sampler does not want. */
class SpansSink implements Sink {
  readonly name = NAME;
  readonly #inner: Sink;
  readonly #stage: Stage<'sink:otlp-spans'>;

  constructor(inner: Sink, ledger: Ledger) {
    this.#inner = inner;
    this.#stage = ledger.stage(stageName(NAME));
  }

  accept(event: LogEvent): void {
    if (event.hasSpan === true) {
      this.#inner.accept(event);
      return;
    }
    const isFinished = event.lookup !== undefined && event.lookup.outcome !== 'sent';
    this.#stage.in++;
    this.#stage.filter(isFinished ? 'unsampled' : 'unfinished');
  }

  flush(): Promise<void> {
    return this.#inner.flush();
  }

  close(deadlineMs: number): Promise<void> {
    return this.#inner.close(deadlineMs);
  }
}
