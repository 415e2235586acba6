/** Keeps a session with a socket up: again after it has ended, with growing pauses. */
import type { PodRules } from '../kubernetes/pod-metadata.ts';

/** Doubled with each attempt in a row that failed, and spread by half, so that not all agents of a fleet come at once. */
const PAUSE_MS = { first: 250, longest: 30_000 };
/** The other end speaks, but not this interface: it will not before it is restarted with another configuration. */
const NOT_OFFERED_MS = 300_000;
/** For a session to end. */
const STOP_MS = 500;
/** A session that lasted so long was a good one: the next attempt comes soon. */
const LASTING_MS = 10_000;

/** What a source over a socket needs. */
export interface RuntimeOptions {
  /** Of the socket. */
  readonly path: string;
  /** Labels of containers that are taken. */
  readonly labels: readonly string[];
  /** What is told of pods. */
  readonly rules: PodRules;
  /** Takes a line for the operator. */
  readonly notice: (line: string) => void;
}

/** Thrown by a session: the socket's owner does not offer the interface. */
export class NotOffered extends Error {}

export interface SessionCounts {
  /** Sessions that became ready. */
  connects: number;
  /** Sessions that ended against our will, and attempts that failed. */
  failures: number;
}

export class Sessions {
  readonly counts: SessionCounts = { connects: 0, failures: 0 };
  readonly #run: (ready: () => void, signal: AbortSignal) => Promise<void>;
  readonly #onFailure: (error: unknown) => void;
  readonly #stop = new AbortController();
  #attempts = 0;
  #ready = false;
  #failed = false;
  #loop: Promise<void> | undefined;

  /**
   * @param run one session: calls `ready` once it is up, returns or throws when it is over, soon after `signal`.
   * @param onFailure told of the first failure after each success.
   */
  constructor(
    run: (ready: () => void, signal: AbortSignal) => Promise<void>,
    onFailure: (error: unknown) => void,
  ) {
    this.#run = run;
    this.#onFailure = onFailure;
  }

  get connected(): boolean {
    return this.#ready;
  }

  /** The last attempt failed. */
  get unreachable(): boolean {
    return this.#failed;
  }

  start(): void {
    this.#loop ??= this.#repeat();
  }

  /** Waits for the end of the session, but not for an answer that does not come. */
  async stop(): Promise<void> {
    this.#stop.abort();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS);
    });
    await Promise.race([this.#loop, late]);
    clearTimeout(timer);
  }

  async #repeat(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      let error: unknown;
      const began = performance.now();
      try {
        await this.#run(() => this.#becameReady(), signal);
      } catch (caught) {
        error = caught;
      }
      if (this.#ready && performance.now() - began > LASTING_MS) this.#attempts = 0;
      this.#ready = false;
      if (signal.aborted) return;
      this.counts.failures++;
      if (!this.#failed) this.#onFailure(error);
      this.#failed = true;
      await pause(error instanceof NotOffered ? NOT_OFFERED_MS : this.#nextPause(), signal);
    }
  }

  #becameReady(): void {
    this.#ready = true;
    this.#failed = false;
    this.counts.connects++;
  }

  #nextPause(): number {
    const full = Math.min(PAUSE_MS.first * 2 ** this.#attempts, PAUSE_MS.longest);
    this.#attempts++;
    return full * (0.5 + Math.random() / 2);
  }
}

/** Does not keep the program alive. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

/** Why a session ended, for people. */
export function failureOf(error: unknown): string {
  if (error === undefined) return 'the connection was closed; trying again';
  const said = error instanceof Error ? error.message : String(error);
  return error instanceof NotOffered ? `no container runtime there (${said})` : `${said}; trying again`;
}
