/** Sends again what may be sent again, over a transport that makes one attempt a call. */
import type { ExportResponse, IExporterTransport } from '@opentelemetry/otlp-exporter-base';
import { AttemptError } from './attempt.ts';

/** It could be sent again, but there is no time left. */
export class UndeliveredError extends AttemptError {}

export interface RetryOptions {
  /** ms from the first attempt after which there is no further one; Infinity = as long as the caller waits. */
  readonly longestMs: number;
  /** Called for each failed attempt that is followed by another. */
  readonly onRetry: (message: string) => void;
  readonly firstPauseMs?: number;
  readonly longestPauseMs?: number;
}

/** Of the pause: servers that come back are not met by all agents at once. */
const JITTER = 0.3;
const GROWTH = 1.6;
/** A server may ask for more patience than this; it is asked again all the same. */
const LONGEST_ASKED_PAUSE_MS = 10 * 60_000;

/**
 * Retries with exponential back-off and jitter for as long as it may. A delay that the server asks for holds up every
 * request, not only the one it answered (OTLP specification, "OTLP/gRPC Throttling", "OTLP/HTTP Throttling").
 */
export class RetryingTransport implements IExporterTransport {
  readonly #inner: IExporterTransport;
  readonly #options: Required<RetryOptions>;
  readonly #sleepers = new Set<() => void>();
  /** performance.now() before which the server wants no request. */
  #notBefore = 0;
  #lastAttempt = false;
  #closed = false;

  constructor(inner: IExporterTransport, options: RetryOptions) {
    this.#inner = inner;
    this.#options = { firstPauseMs: 500, longestPauseMs: 5000, ...options };
  }

  /** @param timeoutMillis of one attempt */
  async send(data: Uint8Array, timeoutMillis: number): Promise<ExportResponse> {
    const { longestMs, firstPauseMs, longestPauseMs, onRetry } = this.#options;
    const end = performance.now() + longestMs;
    let pause = firstPauseMs;
    for (;;) {
      await this.#sleep(this.#notBefore - performance.now());
      const isLast = this.#lastAttempt;
      const left = Math.max(Math.min(timeoutMillis, end - performance.now()), 1);
      const response = await this.#inner.send(data, left);
      if (response.status !== 'retryable') return response;
      const asked = Math.min(response.retryInMillis ?? 0, LONGEST_ASKED_PAUSE_MS);
      this.#notBefore = Math.max(this.#notBefore, performance.now() + asked);
      const wait = Math.max(pause * (1 - JITTER + 2 * JITTER * Math.random()), asked);
      const { name, message } = response.error ?? new AttemptError('_OTHER', 'no answer');
      if (isLast || this.#closed || performance.now() + wait >= end)
        return { status: 'retryable', error: new UndeliveredError(name, message) };
      onRetry(message);
      await this.#sleep(wait);
      pause = Math.min(pause * GROWTH, longestPauseMs);
    }
  }

  /** One more attempt for each request, now. */
  drain(): void {
    this.#lastAttempt = true;
    for (const wake of this.#sleepers) wake();
  }

  shutdown(): void {
    this.#closed = true;
    this.drain();
    this.#inner.shutdown();
  }

  async #sleep(milliseconds: number): Promise<void> {
    if (milliseconds <= 0 || this.#lastAttempt) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const handle = setTimeout(resolve, milliseconds);
    this.#sleepers.add(resolve);
    await promise;
    clearTimeout(handle);
    this.#sleepers.delete(resolve);
  }
}
