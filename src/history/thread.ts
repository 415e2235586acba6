/**
 * The thread that keeps the history, seen from outside: begun, asked, and begun again when it died. No question waits for ever.
 */
import { Worker } from 'node:worker_threads';
import { UserError } from '../lib/errors.ts';
import { workerScript } from '../lib/package-files.ts';
import { forwarded } from './forwarded.ts';
import type { FromWorker, ToWorker, WorkerData } from './messages.ts';
import type { HistoryQueries } from './types.ts';

export interface ThreadEvents {
  /** The oldest batch is kept, or with an error lost. Its memory is free again. */
  readonly onKept: (buffer: ArrayBuffer, error: string | undefined) => void;
  /** It died: what was under way is lost. It will be begun again. */
  readonly onDeath: (message: string) => void;
  /** It was begun again: it knows no processes. */
  readonly onRestart: () => void;
  readonly warn: (message: string) => void;
}

const FIRST_RESTART_MS = 1000;
const MAX_RESTART_MS = 60_000;
const MAX_QUESTIONS = 32;
const ANSWER_MS = 30_000;
/** MB of the thread's own objects; what SQLite holds comes on top of it, some 10 MB. */
const HEAP = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 8 };

interface Question {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class HistoryThread {
  /** Rejects where the thread is dead, or too much is asked at once. */
  readonly queries: HistoryQueries = forwarded((question, given) => this.#ask(question, given));
  readonly #data: WorkerData;
  readonly #events: ThreadEvents;
  #worker: Worker | undefined;
  /** Batches that are not answered. */
  #underWay = 0;
  #restartMs = FIRST_RESTART_MS;
  #restart: NodeJS.Timeout | undefined;
  #isClosed = false;
  readonly #closed = Promise.withResolvers<void>();
  readonly #questions = new Map<number, Question>();
  #lastQuestion = 0;

  private constructor(data: WorkerData, events: ThreadEvents) {
    this.#data = data;
    this.#events = events;
  }

  /** @throws UserError: the place cannot be written to */
  static async start(data: WorkerData, events: ThreadEvents): Promise<HistoryThread> {
    const thread = new HistoryThread(data, events);
    const refused = await thread.#begin();
    if (refused === undefined) return thread;
    thread.end();
    throw new UserError(`cannot keep a history in ${data.place}: ${refused}`);
  }

  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /** Only while it is running. */
  keep(batch: ToWorker & { readonly kind: 'batch' }): void {
    this.#underWay++;
    // The program does not end before it is kept.
    this.#worker?.ref();
    this.#worker?.postMessage(batch, [batch.buffer]);
  }

  /** Resolves when all that came before is kept and the files are closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    const worker = this.#worker;
    if (worker === undefined) return;
    worker.ref();
    worker.postMessage({ kind: 'close' } satisfies ToWorker);
    await this.#closed.promise;
  }

  /** At once, whatever it does. */
  end(): void {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    const worker = this.#worker;
    this.#worker = undefined;
    this.#failAll('the history is closed');
    void worker?.terminate();
  }

  /** @returns why it cannot begin */
  #begin(): Promise<string | undefined> {
    const begun = Promise.withResolvers<string | undefined>();
    const { script, isSource } = workerScript('history-worker');
    const worker = new Worker(script, {
      eval: isSource,
      workerData: this.#data,
      resourceLimits: HEAP,
      // Not the terminal's: it has nothing to say there.
      stdin: false,
      name: 'whodns-history',
    });
    this.#worker = worker;
    this.#underWay = 0;
    // From here on only what is under way keeps the program from ending.
    void begun.promise.then(() => {
      if (this.#underWay === 0) worker.unref();
    });
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'ready') begun.resolve(undefined);
      else if (message.kind === 'refused') begun.resolve(message.message);
      else this.#heard(message);
    });
    worker.on('error', (error: Error) => {
      begun.resolve(error.message);
      this.#died(worker, error.message);
    });
    worker.on('exit', (code) => {
      begun.resolve(`its thread ended (${code})`);
      this.#died(worker, `its thread ended (${code})`);
    });
    return begun.promise;
  }

  #heard(message: FromWorker): void {
    switch (message.kind) {
      case 'kept':
        this.#restartMs = FIRST_RESTART_MS;
        if (--this.#underWay === 0) this.#worker?.unref();
        this.#events.onKept(message.buffer, message.error);
        return;
      case 'warning':
        this.#events.warn(message.message);
        return;
      case 'closed':
        this.#worker = undefined;
        this.#closed.resolve();
        return;
      case 'answer':
        this.#take(message.id)?.resolve(message.value);
        return;
      case 'failure': {
        const { message: text, hint, exitCode } = message;
        const error =
          exitCode === undefined
            ? new Error(text)
            : new UserError(text, { exitCode, ...(hint === undefined ? {} : { hint }) });
        this.#take(message.id)?.reject(error);
      }
    }
  }

  #died(worker: Worker, message: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#closed.resolve();
    this.#failAll('the thread of the history has ended');
    if (this.#isClosed) return;
    this.#events.onDeath(message);
    this.#restart = setTimeout(() => this.#again(), this.#restartMs).unref();
    this.#restartMs = Math.min(this.#restartMs * 2, MAX_RESTART_MS);
  }

  async #again(): Promise<void> {
    this.#events.onRestart();
    const refused = await this.#begin();
    if (refused === undefined || this.#isClosed) return;
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#died(worker, refused);
    void worker.terminate();
  }

  #ask(question: keyof HistoryQueries, given: readonly unknown[]): Promise<unknown> {
    const worker = this.#worker;
    if (worker === undefined) return Promise.reject(new UserError('the history cannot be asked now'));
    if (this.#questions.size >= MAX_QUESTIONS)
      return Promise.reject(new UserError('too many questions to the history at once'));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastQuestion;
      const timer = setTimeout(() => {
        this.#take(id)?.reject(new UserError(`no answer of the history within ${ANSWER_MS / 1000} s`));
      }, ANSWER_MS);
      this.#questions.set(id, { resolve, reject, timer });
      worker.postMessage({ kind: 'question', id, question, given } satisfies ToWorker);
    });
  }

  #take(id: number): Question | undefined {
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    clearTimeout(question?.timer);
    return question;
  }

  #failAll(message: string): void {
    for (const id of [...this.#questions.keys()]) this.#take(id)?.reject(new UserError(message));
  }
}
