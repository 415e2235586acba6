/** Config -> the parts of the pipeline: source, process table, sinks. */
import { KernelSource } from './capture/kernel.ts';
import { PcapSource } from './capture/pcap.ts';
import type { Source } from './capture/source.ts';
import type { Config } from './config/config.ts';
import { bootTime, hostAttributes } from './enrich/host.ts';
import type { Environment } from './enrich/kubernetes/access.ts';
import type { Kubernetes } from './enrich/kubernetes/sources.ts';
import { ProcessTable } from './enrich/process.ts';
import { UserNames } from './enrich/users.ts';
import { Workloads } from './enrich/workloads.ts';
import { Ledger } from './health.ts';
import type { Log } from './lib/log.ts';
import type { Attributes } from './model.ts';
import { Pipeline, type PipelineStats } from './pipeline.ts';
import type { TerminalStream } from './sinks/console-table.ts';
import { createOutput, type Output } from './sinks/output.ts';

export interface AgentOptions {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
  /** Capture file of `replay`. */
  readonly file: string | undefined;
  readonly stdout: TerminalStream;
  readonly color: boolean;
  /** Where this program runs: Kubernetes tells a pod by variables how to reach its API. */
  readonly environment: Environment;
}

interface AgentParts {
  readonly ledger: Ledger;
  readonly host: Attributes;
  readonly source: Source;
  readonly broken: PromiseWithResolvers<void>;
  readonly output: Output;
  readonly kubernetes: Kubernetes | undefined;
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #source: Source;
  readonly #pipeline: Pipeline;
  readonly #broken: PromiseWithResolvers<void>;

  private constructor(options: AgentOptions, parts: AgentParts) {
    const { config, log } = options;
    const { ledger, host, source, output } = parts;
    const workloads = createWorkloads(parts.kubernetes);
    this.#options = options;
    this.#source = source;
    this.#broken = parts.broken;
    const processes = new ProcessTable({
      host,
      bootTime: bootTime(),
      users: new UserNames(),
      commandArgs: config.commandArgs,
      processContext: config.processContext,
      workloads,
    });
    for (const message of output.notes) log.info(message);
    this.#pipeline = new Pipeline({
      config,
      source: this.#source,
      processes,
      workloads,
      sink: output.sink,
      ledger,
      metersProcesses: output.metersProcesses,
    });
  }

  /** @throws UserError when an output cannot be opened; nothing is captured yet then. */
  static async create(options: AgentOptions): Promise<Agent> {
    const { config, version, file } = options;
    const ledger = new Ledger();
    const kubernetes = await createKubernetes(options);
    const host = { ...hostAttributes(version), ...kubernetes?.host };
    const source = createSource(config, file, ledger);
    const broken = Promise.withResolvers<void>();
    const onBroken = broken.resolve;
    const output = await createOutput({
      ...options,
      ledger,
      host,
      source,
      onBroken,
      pods: kubernetes?.source,
    });
    return new Agent(options, { ledger, host, source, broken, output, kubernetes });
  }

  /** Nobody reads the console any more, and there is no other sink. */
  get broken(): Promise<void> {
    return this.#broken.promise;
  }

  get finished(): Promise<void> {
    return this.#pipeline.finished;
  }

  /** Why a capture file could not be read to its end. */
  get damage(): string | undefined {
    if (!(this.#source instanceof PcapSource) || this.#source.damage === undefined) return undefined;
    const { reason, offset } = this.#source.damage;
    return `${this.#options.file}: damaged at byte ${offset} (${reason}); what stands before it was read`;
  }

  async start(): Promise<void> {
    await this.#pipeline.start();
    if (!(this.#source instanceof KernelSource)) return;
    const { log } = this.#options;
    for (const failure of this.#source.fallbacks) log.debug(`${failure.message}\n${failure.detail}`);
    log.info(`capturing with the ${this.#source.stats().hook} hooks`);
  }

  stop(deadlineMs: number): Promise<void> {
    return this.#pipeline.stop(deadlineMs);
  }

  stats(): PipelineStats {
    return this.#pipeline.stats();
  }
}

function createSource(config: Config, file: string | undefined, ledger: Ledger): Source {
  if (file !== undefined) return new PcapSource({ path: file, ports: config.ports });
  const { hook, ports, maxPayload, ringBytes } = config;
  return new KernelSource({ hook, ports, maxPayload, ringBytes, stage: ledger.stage('wire') });
}

/** Loaded only where it is used. */
async function createKubernetes({ config, environment, log }: AgentOptions): Promise<Kubernetes | undefined> {
  const isInPod = environment['KUBERNETES_SERVICE_HOST'] !== undefined;
  if (config.kubernetes === 'off' || (config.kubernetes === 'auto' && !isInPod)) return undefined;
  return (await import('./enrich/kubernetes/sources.ts')).createKubernetes(config, environment, log);
}

/** Who is asked about containers and pods; undefined: nobody, and nothing of it runs. */
function createWorkloads(kubernetes: Kubernetes | undefined): Workloads | undefined {
  return kubernetes === undefined ? undefined : new Workloads({ sources: [kubernetes.source] });
}
