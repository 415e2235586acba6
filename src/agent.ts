/** Config -> the parts of the pipeline: source, process table, sinks. */
import type { Readable } from 'node:stream';
import { loadAddon } from './capture/addon.ts';
import { KernelSource } from './capture/kernel.ts';
import { PcapSource } from './capture/pcap.ts';
import type { CaptureReport } from './capture/report.ts';
import { type ProcessRights, rightsOf } from './capture/rights.ts';
import type { Source } from './capture/source.ts';
import type { Config } from './config/config.ts';
import type { Routes } from './control/answers.ts';
import type { AgentState, HealthServer } from './control/health.ts';
import type { ControlServer } from './control/server.ts';
import { NO_CACHE } from './detect/no-cache.ts';
import { SearchFolding } from './detect/search.ts';
import { detectorsOf, needs, startDetections } from './detect/start.ts';
import type { WatchedCells } from './detect/turns.ts';
import type { DnsCache } from './dnscache/index.ts';
import { CgroupClaims } from './enrich/containers/cgroup-claims.ts';
import { findCgroupMounts } from './enrich/containers/cgroup-mounts.ts';
import { Containers } from './enrich/containers/containers.ts';
import type { MetadataSource } from './enrich/containers/metadata-source.ts';
import { RateRules } from './enrich/containers/rate-rules.ts';
import { UserContainers } from './enrich/containers/user-containers.ts';
import { bootTime, hostAttributes } from './enrich/host.ts';
import type { Environment } from './enrich/kubernetes/access.ts';
import type { Kubernetes } from './enrich/kubernetes/sources.ts';
import { ProcessTable } from './enrich/process/process.ts';
import { ProcessMemory } from './enrich/process/process-memory.ts';
import { ResolverConfigs } from './enrich/process/resolver-config.ts';
import { type TraceContextCounts, TraceContexts } from './enrich/process/trace-context.ts';
import { UserNames } from './enrich/process/users.ts';
import { Runtimes } from './enrich/runtimes/runtimes.ts';
import type { FilterPredicate } from './filter/compile.ts';
import type { HistorySink } from './history/sink.ts';
import type { HistoryQueries } from './history/types.ts';
import { Inspector, type InspectorStats } from './inspector/inspector.ts';
import { Ledger } from './ledger.ts';
import { EXIT, UserError } from './lib/errors.ts';
import { Fairness } from './lib/fairness.ts';
import type { Log } from './lib/log.ts';
import type { Attributes } from './model.ts';
import { Pipeline, type PipelineParts, type PipelineStats } from './pipeline.ts';
import type { TerminalStream } from './sinks/console/table.ts';
import { createOutput, type Output, type OutputOptions } from './sinks/output.ts';
import type { Sink } from './sinks/sink.ts';
import { MEMORY_HISTORY } from './tables/options-history.ts';
import type { UiServer } from './ui/server.ts';
import { type CreatedVisibility, createVisibility, hasLevels } from './visibility/create.ts';

/** Without a turn of the event loop: processor time, or time in which the agent could run at all. */
const STUCK_AFTER = { processorSeconds: 5, seconds: 120 };

/** A record waits so long in the ring at most, ms: where lookups are shown as they come, and elsewhere. */
const SHOWN_MS = 100;
const SENT_MS = 200;

export interface AgentOptions {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
  /** Capture file of `replay`, or what one is read from. */
  readonly file: string | Readable | undefined;
  readonly stdout: TerminalStream;
  readonly color: boolean;
  /** Where this program runs: Kubernetes tells a pod by variables how to reach its API. */
  readonly environment: Environment;
  /** Further sources of metadata. */
  readonly sources?: readonly MetadataSource[];
  /** Sinks of a program that has the agent in it (src/api/). */
  readonly moreSinks?: (parts: Pick<OutputOptions, 'ledger' | 'source'>) => readonly Sink[];
  /** Nothing will need the rights that it took to start. What it throws ends the start. */
  readonly onAttached?: () => void;
}

interface AgentParts {
  readonly ledger: Ledger;
  readonly fairness: Fairness;
  readonly host: Attributes;
  readonly source: Source;
  readonly broken: PromiseWithResolvers<void>;
  readonly output: Output;
  readonly watching: Watching;
  readonly inspector: Inspector | undefined;
  readonly containers: Containers | undefined;
  readonly levels: boolean;
  readonly expression: FilterPredicate | undefined;
  readonly history: HistorySink | undefined;
}

/** What looks at the lookups besides the sinks. */
type Watching = Pick<
  PipelineParts,
  'dnsCache' | 'seesConnections' | 'folding' | 'pending' | 'detections' | 'onSweep'
>;

export class Agent {
  readonly #options: AgentOptions;
  readonly #source: Source;
  readonly #inspector: Inspector | undefined;
  readonly #pipeline: Pipeline;
  readonly #traceContexts: TraceContexts | undefined;
  readonly #broken: PromiseWithResolvers<void>;
  readonly #dnsCache: DnsCache | undefined;
  readonly #detections: Watching['detections'];
  readonly #scrape: Output['scrape'];
  readonly #output: Output;
  readonly #ledger: Ledger;
  #history: Promise<HistorySink> | undefined;
  /** Lets go of the files that are written to and opens what is at their paths. */
  readonly reopenFiles: () => void;
  readonly #visibility: CreatedVisibility;
  #state: AgentState = 'starting';
  #ui: UiServer | undefined;
  #servers: readonly (ControlServer | HealthServer | UiServer)[] = [];

  private constructor(options: AgentOptions, parts: AgentParts) {
    const { config, log } = options;
    const { ledger, host, source, output, watching, containers, levels, inspector } = parts;
    this.#options = options;
    this.#inspector = inspector;
    this.#source = source;
    this.#broken = parts.broken;
    this.#dnsCache = watching.dnsCache;
    this.#detections = watching.detections;
    this.#scrape = output.scrape;
    this.#output = output;
    this.#ledger = ledger;
    this.#history = parts.history && Promise.resolve(parts.history);
    this.reopenFiles = output.reopen;
    this.#traceContexts =
      config.traceContext && source instanceof KernelSource && inspector !== undefined
        ? new TraceContexts(source.tracePlaces, (target) => ProcessMemory.open(inspector, target))
        : undefined;
    const mounts = findCgroupMounts();
    const processes = new ProcessTable({
      host,
      bootTime: bootTime(),
      users: UserNames.ofHost(),
      claims: new CgroupClaims(mounts),
      commandArgs: config.commandArgs,
      processContext: config.processContext,
      containers,
      userContainers:
        inspector === undefined || config.containerRuntime === 'off'
          ? undefined
          : new UserContainers(inspector),
      fairness: parts.fairness,
      inspector,
      ...(this.#traceContexts === undefined ? {} : { contexts: this.#traceContexts }),
    });
    for (const message of output.notes) log.info(message);
    this.#visibility = createVisibility({
      config,
      log,
      ledger,
      host,
      levels,
      mounts,
      workloads: containers,
      kernel: source instanceof KernelSource ? source : undefined,
      emit: (event) => output.sink.accept(event),
      introduce: output.introduce,
      expression: parts.expression,
    });
    this.#pipeline = new Pipeline({
      config,
      source: this.#source,
      processes,
      containers,
      visibility: this.#visibility.visibility,
      gate: this.#visibility.gate,
      sink: output.sink,
      ledger,
      metersProcesses: output.metersProcesses,
      fairness: parts.fairness,
      host,
      ...(parts.history === undefined ? {} : { history: parts.history }),
      rateRules:
        source instanceof KernelSource && config.cgroupRateFor.length > 0
          ? new RateRules({
              rules: config.cgroupRateFor,
              rate: config.cgroupRate,
              burst: config.cgroupBurst,
              setRate: (group, rate, burst) => source.setRate(group, rate, burst),
            })
          : undefined,
      ...watching,
    });
  }

  /** @throws UserError when an output cannot be opened; nothing is captured yet then, and nothing left open. */
  static async create(options: AgentOptions): Promise<Agent> {
    const opened: (() => unknown)[] = [];
    try {
      return await Agent.#create(options, opened);
    } catch (error) {
      await Promise.all(opened.map((close) => close()));
      throw error;
    }
  }

  static async #create(options: AgentOptions, opened: (() => unknown)[]): Promise<Agent> {
    const { config, version, file } = options;
    const ledger = new Ledger();
    const fairness = new Fairness();
    // A capture file has no processes. It is made while this program has its rights.
    const inspector = file === undefined ? Inspector.start({ log: options.log }) : undefined;
    opened.push(() => inspector?.close());
    const kubernetes = await createKubernetes(options);
    const named = config.hostName === undefined ? {} : { 'host.name': config.hostName };
    const host = { ...hostAttributes(version), ...kubernetes?.host, ...named };
    const detectors = await detectorsOf(config);
    // The page reads it: from the start on, if nothing is written then in memory.
    const place = config.history ?? (config.ui === undefined ? undefined : MEMORY_HISTORY);
    const seesConnections = config.connections || place !== undefined || needs(detectors, 'connections');
    const containers = file === undefined ? await createContainers(options, kubernetes) : undefined;
    const levels = hasLevels(config, containers?.annotated === true);
    const source = createSource(config, file, ledger, { connections: seesConnections, levels });
    opened.push(() => source.stop());
    const broken = Promise.withResolvers<void>();
    const onBroken = broken.resolve;
    const pods = kubernetes?.sources;
    const dnsCache = await createDnsCache(config, seesConnections || needs(detectors, 'dns'), fairness);
    const metadata = () => containers?.allCounts();
    const known = { pods, dnsCache, metadata, inspector: inspector && (() => inspector.stats()) };
    const history = place === undefined ? undefined : await createHistory(config, place, ledger, options.log);
    const further = [
      ...(history === undefined ? [] : [history]),
      ...(options.moreSinks?.({ ledger, source }) ?? []),
    ];
    const output = await createOutput({ ...options, ledger, host, source, onBroken, ...known, further });
    opened.push(() => output.sink.close(0));
    const resolvers = new ResolverConfigs(inspector);
    await resolvers.start();
    const detections = await startDetections(detectors, {
      config,
      ledger,
      fairness,
      log: options.log,
      host,
      resolvers,
      inspector,
      dns: dnsCache ?? NO_CACHE,
      emit: (finding) => output.sink.accept(finding),
    });
    // Nor search lists.
    const isFolding = config.searchFolding && file === undefined;
    const watching: Watching = {
      dnsCache,
      seesConnections,
      folding: isFolding ? new SearchFolding((owner) => resolvers.of(owner)) : undefined,
      pending: isFolding || detections !== undefined ? (owner) => resolvers.pending(owner) : undefined,
      detections,
      onSweep: () => resolvers.sweep(),
    };
    return new Agent(options, {
      ledger,
      fairness,
      host,
      source,
      broken,
      output,
      watching,
      containers,
      levels,
      inspector,
      expression: await expressionOf(config),
      history,
    });
  }

  /** Nobody reads the console any more, and there is no other sink. */
  get broken(): Promise<void> {
    return this.#broken.promise;
  }

  get finished(): Promise<void> {
    return this.#pipeline.finished;
  }

  /** Nothing says that it does not capture, or is not on its way there or out. */
  get isWell(): boolean {
    return this.#state !== 'broken';
  }

  /** One line for people: what it does. */
  get status(): string {
    const { hook } = this.#source.stats();
    return this.#state === 'capturing' ? `capturing with the ${hook} hooks` : this.#state;
  }

  /** What is to be said of a capture file that was read; undefined: none was. */
  get captureReport(): CaptureReport | undefined {
    return this.#source instanceof PcapSource ? this.#source.report() : undefined;
  }

  /** @throws UserError: nothing is captured, nothing listens then */
  async start(): Promise<void> {
    try {
      await this.#open();
      await this.#pipeline.start();
      await this.#attached();
    } catch (error) {
      await this.#close();
      throw error;
    }
    this.#state = 'capturing';
    const broke = () => {
      if (this.#state === 'capturing') this.#state = 'broken';
    };
    this.broken.then(broke);
    this.finished.then(broke, broke);
    if (!(this.#source instanceof KernelSource)) return;
    const { log } = this.#options;
    const { fallbacks, warning } = this.#source;
    for (const failure of fallbacks) log.debug(`${failure.message}\n${failure.detail}`);
    if (warning !== undefined) log.warn(warning);
    log.info(`capturing with the ${this.#source.stats().hook} hooks`);
    // Not before: attaching holds the event loop up for longer on a slow machine.
    this.#detections?.watched(watchEventLoop);
  }

  async #attached(): Promise<void> {
    try {
      this.#options.onAttached?.();
    } catch (error) {
      await this.#pipeline.stop(0);
      throw error;
    }
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#state = 'stopping';
    try {
      await this.#pipeline.stop(deadlineMs);
    } finally {
      await this.#close();
    }
  }

  /** What was looked up. Without `--history` from the first question on, in memory. @throws UserError */
  async history(): Promise<HistoryQueries> {
    this.#history ??= this.#beginHistory();
    return (await this.#history).queries;
  }

  async #beginHistory(): Promise<HistorySink> {
    try {
      const { config, log } = this.#options;
      const history = await createHistory(config, MEMORY_HISTORY, this.#ledger, log);
      this.#output.sink.add(history);
      return history;
    } catch (error) {
      this.#history = undefined;
      throw error;
    }
  }

  /** What the control socket answers. */
  async #routes(): Promise<Routes> {
    const { answerCache } = await import('./control/dns-cache.ts');
    const { historyRoutes } = await import('./control/history.ts');
    return {
      '/cache': (query) => answerCache(this.#dnsCache, query),
      '/stats': () => this.stats(),
      ...historyRoutes(async () => this.history()),
      '/ui': () => this.#page(),
      '/visibility': () => ({ workloads: this.#visibility.status() }),
    };
  }

  /** The servers that were asked for; before capturing, so that an address that is taken is said first. */
  async #open(): Promise<void> {
    const { config, log } = this.#options;
    if (config.command !== 'run') return;
    if (config.health !== undefined) {
      const { HealthServer: Health } = await import('./control/health.ts');
      const health = await Health.listen({
        address: config.health,
        state: () => this.#state,
        stats: () => this.#source.stats(),
        metrics: this.#scrape,
        log,
      });
      this.#servers = [...this.#servers, health];
      log.info(`health on ${health.address}`);
    }
    if (config.ui !== undefined) await this.#openPage(config.ui);
    if (config.control === undefined) return;
    const { ControlServer: Control } = await import('./control/server.ts');
    this.#servers = [...this.#servers, await Control.listen(config.control, await this.#routes(), log)];
  }

  async #openPage(address: string): Promise<void> {
    const { config, log, version } = this.#options;
    const { UiServer } = await import('./ui/server.ts');
    const page = await UiServer.listen({
      address,
      history: await this.history(),
      stats: () => ({ stages: this.#ledger.snapshot(), source: this.#source.stats() }),
      version,
      log,
    });
    this.#ui = page;
    this.#servers = [...this.#servers, page];
    // Who may ask the control socket gets the address there: it is in no journal.
    const isLogged = config.control !== undefined && process.stderr.isTTY !== true;
    log.info(
      isLogged ? `page on ${page.origin}, its address with the token: whodns ui` : `page on ${page.url}`,
    );
    if (page.warning !== undefined) log.warn(page.warning);
  }

  /** @throws UserError: there is none */
  #page(): { readonly url: string; readonly note: string | undefined } {
    if (this.#ui === undefined)
      throw new UserError('the agent serves no page', { hint: 'start it with --ui' });
    return { url: this.#ui.url, note: this.#ui.note };
  }

  async #close(): Promise<void> {
    const ended = this.#inspector?.close();
    for (const server of this.#servers) server.close();
    this.#servers = [];
    await ended;
  }

  stats(): PipelineStats & {
    readonly inspector: InspectorStats | undefined;
    readonly rights?: ProcessRights;
    readonly traceContexts?: TraceContextCounts;
  } {
    const contexts = this.#traceContexts;
    return {
      ...this.#pipeline.stats(),
      inspector: this.#inspector?.stats(),
      ...(this.#source instanceof KernelSource ? { rights: rightsOf(this.#inspector?.pid) } : {}),
      ...(contexts === undefined ? {} : { traceContexts: contexts.counts }),
    };
  }
}

/** @throws UserError: a regular expression that the engine does not take */
async function expressionOf({ lookupFilter }: Config): Promise<FilterPredicate | undefined> {
  if (lookupFilter === undefined) return undefined;
  try {
    return await (await import('./filter/compile.ts')).compileFilter(lookupFilter);
  } catch (error) {
    throw new UserError(`--filter: ${(error as Error).message}`, { exitCode: EXIT.usage });
  }
}

/** Loaded only when there is one. */
async function createHistory(config: Config, place: string, ledger: Ledger, log: Log): Promise<HistorySink> {
  return (await import('./history/open.ts')).openHistory(config, place, ledger, log);
}

/** @throws UserError: there is no thread for it. */
function watchEventLoop({ cells, names }: WatchedCells): void {
  const { processorSeconds, seconds } = STUCK_AFTER;
  const started = loadAddon().watchdog({ cells, names, processorSeconds, seconds, exitCode: EXIT.stuck });
  if ('error' in started) throw new UserError(`cannot watch the detectors: ${started.error.code}`);
}

function createSource(
  config: Config,
  file: string | Readable | undefined,
  ledger: Ledger,
  asked: { readonly connections: boolean; readonly levels: boolean },
): Source {
  if (file !== undefined) return new PcapSource({ file, ports: config.ports });
  const { hook, btf, ports, maxPayload, ringBytes, traceContext, cgroupRate, cgroupBurst } = config;
  // Who watches wants to see; what is sent in batches can wait.
  const maxDelayMs = config.logs.some(({ kind }) => kind === 'console') ? SHOWN_MS : SENT_MS;
  const kernel = {
    hook,
    btf,
    ports,
    maxPayload,
    ringBytes,
    maxDelayMs,
    traceContext,
    cgroupRate,
    cgroupBurst,
  };
  const source = new KernelSource({ ...kernel, ...asked, stage: ledger.stage('wire') });
  source.prepare();
  return source;
}

/** Loaded only where it is used. */
async function createKubernetes({ config, environment, log }: AgentOptions): Promise<Kubernetes | undefined> {
  const isInPod = environment['KUBERNETES_SERVICE_HOST'] !== undefined;
  if (config.kubernetes === 'off' || (config.kubernetes === 'auto' && !isInPod)) return undefined;
  return (await import('./enrich/kubernetes/sources.ts')).createKubernetes(config, environment, log);
}

/** Who is asked about containers and pods; undefined: nobody, and nothing of it runs. */
async function createContainers(
  { config, log, sources: further = [] }: AgentOptions,
  kubernetes: Kubernetes | undefined,
): Promise<Containers | undefined> {
  const sources = [...(kubernetes?.sources ?? []), ...further];
  const { containerRuntime, containerLabels } = config;
  if (containerRuntime === 'off') return sources.length === 0 ? undefined : new Containers({ sources });
  const runtimes = new Runtimes(containerRuntime, { labels: containerLabels, rules: config }, log);
  const containers = new Containers({
    sources: [...(await runtimes.find()), ...sources],
    async discover() {
      const hasThem = hasLevels(config, containers.annotated);
      const found = await runtimes.find();
      // The kernel programs are loaded without what enforces levels.
      if (!hasThem && found.some(({ annotates }) => annotates === true))
        log.warn('a container runtime came up after the agent: annotations of its pods hold after a restart');
      return found;
    },
  });
  return containers;
}

/** It was asked for, or connections and detectors need it. */
async function createDnsCache(
  { dnsCache }: Config,
  isNeeded: boolean,
  fairness: Fairness,
): Promise<DnsCache | undefined> {
  if (dnsCache === undefined && !isNeeded) return undefined;
  const { DnsCache: Cache } = await import('./dnscache/index.ts');
  return new Cache({ ...dnsCache, fairness });
}
