/** Config -> the parts of the pipeline: source, process table, sinks. */
import { KernelSource } from './capture/kernel.ts';
import { PcapSource } from './capture/pcap.ts';
import type { Source } from './capture/source.ts';
import type { Config } from './config/config.ts';
import { bootTime, hostAttributes } from './enrich/host.ts';
import { ProcessTable } from './enrich/process.ts';
import { UserNames } from './enrich/users.ts';
import { Ledger } from './health.ts';
import type { Log } from './lib/log.ts';
import { Pipeline, type PipelineStats } from './pipeline.ts';
import { ConsoleJsonSink } from './sinks/console-json.ts';
import { ConsoleTableSink, type TerminalStream } from './sinks/console-table.ts';
import { FanOut } from './sinks/fan-out.ts';
import { createOtlpLogsSink } from './sinks/otlp-logs.ts';
import type { Sink } from './sinks/sink.ts';
import type { ExporterSpec } from './tables/options.ts';

export interface AgentOptions {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
  /** Capture file of `replay`. */
  readonly file: string | undefined;
  readonly stdout: TerminalStream;
  readonly color: boolean;
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #source: Source;
  readonly #pipeline: Pipeline;
  readonly #broken = Promise.withResolvers<void>();

  constructor(options: AgentOptions) {
    const { config, version, log, file } = options;
    const ledger = new Ledger();
    this.#options = options;
    this.#source = createSource(config, file, ledger);
    const processes = new ProcessTable({
      host: hostAttributes(version),
      bootTime: bootTime(),
      users: new UserNames(),
      commandArgs: config.commandArgs,
    });
    const sinks = config.logs.map((spec) => this.#createSink(spec, ledger));
    const sink = new FanOut(sinks, ledger, log);
    this.#pipeline = new Pipeline({ config, source: this.#source, processes, sink, ledger });
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

  #createSink(spec: ExporterSpec, ledger: Ledger): Sink {
    const { config, version, log, stdout, color } = this.#options;
    if (spec.kind === 'console') {
      const onBroken = config.logs.length === 1 ? this.#broken.resolve : () => {};
      if (config.format === 'json') return new ConsoleJsonSink({ stream: stdout, ledger, onBroken });
      return new ConsoleTableSink({ stream: stdout, ledger, color, onBroken });
    }
    if (spec.kind === 'otlp') {
      return createOtlpLogsSink({
        protocol: config.logsProtocol,
        scope: { name: 'whodns', version },
        ledger,
        notices: log,
        batch: {
          queueSize: config.batchQueueSize,
          batchSize: config.batchSize,
          delayMs: config.batchDelayMs,
          timeoutMs: config.batchTimeoutMs,
        },
      });
    }
    throw new Error(`no sink for ${spec.kind}`);
  }
}

function createSource(config: Config, file: string | undefined, ledger: Ledger): Source {
  if (file !== undefined) return new PcapSource({ path: file, ports: config.ports });
  const { hook, ports, maxPayload, ringBytes } = config;
  return new KernelSource({ hook, ports, maxPayload, ringBytes, stage: ledger.stage('wire') });
}
