/**
 * The whole graph on one screen:
 *   source -> streams -> dns -> enrich -> correlate -> DNS cache -> search folding -> hold -> record -> fan-out -> sinks
 *         \-> connections (joined to process and DNS cache) -> hold -> record -> fan-out -> sinks
 *   lookups and connections -> detections -> fan-out -> sinks
 * One synchronous loop per batch; only flushing is asynchronous.
 */
import type { Source } from './capture/source.ts';
import type { Config } from './config/config.ts';
import { Connections } from './connections.ts';
import { Correlator } from './correlate.ts';
import type { Detections } from './detect/detections.ts';
import type { SearchFolding } from './detect/search.ts';
import { decodeMessage } from './dns/message.ts';
import type { DnsCache } from './dnscache/index.ts';
import type { ProcessTable } from './enrich/process.ts';
import { WorkloadHold } from './enrich/workload-hold.ts';
import type { MetadataCounts, Workloads } from './enrich/workloads.ts';
import type { Ledger, StageSnapshot } from './health.ts';
import { wallClock } from './lib/clock.ts';
import type { ConnectionEvent, Lookup, Owner, ProcessCount, RawEvent, RawProcess } from './model.ts';
import { toConnectionLog } from './sinks/connection-record.ts';
import { toLogEvent } from './sinks/record.ts';
import type { Sink } from './sinks/sink.ts';
import type { StreamMessage } from './streams/message.ts';
import { Streams } from './streams/streams.ts';
import type { VisibilityGate } from './visibility/gate.ts';
import type { Visibility, VisibilityCounts } from './visibility/visibility.ts';

/** Housekeeping interval. */
const TICK_MS = 200;
/** A round of looking for exited processes begins this often, and goes on with so many at each tick: 500 a second. */
const SWEEP_TICKS = 50;
const SWEEP_PROCESSES = 100;
/** Kernel counters of processes that have not asked for this long are forgotten, if no sink does that. */
const IDLE_NS = 600_000_000_000n;
/** Events wait this long in the ring at most before they are handed over; a time-out must not overtake an answer there. */
const RING_DELAY_NS = 300_000_000n;
/** Capturing begins when the runtimes have listed their containers, after this time without them. */
const READY_MS = 1000;

/** A process only counted is named again so many ticks after it was announced, or twice as many. */
const ANNOUNCED_TICKS = 5;
const MOST_ANNOUNCED = 4096;

export interface PipelineParts {
  readonly config: Config;
  readonly source: Source;
  readonly processes: ProcessTable;
  /** Containers and pods; undefined: nobody is asked about them. */
  readonly workloads?: Workloads | undefined;
  /** Who is captured; undefined: everybody. */
  readonly visibility?: Visibility | undefined;
  readonly gate?: VisibilityGate | undefined;
  /** All sinks behind one (sinks/fan-out.ts). */
  readonly sink: Sink;
  readonly ledger: Ledger;
  /** A sink reads and forgets the kernel's per-process counters; else the pipeline keeps their table from filling up. */
  readonly metersProcesses: boolean;
  /** Learns from every answer; undefined: nobody asks it. */
  readonly dnsCache?: DnsCache | undefined;
  /** Connections are captured: for their records (`--connections`), for detections, or for both. */
  readonly seesConnections: boolean;
  /** Fan-out of search lists; undefined: not looked for. */
  readonly folding?: SearchFolding | undefined;
  /** undefined: none are configured. */
  readonly detections?: Detections | undefined;
  /** Called every 10 s. */
  readonly onSweep?: () => void;
}

export interface PipelineStats {
  readonly stages: readonly StageSnapshot[];
  readonly source: ReturnType<Source['stats']>;
  /** The kernel's counters; with the name of the executable where the process is known. */
  readonly processes: readonly (ProcessCount & { readonly name?: string })[];
  /** How the identities of processes came about. */
  readonly identities: ProcessTable['counts'];
  /** Containers and pods, and what their sources did. */
  readonly metadata: MetadataCounts | undefined;
  readonly visibility: VisibilityCounts | undefined;
}

export class Pipeline {
  readonly #parts: PipelineParts;
  readonly #streams: Streams;
  readonly #correlator: Correlator;
  readonly #connections: Connections | undefined;
  readonly #dns;
  readonly #hold: WorkloadHold<Lookup | ConnectionEvent> | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #ticks = 0;
  #stopped: Promise<void> | undefined;
  #announcedLately: Owner[] = [];
  #announcedBefore: Owner[] = [];

  /** Resolves when the source has nothing more to give; of a file, when its records are delivered too, however long that takes. */
  readonly finished: Promise<void>;

  constructor(parts: PipelineParts) {
    const { config, ledger } = parts;
    this.#parts = parts;
    this.finished = parts.config.command === 'replay' ? this.#delivered() : parts.source.finished;
    this.finished.catch(() => {}); // whoever waits for it has the error
    this.#streams = new Streams(ledger.stage('streams'));
    this.#dns = ledger.stage('dns');
    this.#hold = this.#createHold();
    this.#correlator = new Correlator({
      timeoutNs: BigInt(config.timeoutMs) * 1_000_000n,
      maxInFlight: config.maxInFlight,
      emit: config.emit,
      onLookup: (lookup) => this.#record(lookup),
      stage: ledger.stage('correlate'),
      answers: ledger.stage('answers'),
    });
    const { dnsCache, processes, seesConnections } = parts;
    if (!seesConnections || dnsCache === undefined) return;
    this.#connections = new Connections({
      processes,
      dnsCache,
      onConnection: (event) => this.#connection(event),
      stage: ledger.stage('connections'),
    });
  }

  /** Requests waiting for their answer. */
  get evicted(): number {
    return this.#correlator.evicted;
  }

  async start(): Promise<void> {
    const { source, config, sink } = this.#parts;
    const isReplay = config.command === 'replay';
    const { visibility } = this.#parts;
    this.#parts.workloads?.start(
      (containerId) => this.#hold?.changed(containerId),
      () => visibility?.metadataChanged(),
    );
    await this.#parts.workloads?.ready(READY_MS);
    // A file can be read faster than anything can be exported: it waits, a kernel does not.
    await source.start((events) => {
      this.#batch(events);
      return isReplay ? (sink.room?.() ?? sink.flush()) : undefined;
    });
    visibility?.start();
    // A capture file brings its own time.
    if (!isReplay) this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Ends capturing, finishes what is in flight and flushes the sinks within `deadlineMs`. */
  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  stats(): PipelineStats {
    const { ledger, source, processes, workloads, visibility } = this.#parts;
    return {
      stages: ledger.snapshot(),
      source: source.stats(),
      processes: source.processes().map((count) => {
        const name = processes.nameOf(count);
        return name === undefined ? count : { ...count, name };
      }),
      identities: processes.counts,
      metadata: workloads?.allCounts(),
      visibility: visibility?.counts,
    };
  }

  async #stop(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    clearInterval(this.#ticker);
    this.#parts.visibility?.stop();
    await this.#parts.source.stop();
    this.#streams.close(this.#message);
    if (this.#parts.config.command === 'run') this.#correlator.expire(wallClock());
    this.#correlator.flush();
    this.#hold?.flush();
    await this.#parts.workloads?.stop();
    await this.#parts.sink.close(Math.max(deadline - performance.now(), 0));
  }

  async #delivered(): Promise<void> {
    try {
      await this.#parts.source.finished;
    } finally {
      await this.#parts.sink.flush();
    }
  }

  #batch(events: readonly RawEvent[]): void {
    for (const event of events) {
      if (event.kind === 'message') this.#streams.accept(event, this.#message);
      else if (event.kind === 'process') this.#announced(event);
      else this.#connections?.accept(event);
    }
  }

  #announced(event: RawProcess): void {
    const { processes, gate } = this.#parts;
    processes.announce(event);
    if (gate === undefined) return;
    gate.announced(processes.identify(event.owner));
    // Container and pod may be known a little later.
    if (this.#announcedLately.length < MOST_ANNOUNCED) this.#announcedLately.push(event.owner);
  }

  readonly #message = (whole: StreamMessage): void => {
    const { raw, payload, length } = whole;
    const message = decodeMessage(payload, length);
    const event = { raw, length, captured: payload.length, message };
    const isReadable = message.id >= 0;
    this.#dns.in++;
    if (raw.direction === 'request') {
      // Sent to a DNS port, but an answer: a server that answers a resolver which asks from port 53, or mDNS.
      if (isReadable && message.response) {
        this.#dns.filter('answer-sent');
        return;
      }
      this.#dns.out++;
      this.#correlator.request(event, this.#parts.processes.identify(raw.owner));
    } else if (isReadable && !message.response) {
      this.#dns.filter('request-received');
    } else {
      this.#dns.out++;
      this.#correlator.response(event);
    }
  };

  #createHold(): WorkloadHold<Lookup | ConnectionEvent> | undefined {
    const { workloads, processes, ledger } = this.#parts;
    if (workloads === undefined) return undefined;
    const onLookup = (event: Lookup | ConnectionEvent) => {
      if ('kind' in event) this.#emitConnection(event);
      else this.#emit(event);
    };
    return new WorkloadHold({ workloads, processes, stage: ledger.stage('workloads'), onLookup });
  }

  #record(lookup: Lookup): void {
    const { dnsCache, folding } = this.#parts;
    // First of all: the next event may be the connection to what was answered.
    dnsCache?.add(lookup);
    const search = folding?.fold(lookup);
    const whole = search === undefined ? lookup : { ...lookup, search };
    if (lookup.process.incomplete === true && this.#hold !== undefined) this.#hold.accept(whole);
    else this.#emit(whole);
  }

  #emit(lookup: Lookup): void {
    const { sink, detections, config, gate } = this.#parts;
    if (gate?.admits(lookup) === false) return;
    const event = toLogEvent(lookup, wallClock(), config);
    sink.accept(event);
    detections?.lookup(lookup, event);
  }

  #connection(event: ConnectionEvent): void {
    if (event.process.incomplete === true && this.#hold !== undefined) this.#hold.accept(event);
    else this.#emitConnection(event);
  }

  #emitConnection(event: ConnectionEvent): void {
    const { detections, sink, config, gate } = this.#parts;
    if (gate?.admitsProcess(event.process) === false) return;
    const record = config.connections ? toConnectionLog(event, wallClock()) : undefined;
    if (record !== undefined) sink.accept(record);
    detections?.connection(event, record);
  }

  #tick(): void {
    const handedOver = wallClock() - RING_DELAY_NS;
    this.#streams.expire(handedOver, this.#message);
    this.#correlator.expire(handedOver);
    this.#ticks++;
    if (this.#ticks % ANNOUNCED_TICKS === 0) this.#nameAgain();
    this.#sweep(handedOver);
  }

  #nameAgain(): void {
    const { processes, gate } = this.#parts;
    for (const owner of this.#announcedBefore) gate?.announced(processes.identify(owner));
    this.#announcedBefore = this.#announcedLately;
    this.#announcedLately = [];
  }

  #sweep(now: bigint): void {
    const { processes, source, metersProcesses } = this.#parts;
    processes.sweep(SWEEP_PROCESSES);
    if (this.#ticks % SWEEP_TICKS !== 0) return;
    processes.beginSweep();
    this.#parts.onSweep?.();
    if (metersProcesses || this.#ticks % (SWEEP_TICKS * 6) !== 0) return;
    source.forget(source.processes().filter(({ lastSeen }) => now - lastSeen > IDLE_NS));
  }
}
