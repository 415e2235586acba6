/** What programs may ask of a capture, and what they get. */
import type { HookFamily } from '../model.ts';
import type { LookupEvent } from './event.ts';
import type { GivenLoggerProvider, GivenMeterProvider } from './providers.ts';

/** What `capture` and `replay` share. */
export interface LookupOptions {
  /** Which lookups, in the filter language of docs/filters.md: `rcode=NXDOMAIN and process=curl`. Default: all. */
  readonly filter?: string;
  /** DNS ports, at most 4. Default: 53. */
  readonly ports?: readonly number[];
  /** ms that an answer is waited for, 100 to 600 000. Default: 5000. */
  readonly timeoutMs?: number;
  /** NXDOMAIN is an error (`error`). Default: true. */
  readonly nxdomainError?: boolean;
  /** When it aborts all is closed, and the iterator rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Takes a record for each lookup, with all that docs/attributes.md has; those of the process too, for its resource is yours. */
  readonly loggerProvider?: GivenLoggerProvider;
  /** Takes `whodns.queries`, `dns.lookup.duration` and the capture's own health: docs/metrics.md. */
  readonly meterProvider?: GivenMeterProvider;
  /** What an operator should know, one line each. Default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void;
}

export interface CaptureOptions extends LookupOptions {
  /** Kernel hooks. Default: `auto`, the best that attaches. */
  readonly hook?: 'auto' | 'fentry' | 'kprobe' | 'tracepoint';
  /** The iterator ends after this time, when what was in flight has been given. Default: never. */
  readonly durationMs?: number;
  /** Events that may wait for the program; what finds no room is dropped and counted. Default: 10 000. */
  readonly queueSize?: number;
  /** Bytes of the kernel's ring, a power of two. Default: 8 MiB. */
  readonly ringBytes?: number;
  /** `process.args`, secrets masked. Default: false. */
  readonly commandArgs?: boolean;
  /** The span that a thread is in, where its application publishes it (OTEP 4947). Default: false. */
  readonly traceContext?: boolean;
  /** Who knows the containers: the usual sockets (`auto`), no one (`off`), or a socket. Default: `auto`. */
  readonly containerRuntime?: string;
  /** Where pods are known from. Default: `auto`: inside a pod its API. */
  readonly kubernetes?: 'auto' | 'off' | 'api' | 'kubelet';
  /** Name of this Kubernetes node. */
  readonly nodeName?: string;
}

/** What became of the lookups so far. */
export interface CaptureStats {
  /** undefined: not started. */
  readonly hook: HookFamily | undefined;
  /** Given to the program. */
  readonly given: number;
  /** In the queue. */
  readonly waiting: number;
  /** Found the queue full. */
  readonly dropped: number;
  /** Not what `filter` asks for. */
  readonly filtered: number;
  /** Every loss, by stage and reason (docs/runbook.md): `kernel/ring_full`. Empty: nothing was lost. */
  readonly losses: Readonly<Record<string, number>>;
}

/** Lookups, as they happen. Leaving a `for await` loop closes it, and so does `await using`. */
export interface Capture extends AsyncIterableIterator<LookupEvent, undefined>, AsyncDisposable {
  /** Resolves when every lookup from now on is seen; rejects as the iterator will. */
  readonly ready: Promise<void>;
  /** Resolves when everything is closed: programs detached, no handle open. */
  readonly closed: Promise<void>;
  /** Events that found the queue full. */
  readonly dropped: number;
  stats(): CaptureStats;
  /** Closes everything, and resolves when that is done. What waits in the queue is dropped. */
  return(): Promise<IteratorReturnResult<undefined>>;
  [Symbol.asyncIterator](): Capture;
}
