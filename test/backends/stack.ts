/** Loki, Tempo, Prometheus and the gateway collector with the shipped configurations, on random loopback ports. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type Collector, startCollector } from '../collector/collector.ts';
import { freePorts, type RunningProgram, startProgram } from '../collector/running-program.ts';
import { lokiProgram, prometheusProgram, tempoProgram } from './build.ts';

export const OTEL_CONFIG = join(import.meta.dirname, '../../otel-config');

export interface Stack {
  readonly collector: Collector;
  readonly lokiUrl: string;
  readonly tempoUrl: string;
  readonly prometheusUrl: string;
  readonly stop: () => Promise<void>;
}

interface PrometheusConfiguration {
  global: { scrape_interval: string; evaluation_interval: string };
  rule_files: string[];
  scrape_configs: { static_configs: { targets: string[] }[] }[];
}

/** Starts all four; on a failure stops what runs already. */
export async function startStack(directory: string): Promise<Stack> {
  const ports = await freePorts(7);
  const [loki, lokiGrpc, tempo, tempoGrpc, tempoOtlp, prometheus, scrape] = ports;
  const running: RunningProgram[] = [];
  const start = async <T extends RunningProgram>(program: Promise<T>): Promise<T> => {
    const started = await program;
    running.push(started);
    return started;
  };
  const stop = async () => {
    await Promise.all(running.map((program) => program.stop()));
  };
  try {
    const [collector] = await settled([
      start(
        startCollector(['gateway', 'loki', 'tempo', 'prometheus'], join(directory, 'collector'), {
          LOKI_ENDPOINT: `http://127.0.0.1:${loki}/otlp`,
          TEMPO_ENDPOINT: `127.0.0.1:${tempoOtlp}`,
          PROMETHEUS_LISTEN: `127.0.0.1:${scrape}`,
        }),
      ),
      start(startLoki(join(directory, 'loki'), loki, lokiGrpc)),
      start(startTempo(join(directory, 'tempo'), tempo, tempoGrpc, tempoOtlp)),
      start(startPrometheus(join(directory, 'prometheus'), prometheus, scrape)),
    ]);
    return {
      collector,
      lokiUrl: `http://127.0.0.1:${loki}`,
      tempoUrl: `http://127.0.0.1:${tempo}`,
      prometheusUrl: `http://127.0.0.1:${prometheus}`,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Like Promise.all, but waits for all of them before it throws, so that none is left running unseen. */
async function settled<T extends readonly unknown[]>(
  promises: { [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  await Promise.allSettled(promises);
  return (await Promise.all(promises)) as unknown as T;
}

async function startLoki(data: string, http?: number, grpc?: number): Promise<RunningProgram> {
  return startProgram({
    command: [
      await lokiProgram(),
      '-config.expand-env=true',
      `-config.file=${join(OTEL_CONFIG, 'loki/loki.yaml')}`,
    ],
    env: { LOKI_DATA: data, LOKI_HTTP_PORT: String(http), LOKI_GRPC_PORT: String(grpc) },
    readyUrl: `http://127.0.0.1:${http}/ready`,
    timeout: 120_000,
  });
}

async function startTempo(
  data: string,
  http?: number,
  grpc?: number,
  otlp?: number,
): Promise<RunningProgram> {
  return startProgram({
    command: [
      await tempoProgram(),
      '-config.expand-env=true',
      `-config.file=${join(OTEL_CONFIG, 'tempo/tempo.yaml')}`,
    ],
    env: {
      TEMPO_DATA: data,
      TEMPO_HTTP_PORT: String(http),
      TEMPO_GRPC_PORT: String(grpc),
      TEMPO_OTLP_PORT: String(otlp),
    },
    readyUrl: `http://127.0.0.1:${http}/ready`,
    timeout: 120_000,
  });
}

/** The shipped prometheus.yml with three changes: where to scrape, how often, and the rules' absolute path. */
async function startPrometheus(data: string, port?: number, scrape?: number): Promise<RunningProgram> {
  mkdirSync(data, { recursive: true });
  const text = readFileSync(join(OTEL_CONFIG, 'prometheus/prometheus.yml'), 'utf8');
  const configuration = parse(text) as PrometheusConfiguration;
  configuration.global.scrape_interval = '1s';
  configuration.global.evaluation_interval = '1s';
  configuration.rule_files = configuration.rule_files.map((file) => join(OTEL_CONFIG, 'prometheus', file));
  for (const job of configuration.scrape_configs) job.static_configs = [{ targets: [`127.0.0.1:${scrape}`] }];
  const file = join(data, 'prometheus.yml');
  writeFileSync(file, stringify(configuration));
  return startProgram({
    command: [
      await prometheusProgram(),
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(data, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    readyUrl: `http://127.0.0.1:${port}/-/ready`,
  });
}
