/**
 * The gateway collector and the backends with the shipped configurations, on random loopback ports. VictoriaLogs, Jaeger and
 * Prometheus always; Loki and Tempo when the user has them.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type Collector, startCollector } from '../collector/collector.ts';
import { freePorts, type RunningProgram, startProgram } from '../collector/running-program.ts';
import { OWN, prometheusProgram } from './build.ts';
import { type JaegerPorts, jaegerStore, startJaeger } from './jaeger.ts';
import { lokiStore, startLoki } from './loki.ts';
import type { RecordStore, TraceStore } from './stores.ts';
import { startTempo, tempoStore } from './tempo.ts';
import { startVictoriaLogs, victoriaLogsStore } from './victorialogs.ts';

export const OTEL_CONFIG = join(import.meta.dirname, '../../otel-config');

/** A store of records and one of traces, and the provisioning file that links them. */
export interface Pair {
  readonly name: string;
  readonly datasources: string;
  readonly records: RecordStore;
  readonly traces: TraceStore;
}

export interface Stack {
  readonly collector: Collector;
  readonly prometheusUrl: string;
  /** Nothing answers there without LOKI. */
  readonly lokiUrl: string;
  readonly pairs: readonly [Pair, ...Pair[]];
  readonly stop: () => Promise<void>;
}

/** What the stack has, known before it runs. */
export const PAIRS: readonly string[] = [
  'VictoriaLogs and Jaeger',
  ...(OWN.loki === undefined || OWN.tempo === undefined ? [] : ['Loki and Tempo']),
];

const DATASOURCES = join(OTEL_CONFIG, 'grafana/provisioning/datasources/whodns.yaml');
const OTHER_DATASOURCES = join(OTEL_CONFIG, 'grafana/provisioning-victorialogs/datasources/whodns.yaml');

interface PrometheusConfiguration {
  global: { scrape_interval: string; evaluation_interval: string };
  rule_files: string[];
  scrape_configs: { static_configs: { targets: string[] }[] }[];
}

/** Starts all of them; on a failure stops what runs already. */
export async function startStack(directory: string): Promise<Stack> {
  const ports = await freePorts(12);
  const port = () => ports.pop() ?? 0;
  const running: RunningProgram[] = [];
  const start = async <T extends RunningProgram>(program: Promise<T>): Promise<T> => {
    const started = await program;
    running.push(started);
    return started;
  };
  const stop = async () => {
    await Promise.all(running.map((program) => program.stop()));
  };
  const [prometheus, scrape, logs] = [port(), port(), port()];
  const jaeger: JaegerPorts = { http: port(), grpc: port(), otlp: port(), health: port() };
  const [loki, tempo, tempoOtlp] = [port(), port(), port()];
  const hasGrafanas = OWN.loki !== undefined && OWN.tempo !== undefined;
  const outputs = ['victorialogs', 'jaeger', 'prometheus', ...(hasGrafanas ? ['loki', 'tempo'] : [])];
  try {
    const [collector] = await settled([
      start(
        startCollector(['gateway', ...outputs], join(directory, 'collector'), {
          VICTORIALOGS_ENDPOINT: `http://127.0.0.1:${logs}`,
          JAEGER_ENDPOINT: `127.0.0.1:${jaeger.otlp}`,
          LOKI_ENDPOINT: `http://127.0.0.1:${loki}/otlp`,
          TEMPO_ENDPOINT: `127.0.0.1:${tempoOtlp}`,
          PROMETHEUS_LISTEN: `127.0.0.1:${scrape}`,
        }),
      ),
      start(startVictoriaLogs(join(directory, 'victorialogs'), logs)),
      start(startJaeger(join(directory, 'jaeger'), jaeger)),
      start(startPrometheus(join(directory, 'prometheus'), prometheus, scrape)),
      ...(hasGrafanas
        ? [
            start(startLoki(String(OWN.loki), join(directory, 'loki'), loki, port())),
            start(startTempo(String(OWN.tempo), join(directory, 'tempo'), tempo, port(), tempoOtlp)),
          ]
        : []),
    ]);
    const pair: Pair = {
      name: 'VictoriaLogs and Jaeger',
      datasources: OTHER_DATASOURCES,
      records: victoriaLogsStore(`http://127.0.0.1:${logs}`),
      traces: jaegerStore(`http://127.0.0.1:${jaeger.http}`),
    };
    const own: Pair = {
      name: 'Loki and Tempo',
      datasources: DATASOURCES,
      records: lokiStore(`http://127.0.0.1:${loki}`),
      traces: tempoStore(`http://127.0.0.1:${tempo}`),
    };
    return {
      collector,
      prometheusUrl: `http://127.0.0.1:${prometheus}`,
      lokiUrl: `http://127.0.0.1:${loki}`,
      pairs: hasGrafanas ? [pair, own] : [pair],
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
