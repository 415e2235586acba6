/** Config -> the sinks of a run, behind one. */
import type { Config } from '../config/config.ts';
import type { Ledger } from '../health.ts';
import type { Log } from '../lib/log.ts';
import type { Attributes, ProcessCount, ProcessKey, SourceStats } from '../model.ts';
import type { ExporterSpec } from '../tables/options.ts';
import { ConsoleJsonSink } from './console-json.ts';
import { ConsoleTableSink, type TerminalStream } from './console-table.ts';
import { FanOut } from './fan-out.ts';
import { routeDiagnostics } from './otlp-diagnostics.ts';
import { createOtlpFileMetricExporter, createOtlpFileSink, LinesFile } from './otlp-file.ts';
import { createOtlpLogsSink } from './otlp-logs.ts';
import { createOtlpMetricExporter, MetricsSink } from './otlp-metrics.ts';
import type { Sink } from './sink.ts';

export interface OutputOptions {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
  readonly ledger: Ledger;
  /** Resource attributes of the host. */
  readonly host: Attributes;
  /** What the metrics are read from. */
  readonly source: {
    stats(): SourceStats;
    processes(): readonly ProcessCount[];
    forget(keys: readonly ProcessKey[]): void;
  };
  readonly stdout: TerminalStream;
  readonly color: boolean;
  /** Called when nobody reads the console any more and it is the only output. */
  readonly onBroken: () => void;
}

export interface Output {
  readonly sink: Sink;
  /** A sink reads and forgets the kernel's per-process counters. */
  readonly metersProcesses: boolean;
  /** Lines for the operator. */
  readonly notes: readonly string[];
}

/** @throws UserError: a file cannot be opened. */
export function createOutput(options: OutputOptions): Output {
  const { config, ledger, log } = options;
  routeDiagnostics(log);
  const files = new Map<string, LinesFile>();
  const fileOf = (path: string): LinesFile => {
    const file = files.get(path) ?? LinesFile.open(path);
    files.set(path, file);
    return file;
  };
  const logs = config.logs.map((spec, index) => createLogsSink(spec, index, options, fileOf));
  const metrics = config.metrics.map((spec, index) => createMetricsSink(spec, index, options, fileOf));
  const sink = new FanOut([...logs, ...metrics], ledger, log);
  const notes = config.logs.some(({ kind }) => kind === 'otlp')
    ? [`sending records by OTLP (${config.logsProtocol})`]
    : [];
  return { sink, metersProcesses: metrics.length > 0, notes };
}

function createLogsSink(
  spec: ExporterSpec,
  index: number,
  { config, version, log, ledger, stdout, color, onBroken }: OutputOptions,
  fileOf: (path: string) => LinesFile,
): Sink {
  const scope = { name: 'whodns', version };
  const batch = {
    queueSize: config.batchQueueSize,
    batchSize: config.batchSize,
    delayMs: config.batchDelayMs,
    timeoutMs: config.batchTimeoutMs,
  };
  switch (spec.kind) {
    case 'console': {
      const broken = config.logs.length === 1 ? onBroken : () => {};
      if (config.format === 'json') return new ConsoleJsonSink({ stream: stdout, ledger, onBroken: broken });
      const table = new ConsoleTableSink({ stream: stdout, ledger, color, onBroken: broken });
      table.start();
      return table;
    }
    case 'otlp':
      return createOtlpLogsSink({ protocol: config.logsProtocol, scope, ledger, notices: log, batch });
    case 'otlp-file':
      // Several files: each sink has a stage of its own.
      return createOtlpFileSink({
        name: `otlp-file${index === 0 ? '' : `-${index + 1}`}`,
        file: fileOf(spec.path),
        scope,
        ledger,
        notices: log,
        batch,
      });
    case 'none':
      throw new Error('"none" is filtered by the configuration');
  }
}

function createMetricsSink(
  spec: ExporterSpec,
  index: number,
  { config, version, log, ledger, host, source }: OutputOptions,
  fileOf: (path: string) => LinesFile,
): Sink {
  const scope = { name: 'whodns', version };
  return new MetricsSink({
    name: index === 0 ? 'metrics' : `metrics-${index + 1}`,
    exporter:
      spec.kind === 'otlp-file'
        ? createOtlpFileMetricExporter(fileOf(spec.path))
        : createOtlpMetricExporter({ protocol: config.metricsProtocol, scope }),
    ledger,
    notices: log,
    source,
    scope,
    hostAttributes: host,
    intervalMs: config.metricIntervalMs,
    timeoutMs: config.metricTimeoutMs,
  });
}
