/**
 * The whole graph on one screen:
 *   source -> streams -> dns -> enrich -> correlate -> DNS cache -> inspection hold -> search folding -> hold -> record -> fan-out -> sinks
 *         \-> connections (joined to process and DNS cache) -> inspection hold -> hold -> record -> fan-out -> sinks
 *   lookups and connections -> detections -> fan-out -> sinks
 * One synchronous loop per batch; only flushing is asynchronous.
 */
import type { Source } from './capture/source.ts';
import type { Config } from './config/config.ts';
import { Connections } from './connections.ts';
import type { Detections } from './detect/detections.ts';
import type { SearchFolding } from './detect/search.ts';
import { Message } from './dns/message.ts';
import type { DnsCache } from './dnscache/index.ts';
import { ContainerHold } from './enrich/containers/container-hold.ts';
import type { Containers, MetadataCounts } from './enrich/containers/containers.ts';
import { DelegatedCgroups } from './enrich/containers/delegated-cgroups.ts';
import type { RateRules } from './enrich/containers/rate-rules.ts';
import { InspectionHold } from './enrich/process/inspection-hold.ts';
import type { ProcessTable } from './enrich/process/process.ts';
import type { Ledger, StageSnapshot } from './ledger.ts';
import { wallClock } from './lib/clock.ts';
import { Fairness } from './lib/fairness.ts';
import { Envelope } from './lookup/envelope.ts';
import { FIELD_BITS } from './lookup/fields.ts';
import { InFlight } from './lookup/inflight.ts';
import { Losses, lossCounts } from './lookup/losses.ts';
import { LookupView } from './lookup/view.ts';
import type {
  Attributes,
  ConnectionEvent,
  Owner,
  ProcessCount,
  ProcessIdentity,
  RawEvent,
  RawProcess,
  ShareKey,
} from './model.ts';
import { toConnectionLog } from './records/connection-record.ts';
import { LookupRecord } from './records/lookup-record.ts';
import { toGaveWayLog, toSuppressedLog } from './records/suppressed-record.ts';
import type { Sink } from './sinks/sink.ts';
import type { StreamMessage } from './streams/message.ts';
import { Streams } from './streams/streams.ts';
import type { VisibilityGate } from './visibility/gate.ts';
import type { Visibility, VisibilityCounts } from './visibility/visibility.ts';

/** QR (RFC 1035 section 4.1.1). */
const RESPONSE_FLAG = 0x8000;
/** Housekeeping interval while something comes or is waited for, and when not. */
const TICK_MS = 200;
const QUIET_TICK_MS = 1000;
/** At most once a second; a little less, for ticks come unevenly. */
const LOSSES_MS = 900;
/** A round of looking for exited processes begins this often, and goes on with so many at each tick. */
const SWEEP_MS = 10_000;
const SWEEP_PROCESSES = 100;
/** Sweeps between two looks for counters that are idle. */
const SWEEPS_IDLE = 6;
/** Records each time of those who gave way: the others are told the next time. */
const MAX_TOLD = 64;
/** Kernel counters of processes that have not asked for this long are forgotten, if no sink does that. */
const IDLE_NS = 600_000_000_000n;
/** Events wait this long in the ring at most before they are handed over; a time-out must not overtake an answer there. */
const RING_DELAY_NS = 400_000_000n;
/** A tick that comes later than this found the loop busy or the agent stopped: what waits in the ring comes first, ms. */
const LATE_MS = 150;
/** Events of several CPUs are read in turn. */
const DISORDER_NS = 50_000_000n;
/** Losses are remembered longer than any lookup is open. */
const LOSSES_KEPT_NS = 10_000_000_000;
/** Capturing begins when the runtimes have listed their containers, after this time without them. */
const READY_MS = 1000;

/** Findings wait so long at the end for facts of processes. */
const MAX_FACTS_MS = 500;

/** A process only counted is named again so long after it was announced, or twice as long. */
const ANNOUNCED_MS = 1000;
const MAX_ANNOUNCED = 4096;

export interface PipelineParts {
  readonly config: Config;
  readonly source: Source;
  readonly processes: ProcessTable;
  /** Containers and pods; undefined: nobody is asked about them. */
  readonly containers?: Containers | undefined;
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
  /** It gets connections that have no record (`--connections`); it is among the sinks too. */
  readonly history?: Sink;
  /** Connections are captured: for their records (`--connections`), for the history, for detections. */
  readonly seesConnections: boolean;
  /** Fan-out of search lists; undefined: not looked for. */
  readonly folding?: SearchFolding | undefined;
  /** What else is asked about a process before its lookups go on; undefined: nothing. */
  readonly pending?: ((owner: Owner) => Promise<unknown> | undefined) | undefined;
  /** undefined: none are configured. */
  readonly detections?: Detections | undefined;
  /** Called every 10 s. */
  readonly onSweep?: () => void;
  /** Whose share of the bounds is whose. */
  readonly fairness?: Fairness;
  /** Resource attributes of the host. */
  readonly host?: Attributes;
  /** undefined: every control group has the same budget. */
  readonly rateRules?: RateRules | undefined;
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
  /** Containers that had to give way where something was full, and by what. */
  readonly gaveWay: readonly GaveWayStats[];
}

export interface GaveWayStats {
  readonly cgroupId: bigint;
  /** The process that had to last. */
  readonly pid: number;
  readonly uid: number;
  readonly executable: string;
  /** Container or pod, '' of a process of the host. */
  readonly workload: string;
  readonly counts: Readonly<Record<string, number>>;
}

export class Pipeline {
  readonly #parts: PipelineParts;
  readonly #streams: Streams;
  readonly #inFlight: InFlight;
  readonly #parsed = new Message();
  /** Of a message that came in several pieces. */
  readonly #joined = new Envelope();
  readonly #connections: Connections | undefined;
  readonly #dns;
  readonly #fairness: Fairness;
  readonly #losses: Losses;
  readonly #lookupRecord: LookupRecord;
  readonly #delegated = new DelegatedCgroups();
  readonly #inspection: InspectionHold<LookupView | ConnectionEvent>;
  readonly #hold: ContainerHold<LookupView | ConnectionEvent> | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #tickMs = 0;
  /** Of the clock of `performance.now()`, as what is next. */
  #lastTick = performance.now();
  #nextNames = 0;
  #nextLosses = 0;
  #nextSweep = performance.now() + SWEEP_MS;
  #sweeps = 0;
  /** There was a batch since the last tick. */
  #isBusy = false;
  /** When the batch at hand was read, Unix ns: once for all lookups in it. */
  #batchTime: bigint | undefined;
  /** When it was last told who gave way, Unix ns. */
  #toldAt = wallClock();
  /** Of the events handed over, Unix ns. */
  #lastEvent = 0n;
  #stopped: Promise<void> | undefined;
  #announcedLately: Owner[] = [];
  #announcedBefore: Owner[] = [];

  /** Resolves when the source has nothing more to give; of a file, when its records are delivered too, however long that takes. */
  readonly finished: Promise<void>;

  constructor(parts: PipelineParts) {
    const { config, ledger } = parts;
    this.#parts = parts;
    this.#lookupRecord = new LookupRecord(config);
    this.finished = parts.config.command === 'replay' ? this.#delivered() : parts.source.finished;
    this.finished.catch(() => {}); // whoever waits for it has the error
    const { source } = parts;
    this.#fairness = parts.fairness ?? new Fairness();
    this.#losses = new Losses({
      keepNs: config.timeoutMs * 1e6 + LOSSES_KEPT_NS,
      // A capture file has its own time, and counts nothing by it.
      ...(config.command === 'run' ? { read: () => lossCounts(source), now: wallClock } : {}),
    });
    const onLoss = this.#losses.noteConnection.bind(this.#losses);
    const maxPayload = config.command === 'run' ? config.maxPayload : undefined;
    this.#streams = new Streams(ledger.stage('streams'), {}, this.#fairness, onLoss, maxPayload);
    this.#dns = ledger.stage('dns');
    this.#inspection = this.#createInspectionHold();
    this.#hold = this.#createHold();
    this.#inFlight = new InFlight({
      timeoutNs: BigInt(config.timeoutMs) * 1_000_000n,
      maxInFlight: config.maxInFlight,
      emit: config.emit,
      onLookup: (lookup) => this.#record(lookup),
      stage: ledger.stage('correlate'),
      answers: ledger.stage('answers'),
      fairness: this.#fairness,
      losses: this.#losses,
    });
    const { dnsCache, processes, seesConnections } = parts;
    if (!seesConnections || dnsCache === undefined) return;
    this.#connections = new Connections({
      processes,
      dnsCache,
      onConnection: (event) => this.#inspection.accept(event),
      stage: ledger.stage('connections'),
    });
  }

  /** Requests waiting for their answer. */
  get evicted(): number {
    return this.#inFlight.evicted;
  }

  async start(): Promise<void> {
    const { source, config, sink } = this.#parts;
    const isReplay = config.command === 'replay';
    const { visibility } = this.#parts;
    this.#parts.containers?.start(
      (containerId) => this.#hold?.changed(containerId),
      () => visibility?.metadataChanged(),
    );
    await this.#parts.containers?.ready(READY_MS);
    // A file can be read faster than anything can be exported: it waits, a kernel does not.
    await source.start((events) => {
      this.#batch(events);
      return isReplay ? (sink.room?.() ?? sink.flush()) : undefined;
    });
    visibility?.start();
    // A capture file brings its own time.
    if (!isReplay) this.#tickEvery(TICK_MS);
  }

  /** Ends capturing, finishes what is in flight and flushes the sinks within `deadlineMs`. */
  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  stats(): PipelineStats {
    const { ledger, source, processes, containers, visibility } = this.#parts;
    return {
      stages: ledger.snapshot(),
      source: source.stats(),
      processes: source.processes().map((count) => {
        const name = processes.nameOf(count);
        return name === undefined ? count : { ...count, name };
      }),
      identities: processes.counts,
      metadata: containers?.allCounts(),
      visibility: visibility?.counts,
      gaveWay: this.#gaveWay(),
    };
  }

  #gaveWay(): GaveWayStats[] {
    const { processes } = this.#parts;
    return this.#fairness.workloads().map(({ cgroupId, owner, counts }) => {
      const known = processes.known(owner);
      const { executableName = '', workload = '' } = known ?? {};
      return { cgroupId, pid: owner.pid, uid: owner.uid, executable: executableName, workload, counts };
    });
  }

  async #stop(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    this.#parts.visibility?.stop();
    await this.#parts.source.stop();
    this.#reportSuppressed(Number.POSITIVE_INFINITY);
    this.#streams.close(this.#message);
    if (this.#parts.config.command === 'run') this.#inFlight.expire(wallClock());
    this.#inFlight.flush();
    await this.#inspection.drained();
    this.#hold?.flush();
    await this.#parts.detections?.close(Math.min((deadline - performance.now()) / 4, MAX_FACTS_MS));
    await this.#parts.containers?.stop();
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
    const last = events.at(-1);
    if (last !== undefined) this.#lastEvent = last.time;
    this.#isBusy = true;
    if (this.#tickMs === QUIET_TICK_MS) this.#tickEvery(TICK_MS);
    let next = 0;
    let failure: unknown;
    this.#batchTime = wallClock();
    // An error of ours ends the agent (main.ts), but not without the other events of its batch.
    while (next < events.length)
      try {
        while (next < events.length) this.#accept(events[next++] as RawEvent);
      } catch (error) {
        failure ??= error;
      }
    this.#batchTime = undefined;
    if (failure !== undefined) throw failure;
    this.#keepHouse();
  }

  /** While batches come the housekeeping is done behind them: another wake-up would cost as much again. */
  #keepHouse(): void {
    if (this.#ticker === undefined || performance.now() - this.#lastTick < TICK_MS) return;
    this.#tick();
    this.#ticker.refresh();
  }

  #accept(event: RawEvent): void {
    if (event.kind === 'message') this.#streams.accept(event, this.#message);
    else if (event.kind === 'process') this.#announced(event);
    else this.#connections?.accept(event);
  }

  #announced(event: RawProcess): void {
    const { processes, gate, rateRules } = this.#parts;
    processes.announce(event);
    const root = this.#delegated.rootOf(event);
    if (root !== undefined) this.#fairness.delegate(event.owner.cgroupId, root);
    if (gate === undefined && rateRules === undefined) return;
    this.#tell(event.owner);
    // Container and pod may be known a little later.
    if (this.#announcedLately.length < MAX_ANNOUNCED) this.#announcedLately.push(event.owner);
  }

  #tell(owner: Owner): void {
    const { processes, gate, rateRules } = this.#parts;
    const process = processes.identify(owner);
    gate?.announced(process);
    rateRules?.seen(owner, process);
  }

  readonly #message = (whole: StreamMessage): void => {
    const { raw } = whole;
    const message = this.#parsed;
    if (whole instanceof Envelope) message.parse(whole.bytes, whole.base, whole.captured, whole.length);
    else message.parse(whole.payload, 0, whole.payload.length, whole.length);
    const envelope = raw instanceof Envelope ? raw : this.#joined.fill(raw);
    const isReadable = message.id >= 0;
    const isAnswer = (message.flags & RESPONSE_FLAG) !== 0;
    this.#dns.in++;
    if (envelope.has(FIELD_BITS.UNREACHABLE)) {
      this.#dns.out++;
      this.#inFlight.unreachable(envelope, message);
    } else if (!envelope.has(FIELD_BITS.RESPONSE)) {
      // Sent to a DNS port, but an answer: a server that answers a resolver which asks from port 53, or mDNS.
      if (isReadable && isAnswer) {
        this.#dns.filter('answer_sent');
        return;
      }
      this.#dns.out++;
      this.#inFlight.request(envelope, message, this.#parts.processes.identify(envelope.owner));
    } else if (isReadable && !isAnswer) {
      this.#dns.filter('request_received');
    } else {
      this.#dns.out++;
      if (envelope.unreadable && !isReadable) this.#losses.noteConnection(envelope, 'unreadable');
      this.#inFlight.response(envelope, message);
    }
  };

  #createInspectionHold(): InspectionHold<LookupView | ConnectionEvent> {
    const { processes, ledger, pending } = this.#parts;
    return new InspectionHold({
      processes,
      stage: ledger.stage('inspection'),
      keep: kept,
      attribute: attributed,
      pending: (event) => {
        const owner = 'kind' in event ? undefined : event.request.raw.owner;
        return owner === undefined ? undefined : pending?.(owner);
      },
      onEvent: (event) => {
        if ('kind' in event) this.#inspectedConnection(event);
        else this.#inspected(event);
      },
    });
  }

  #createHold(): ContainerHold<LookupView | ConnectionEvent> | undefined {
    const { containers, processes, ledger } = this.#parts;
    if (containers === undefined) return undefined;
    const onLookup = (event: LookupView | ConnectionEvent) => {
      if ('kind' in event) this.#emitConnection(event);
      else this.#emit(event);
    };
    return new ContainerHold({
      containers,
      processes,
      stage: ledger.stage('containers'),
      keep: kept,
      attribute: attributed,
      onLookup,
    });
  }

  #record(lookup: LookupView): void {
    // First of all: the next event may be the connection to what was answered.
    this.#parts.dnsCache?.add(lookup);
    this.#inspection.accept(lookup);
  }

  #inspected(lookup: LookupView): void {
    if (lookup.conflictsWith !== undefined) {
      this.#emit(lookup);
      return;
    }
    lookup.search = this.#parts.folding?.fold(lookup);
    if (lookup.process.incomplete === true && this.#hold !== undefined) this.#hold.accept(lookup);
    else this.#emit(lookup);
  }

  #emit(lookup: LookupView): void {
    const { sink, detections, gate } = this.#parts;
    if (gate?.admits(lookup) === false) return;
    sink.accept(this.#lookupRecord.of(lookup, this.#batchTime ?? wallClock()));
    // Told already of the lookup, with its first answer.
    if (lookup.conflictsWith === undefined) detections?.lookup(lookup);
  }

  #inspectedConnection(event: ConnectionEvent): void {
    if (event.process.incomplete === true && this.#hold !== undefined) this.#hold.accept(event);
    else this.#emitConnection(event);
  }

  #emitConnection(event: ConnectionEvent): void {
    const { detections, sink, config, gate, history } = this.#parts;
    if (gate?.admitsConnection(event) === false) return;
    const record = config.connections ? toConnectionLog(event, wallClock()) : undefined;
    if (record !== undefined) sink.accept(record);
    else history?.accept(toConnectionLog(event, wallClock()));
    detections?.connection(event, record);
  }

  #tickEvery(ms: number): void {
    clearInterval(this.#ticker);
    this.#tickMs = ms;
    this.#lastTick = performance.now();
    this.#ticker = setInterval(this.#tick, ms);
  }

  readonly #tick = (): void => {
    const now = performance.now();
    // Also when nothing is waited for: a loss is known to the interval between two readings. Each costs system calls.
    if (now >= this.#nextLosses) {
      this.#nextLosses = now + LOSSES_MS;
      this.#losses.refresh();
    }
    const handedOver = this.#handedOver(now);
    this.#streams.expire(handedOver, this.#message);
    this.#inFlight.expire(handedOver);
    if (now >= this.#nextNames) this.#nameAgain(now);
    this.#sweep(now, handedOver);
    const isBusy = this.#isBusy || this.#inFlight.isWaiting;
    this.#isBusy = false;
    if (isBusy !== (this.#tickMs === TICK_MS)) this.#tickEvery(isBusy ? TICK_MS : QUIET_TICK_MS);
  };

  /**
   * Unix ns up to which all events were handed over. Not the clock alone: while events wait in the ring, and after the loop or
   * the whole agent stood still, a time-out would overtake the answer.
   */
  #handedOver(now: number): bigint {
    const isLate = now - this.#lastTick > this.#tickMs + LATE_MS;
    this.#lastTick = now;
    if (!isLate && (this.#parts.source.waiting?.() ?? 0) === 0) return wallClock() - RING_DELAY_NS;
    return this.#lastEvent - DISORDER_NS;
  }

  #nameAgain(now: number): void {
    this.#nextNames = now + ANNOUNCED_MS;
    for (const owner of this.#announcedBefore) this.#tell(owner);
    this.#announcedBefore = this.#announcedLately;
    this.#announcedLately = [];
  }

  /** One record each for those who were left out, or gave way, since the last time. */
  #reportSuppressed(max = MAX_TOLD): void {
    const { source, sink, ledger, processes, host = {} } = this.#parts;
    const stage = ledger.stage('suppressed');
    for (const suppression of source.suppressed?.() ?? []) {
      stage.in++;
      sink.accept(toSuppressedLog(suppression, this.#busiest(suppression.share), host, wallClock()));
      stage.out++;
    }
    const now = wallClock();
    for (const untold of this.#fairness.untold(max)) {
      const known = untold.owner && processes.known(untold.owner);
      stage.in++;
      sink.accept(toGaveWayLog(untold, known, host, this.#toldAt, now));
      stage.out++;
    }
    this.#toldAt = now;
  }

  /** Of the processes of a share that which sent most, among those that are known. */
  #busiest(share: ShareKey): ProcessIdentity | undefined {
    const { source, processes } = this.#parts;
    let max = -1;
    let found: ProcessIdentity | undefined;
    for (const count of source.processes()) {
      if (count.share.cgroupId !== share.cgroupId || count.share.user !== share.user) continue;
      const requests = count.udpRequests + count.tcpRequests;
      const identity = requests > max ? processes.peek(count) : undefined;
      if (identity === undefined) continue;
      max = requests;
      found = identity;
    }
    return found;
  }

  #sweep(now: number, handedOver: bigint): void {
    const { processes, source, metersProcesses } = this.#parts;
    void processes.sweep(SWEEP_PROCESSES);
    if (now < this.#nextSweep) return;
    this.#nextSweep = now + SWEEP_MS;
    this.#sweeps++;
    processes.beginSweep();
    this.#parts.onSweep?.();
    this.#reportSuppressed();
    if (metersProcesses || this.#sweeps % SWEEPS_IDLE !== 0) return;
    source.forget(source.processes().filter(({ lastSeen }) => handedOver - lastSeen > IDLE_NS));
  }
}

/** What is held outlives the view it came in. */
function kept(event: LookupView | ConnectionEvent): LookupView | ConnectionEvent {
  return event instanceof LookupView ? event.keep() : event;
}

function attributed(
  event: LookupView | ConnectionEvent,
  process: ProcessIdentity,
): LookupView | ConnectionEvent {
  if (!(event instanceof LookupView)) return { ...event, process };
  event.process = process;
  return event;
}
