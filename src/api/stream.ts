/** A capture or a replay as an async iterator: from its start to the end, when nothing of it is open any more. */
import { Writable } from 'node:stream';
import type { Agent, AgentOptions } from '../agent.ts';
import { type Config, type Flags, resolveConfig } from '../config/config.ts';
import { createLog } from '../lib/log.ts';
import { readPackageFile } from '../lib/package-files.ts';
import { createGivenSinks } from '../sinks/otlp/given-providers.ts';
import type { Sink } from '../sinks/sink.ts';
import { CaptureError, toCaptureError } from './capture-error.ts';
import type { LookupEvent } from './event.ts';
import { EventQueue } from './event-queue.ts';
import type { Capture, CaptureOptions, CaptureStats, LookupOptions } from './options.ts';

/** What is in flight at the end is finished within this time. */
const STOP_MS = 2000;

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
    ...(options.filter === undefined ? {} : { filter: options.filter }),
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
    const { given, waiting, dropped } = this.#queue;
    const { stages = [], source } = this.#agent?.stats() ?? {};
    const filtered = stages.find(({ name }) => name === 'visibility')?.filtered['filter'] ?? 0;
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
    const agent = await this.#parts.open(this.#openParts());
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

  #openParts(): OpenParts {
    const { loggerProvider, meterProvider } = this.#parts.options;
    return {
      version: packageVersion(),
      // Only what is worth a warning: this is not the agent's console.
      log: createLog('warn', (line) => this.#warn(line.trim())),
      stdout: NO_CONSOLE,
      color: false,
      environment: process.env,
      moreSinks: ({ ledger, source }): readonly Sink[] => [
        this.#queue.sink(ledger),
        ...createGivenSinks({
          loggerProvider,
          meterProvider,
          ledger,
          source,
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

interface Failure {
  readonly error: unknown;
}

const NO_CONSOLE = new Writable({ write: (_chunk, _encoding, done) => done() });

function packageVersion(): string {
  return (JSON.parse(readPackageFile('package.json')) as { version: string }).version;
}
