/**
 * `capture`: the lookups of this host as an async iterator, in the program that asks for them.
 *
 * The program stays the caller's: no signal handler, no exit, no change of its capabilities, its memory settings or V8's flags. It needs
 * the rights that loading BPF programs takes (CAP_BPF and CAP_PERFMON, for kprobe hooks often CAP_SYS_ADMIN; README, "Privileges") when
 * `capture` is called, and may give them up when `ready` resolves.
 */
import { existsSync } from 'node:fs';
import { Writable } from 'node:stream';
import { Agent, type AgentOptions } from '../agent.ts';
import { type Config, type Flags, resolveConfig } from '../config/config.ts';
import { compileFilter } from '../filter/compile.ts';
import { explainProblem } from '../filter/explain.ts';
import { parseFilter } from '../filter/parse.ts';
import { createLog } from '../lib/log.ts';
import { readPackageFile } from '../lib/package-files.ts';
import type { LookupView } from '../lookup/view.ts';
import type { HookFamily } from '../model.ts';
import { createGivenSinks } from '../sinks/otlp/given-providers.ts';
import type { Sink } from '../sinks/sink.ts';
import { CaptureError, toCaptureError } from './capture-error.ts';
import type { LookupEvent } from './event.ts';
import { EventQueue } from './event-queue.ts';
import type { GivenLoggerProvider, GivenMeterProvider } from './providers.ts';

const DEFAULT_QUEUE = 10_000;
/** What is in flight at the end is finished within this time. */
const STOP_MS = 2000;

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
  /** Who knows the containers: the usual sockets (`auto`), nobody (`off`), or a socket. Default: `auto`. */
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

/**
 * The lookups of all processes of this host, but for this program's own. Begins at once; several at a time are independent of each other.
 * @throws CaptureError (by the iterator and by `ready`): `rights`, `kernel`, `addon`, `options`
 */
export function capture(options: CaptureOptions = {}): Capture {
  return new LookupStream({
    options,
    queueSize: options.queueSize ?? DEFAULT_QUEUE,
    durationMs: options.durationMs,
    otherwise: 'kernel',
    async open(parts) {
      if (!existsSync('/proc/self/ns/pid')) throw new CaptureError('kernel', '/proc is not mounted');
      return Agent.create({ ...parts, config: configOf('run', options), file: undefined });
    },
  });
}

export type OpenParts = Omit<AgentOptions, 'config' | 'file'>;

interface StreamParts {
  readonly options: LookupOptions;
  readonly queueSize: number;
  readonly durationMs: number | undefined;
  readonly otherwise: 'kernel' | 'file';
  readonly open: (parts: OpenParts) => Promise<Agent>;
}

/** Names of the command's settings as options: checked by the same rules. @throws CaptureError `options` */
export function configOf(command: 'run' | 'replay', options: CaptureOptions): Config {
  const flags: Flags = {
    exporters: ['none'],
    ...(options.ports === undefined ? {} : { ports: options.ports.map(String) }),
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: `${options.timeoutMs}ms` }),
    ...(options.nxdomainError === undefined ? {} : { nxdomainError: options.nxdomainError }),
    ...(options.hook === undefined ? {} : { hook: options.hook }),
    ...(options.ringBytes === undefined ? {} : { ringBytes: String(options.ringBytes) }),
    ...(options.commandArgs === undefined ? {} : { commandArgs: options.commandArgs }),
    ...(options.traceContext === undefined ? {} : { traceContext: options.traceContext }),
    ...(options.containerRuntime === undefined ? {} : { containerRuntime: options.containerRuntime }),
    ...(options.kubernetes === undefined ? {} : { kubernetes: options.kubernetes }),
    ...(options.nodeName === undefined ? {} : { nodeName: options.nodeName }),
  };
  try {
    return resolveConfig(command, flags, {}).config;
  } catch (error) {
    throw toCaptureError(error, 'options');
  }
}

export class LookupStream implements Capture {
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  readonly #parts: StreamParts;
  readonly #queue: EventQueue;
  /** Resolves when the program wants no more. */
  readonly #left = Promise.withResolvers<void>();
  #agent: Agent | undefined;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    const { loggerProvider, meterProvider } = parts.options;
    this.#queue = new EventQueue({
      limit: parts.queueSize,
      waitsForReader: loggerProvider !== undefined || meterProvider !== undefined,
    });
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.ready.catch(() => {}); // whoever iterates has the error
    this.closed = this.#run(ready);
  }

  get dropped(): number {
    return this.#queue.dropped;
  }

  stats(): CaptureStats {
    const { given, waiting, dropped, filtered } = this.#queue;
    const { stages = [], source } = this.#agent?.stats() ?? {};
    const losses = [
      ...Object.entries(source?.drops ?? {}).map(([reason, count]) => [`kernel/${reason}`, count] as const),
      ...stages.flatMap((stage) =>
        Object.entries(stage.dropped).map(([reason, count]) => [`${stage.name}/${reason}`, count] as const),
      ),
    ].filter(([, count]) => count > 0);
    return { hook: source?.hook, given, waiting, dropped, filtered, losses: Object.fromEntries(losses) };
  }

  async next(): Promise<IteratorResult<LookupEvent, undefined>> {
    try {
      const result = await this.#queue.next();
      if (result.done === true) await this.closed;
      return result;
    } catch (error) {
      await this.closed;
      throw error;
    }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#leave(undefined);
    await this.closed;
    return { done: true, value: undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #leave(failure: Failure | undefined): void {
    this.#queue.discard();
    this.#queue.end(failure);
    this.#left.resolve();
  }

  /** Never rejects: the queue has the error. */
  async #run(ready: PromiseWithResolvers<void>): Promise<void> {
    const { signal } = this.#parts.options;
    const onAbort = () => this.#leave({ error: signal?.reason });
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    let failure: Failure | undefined;
    try {
      await this.#capture(ready);
    } catch (error) {
      failure = { error: toCaptureError(error, this.#parts.otherwise) };
    }
    signal?.removeEventListener('abort', onAbort);
    ready.reject(failure?.error ?? signal?.reason ?? new Error('closed before it began'));
    this.#queue.end(failure);
  }

  /** Until it ends by itself, the time is over, or the program leaves. @throws what it could not do; all is closed then too */
  async #capture(ready: PromiseWithResolvers<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let isLeft = false;
    const left = this.#left.promise.then(() => {
      isLeft = true;
    });
    await Promise.resolve();
    if (isLeft) return;
    const agent = await this.#parts.open(await this.#openParts());
    this.#agent = agent;
    try {
      if (isLeft) return;
      await agent.start();
      ready.resolve();
      const over = Promise.withResolvers<void>();
      if (this.#parts.durationMs !== undefined) timer = setTimeout(over.resolve, this.#parts.durationMs);
      await Promise.race([agent.finished, over.promise, left]);
    } finally {
      clearTimeout(timer);
      await agent.stop(isLeft ? 0 : STOP_MS);
    }
    const { errors, warnings } = agent.captureReport ?? { errors: [], warnings: [] };
    for (const line of warnings) this.#warn(line);
    if (errors.length > 0 && !isLeft) throw new CaptureError('damaged', errors.join('; '));
  }

  async #openParts(): Promise<OpenParts> {
    const { filter, loggerProvider, meterProvider } = this.#parts.options;
    const wants = filter === undefined ? undefined : await predicateOf(filter);
    return {
      version: packageVersion(),
      // Only what is worth a warning: this is not the agent's console.
      log: createLog('warn', (line) => this.#warn(line.trim())),
      stdout: NO_CONSOLE,
      color: false,
      environment: process.env,
      moreSinks: ({ ledger, source }): readonly Sink[] => [
        this.#queue.sink(ledger, wants),
        ...createGivenSinks({
          loggerProvider,
          meterProvider,
          ledger,
          source,
          wants,
          version: packageVersion(),
        }),
      ],
    };
  }

  #warn(message: string): void {
    const { onWarning } = this.#parts.options;
    if (onWarning !== undefined) onWarning(message);
    else process.emitWarning(message, 'WhodnsWarning');
  }
}

/** @throws CaptureError `options`: it is no filter, and where it goes wrong */
async function predicateOf(text: string): Promise<(lookup: LookupView) => boolean> {
  const parsed = parseFilter(text);
  if ('problem' in parsed)
    throw new CaptureError('options', `filter: ${explainProblem(text, parsed.problem)}`);
  try {
    return (await compileFilter(parsed.value)).lookup;
  } catch (error) {
    throw new CaptureError('options', `filter: ${(error as Error).message}`, { cause: error });
  }
}

interface Failure {
  readonly error: unknown;
}

const NO_CONSOLE = new Writable({ write: (_chunk, _encoding, done) => done() });

function packageVersion(): string {
  return (JSON.parse(readPackageFile('package.json')) as { version: string }).version;
}
