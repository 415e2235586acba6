/** Gives each event to each sink. A sink that throws, hangs or is slow changes nothing for the others. */
import type { Ledger, Stage } from '../ledger.ts';
import type { LogEvent } from '../model.ts';
import { type Notices, type Sink, stageName } from './sink.ts';

/** How much longer than its deadline a sink's `close` is waited for before it is left alone. */
const CLOSE_GRACE_MS = 250;

export class FanOut implements Sink {
  readonly name = 'fan-out';
  #sinks: readonly { readonly sink: Sink; readonly stage: Stage<`sink:${string}`> }[];
  readonly #stage: Stage<`sink:${string}`>;
  readonly #ledger: Ledger;
  readonly #notices: Notices;
  readonly #reported = new Set<Sink>();
  #closed: Promise<void> | undefined;

  constructor(sinks: readonly Sink[], ledger: Ledger, notices: Notices) {
    this.#stage = ledger.stage(stageName(this.name));
    this.#sinks = sinks.map((sink) => ({ sink, stage: ledger.stage(stageName(sink.name)) }));
    this.#ledger = ledger;
    this.#notices = notices;
  }

  /** One more, from the next event on. */
  add(sink: Sink): void {
    this.#sinks = [...this.#sinks, { sink, stage: this.#ledger.stage(stageName(sink.name)) }];
  }

  accept(event: LogEvent): void {
    this.#stage.in++;
    if (this.#closed !== undefined) {
      this.#stage.drop('closed');
      return;
    }
    for (const { sink, stage } of this.#sinks) {
      const before = stage.in;
      try {
        sink.accept(event);
      } catch (error) {
        this.#threw(sink, stage, before, error);
      }
    }
    this.#stage.out++;
  }

  async flush(): Promise<void> {
    await Promise.allSettled(this.#sinks.map(({ sink }) => sink.flush()));
  }

  async room(): Promise<void> {
    await Promise.allSettled(
      this.#sinks.map(({ sink }) => (sink.room === undefined ? sink.flush() : sink.room())),
    );
  }

  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#closeAll(deadlineMs);
    return this.#closed;
  }

  async #closeAll(deadlineMs: number): Promise<void> {
    await Promise.allSettled(
      this.#sinks.map(async ({ sink }) => {
        const grace = timer(deadlineMs + CLOSE_GRACE_MS);
        const done = sink.close(deadlineMs).then(() => 'closed' as const);
        const first = await Promise.race([done, grace.passed]).finally(grace.cancel);
        if (first !== 'closed') this.#notices.warn(`${sink.name}: did not close in time`);
      }),
    );
  }

  /** The event counts as accepted and dropped, whether or not the sink had counted it before it threw. */
  #threw(sink: Sink, stage: Stage<`sink:${string}`>, before: number, error: unknown): void {
    if (stage.in === before) stage.in++;
    if (stage.snapshot().missing > 0) stage.drop('error');
    if (this.#reported.has(sink)) return;
    this.#reported.add(sink);
    this.#notices.warn(`${sink.name}: failed on a record (further ones are only counted): ${String(error)}`);
  }
}

function timer(milliseconds: number): { passed: Promise<'passed'>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<'passed'>();
  const handle = setTimeout(() => resolve('passed'), milliseconds);
  return { passed: promise, cancel: () => clearTimeout(handle) };
}
