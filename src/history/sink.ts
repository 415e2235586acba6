/**
 * The history of a run as a sink. This side only copies numbers and bytes into buffers and hands them to the thread that keeps them.
 * What waits is bounded; when that thread is stuck or dead, what comes is counted as lost and capture goes on.
 */
import type { Ledger, Stage } from '../ledger.ts';
import { LookupView } from '../lookup/view.ts';
import type { LogEvent, ProcessIdentity } from '../model.ts';
import { FailureReporter } from '../sinks/delivery/failure-reporter.ts';
import { type Notices, type Sink, stageName } from '../sinks/sink.ts';
import { BATCH_BYTES, BatchWriter } from './batch.ts';
import type { WorkerData } from './messages.ts';
import type { SentProcess } from './process-rows.ts';
import type { SentEvent } from './sent-event.ts';
import { sentEvent } from './sent-event.ts';
import { HistoryThread } from './thread.ts';
import type { HistoryQueries } from './types.ts';

export interface HistoryOptions extends WorkerData {
  readonly ledger: Ledger;
  readonly notices: Notices;
  /** Called when all is closed: the directory is free. */
  readonly release?: () => void;
}

/** Buffers that wait or are filled: 8 MB in all. */
const MAX_BUFFERS = 32;
/** With fewer under way there is room for some thousand lookups more. */
const ROOMY_BUFFERS = 8;
/** Connections and findings of one batch, and distinct processes numbered before the count begins again. */
const MAX_EVENTS = 1000;
const MAX_PROCESSES = 65_536;
/** ms that a lookup waits for others. */
const FLUSH_MS = 250;
/** ms without an answer after which the thread is called stuck. */
const STUCK_MS = 10_000;

export class HistorySink implements Sink {
  readonly name = 'history';
  readonly #release: () => void;
  readonly #notices: Notices;
  readonly #stage: Stage<'sink:history'>;
  readonly #reporter: FailureReporter;
  #thread: HistoryThread | undefined;
  #writer: BatchWriter | undefined;
  #events: SentEvent[] = [];
  readonly #free: ArrayBuffer[] = [];
  #buffers = 0;
  /** Records of the batches under way, the oldest first. */
  #underWay: number[] = [];
  #inFlight = 0;
  /** When the oldest of them began to be the oldest. */
  #lastAnswer = 0;
  #numbers = new WeakMap<ProcessIdentity, number>();
  #numbered = 0;
  #unsent = new Map<number, SentProcess>();
  #isFirst = true;
  #timer: NodeJS.Timeout | undefined;
  #progress = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;

  private constructor({ ledger, notices, release }: HistoryOptions) {
    this.#notices = notices;
    this.#release = release ?? (() => {});
    this.#stage = ledger.stage(stageName('history'));
    this.#stage.held = () => this.#inFlight + this.#pending;
    this.#reporter = new FailureReporter('history', notices);
  }

  /** @throws UserError: the place cannot be written to */
  static async open(options: HistoryOptions): Promise<HistorySink> {
    const sink = new HistorySink(options);
    const { place, maxBytes, maxAgeMs, maxRows, notices } = options;
    const data = { place, maxBytes, maxAgeMs, maxRows };
    try {
      sink.#thread = await HistoryThread.start(data, {
        onKept: (buffer, error) => sink.#kept(buffer, error),
        onDeath: (message) => sink.#died(message),
        onRestart: () => sink.#countAgain(),
        warn: (message) => notices.warn(`history: ${message}`),
      });
    } catch (error) {
      sink.#release();
      throw error;
    }
    return sink;
  }

  get queries(): HistoryQueries {
    return (this.#thread as HistoryThread).queries;
  }

  accept(event: LogEvent): void {
    this.#stage.in++;
    if (this.#closing !== undefined) {
      this.#stage.drop('closed');
      return;
    }
    const { lookup } = event;
    const isKept = lookup instanceof LookupView ? this.#lookup(lookup) : this.#event(event);
    if (!isKept) {
      this.#stage.drop('queue_full');
      this.#reporter.failed(1, this.#why);
      return;
    }
    this.#timer ??= setTimeout(() => this.#flushNow(), FLUSH_MS).unref();
  }

  async flush(): Promise<void> {
    const target = this.#stage.in;
    for (;;) {
      this.#send();
      const held = this.#stage.held();
      if (held === 0 || this.#stage.in - held >= target) return;
      await this.#progress.promise;
    }
  }

  async room(): Promise<void> {
    while (this.#underWay.length > ROOMY_BUFFERS) await this.#progress.promise;
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    const thread = this.#thread as HistoryThread;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, deadlineMs);
    const done = (async () => {
      await this.flush();
      await thread.close();
    })();
    await Promise.race([done, late.promise]);
    clearTimeout(timer);
    clearTimeout(this.#timer);
    thread.end();
    const lost = this.#stage.held();
    this.#stage.drop('shutdown', lost);
    this.#forgetAll();
    this.#reporter.finish(lost);
    this.#release();
  }

  #lookup(lookup: LookupView): boolean {
    const writer = this.#writer ?? this.#nextWriter();
    if (writer === undefined) return false;
    writer.add(lookup, this.#number(lookup.process));
    if (writer.isFull) this.#send();
    return true;
  }

  #event(event: LogEvent): boolean {
    if (this.#events.length >= MAX_EVENTS) this.#send();
    if (this.#events.length >= MAX_EVENTS) return false;
    this.#events.push(sentEvent(event, this.#number(event.process)));
    return true;
  }

  get #pending(): number {
    return (this.#writer?.count ?? 0) + this.#events.length;
  }

  get #why(): string {
    return this.#thread?.isRunning === true
      ? 'the disk, or the thread that writes to it, is too slow'
      : 'the thread that keeps it has ended';
  }

  #number(process: ProcessIdentity): number {
    const known = this.#numbers.get(process);
    if (known !== undefined) return known;
    // Not in the middle of a batch: its records have numbers of before.
    if (this.#numbered >= MAX_PROCESSES && this.#pending === 0) this.#countAgain();
    const { pid, startTime, attribution, executableName, containerId, workload, resource } = process;
    const number = this.#numbered++;
    this.#numbers.set(process, number);
    this.#unsent.set(number, {
      pid,
      startTime,
      attribution,
      executableName,
      containerId,
      workload,
      resource,
    });
    return number;
  }

  #countAgain(): void {
    this.#numbers = new WeakMap();
    this.#numbered = 0;
    this.#unsent = new Map();
    this.#isFirst = true;
  }

  #nextWriter(): BatchWriter | undefined {
    if (this.#thread?.isRunning !== true) return undefined;
    let buffer = this.#free.pop();
    if (buffer === undefined && this.#buffers < MAX_BUFFERS) {
      buffer = new ArrayBuffer(BATCH_BYTES);
      this.#buffers++;
    }
    this.#writer = buffer === undefined ? undefined : new BatchWriter(buffer);
    return this.#writer;
  }

  #flushNow(): void {
    this.#timer = undefined;
    this.#send();
    if (this.#pending > 0) this.#timer = setTimeout(() => this.#flushNow(), FLUSH_MS).unref();
    if (this.#underWay.length === 0 || performance.now() - this.#lastAnswer < STUCK_MS) return;
    this.#reporter.failed(0, `the thread that keeps it has not answered for ${STUCK_MS / 1000} s: the disk?`);
  }

  #send(): void {
    const records = this.#pending;
    const thread = this.#thread;
    if (records === 0 || thread?.isRunning !== true) return;
    const writer = this.#writer ?? this.#nextWriter();
    if (writer === undefined) return;
    this.#writer = undefined;
    const { buffer, count } = writer;
    const batch = { buffer, count, processes: this.#unsent, isFirst: this.#isFirst, events: this.#events };
    if (this.#underWay.length === 0) this.#lastAnswer = performance.now();
    this.#underWay.push(records);
    this.#inFlight += records;
    this.#events = [];
    this.#unsent = new Map();
    this.#isFirst = false;
    thread.keep({ kind: 'batch', ...batch });
  }

  #kept(buffer: ArrayBuffer, error: string | undefined): void {
    if (this.#closing !== undefined && this.#underWay.length === 0) return;
    const records = this.#underWay.shift() ?? 0;
    this.#inFlight -= records;
    this.#lastAnswer = performance.now();
    this.#free.push(buffer);
    if (error === undefined) {
      this.#stage.out += records;
      this.#reporter.succeeded();
    } else {
      this.#stage.drop('failed', records);
      this.#reporter.failed(records, error);
    }
    this.#advance();
  }

  /** What is being filled goes too: it holds numbers of processes that the next thread does not know. */
  #died(message: string): void {
    const lost = this.#stage.held();
    this.#stage.drop('failed', lost);
    this.#forgetAll();
    this.#countAgain();
    this.#reporter.failed(lost, message);
    this.#notices.info('history: it is begun again');
    this.#advance();
  }

  #forgetAll(): void {
    this.#underWay = [];
    this.#inFlight = 0;
    this.#writer = undefined;
    this.#events = [];
    this.#free.length = 0;
    this.#buffers = 0;
  }

  #advance(): void {
    const { resolve } = this.#progress;
    this.#progress = Promise.withResolvers();
    resolve();
  }
}
