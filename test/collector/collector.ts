/** The real collector with the shipped configuration files, on random loopback ports and in its own directory. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { collectorProgram } from './build.ts';
import { freePorts, type RunningProgram, startProgram } from './running-program.ts';

export const CONFIGURATIONS = join(import.meta.dirname, '../../otel-config/collector');

/** Base names of files in otel-config/collector/, or absolute paths, in merge order. */
export type ConfigurationNames = readonly string[];

export interface Collector extends RunningProgram {
  readonly httpEndpoint: string;
  /** OTLP/gRPC: host:port, or the path of the socket that `env` named. */
  readonly grpcEndpoint: string;
  /** Where file-sink.yaml writes. */
  readonly sink: string;
  /** What Prometheus scrapes (prometheus.yaml). */
  readonly metricsUrl: string;
}

/** `--config` arguments for the names. */
export function configArguments(names: ConfigurationNames): string[] {
  return names.flatMap((name) => [
    '--config',
    name.startsWith('/') ? name : join(CONFIGURATIONS, `${name}.yaml`),
  ]);
}

/**
 * Starts a collector; `directory` is its storage, so a second start with the same one continues where the first ended.
 * @param env more of the variables that the files name
 * @param manifest of the collector, by default the shipped one
 */
export async function startCollector(
  names: ConfigurationNames,
  directory: string,
  env: NodeJS.ProcessEnv = {},
  manifest?: string,
): Promise<Collector> {
  mkdirSync(directory, { recursive: true });
  const program = await collectorProgram(manifest);
  const [health, metrics, grpc, http, prometheus] = await freePorts(5);
  const settings = {
    COLLECTOR_STORAGE: join(directory, 'storage'),
    COLLECTOR_HEALTH: `127.0.0.1:${health}`,
    COLLECTOR_METRICS_PORT: String(metrics),
    OTLP_GRPC_ENDPOINT: `127.0.0.1:${grpc}`,
    OTLP_HTTP_ENDPOINT: `127.0.0.1:${http}`,
    PROMETHEUS_LISTEN: `127.0.0.1:${prometheus}`,
    WHODNS_OTLP_FILES: join(directory, 'otlp*.jsonl*'),
    SINK_FILE: join(directory, 'sink.jsonl'),
    ...env,
  };
  const running = await startProgram({
    command: [program, ...configArguments(names)],
    env: settings,
    readyUrl: `http://${settings.COLLECTOR_HEALTH}/`,
  });
  return {
    ...running,
    httpEndpoint: `http://${settings.OTLP_HTTP_ENDPOINT}`,
    grpcEndpoint: settings.OTLP_GRPC_ENDPOINT,
    sink: settings.SINK_FILE,
    metricsUrl: `http://${settings.PROMETHEUS_LISTEN}/metrics`,
  };
}
