/** The OTLP sinks as the agent makes them, from variables. */
import { resolveConfig } from '../../src/config/config.ts';
import type { Ledger } from '../../src/ledger.ts';
import type { DeliverySink } from '../../src/sinks/delivery/delivery.ts';
import { MemoryStore, type RequestStore } from '../../src/sinks/delivery/request-store.ts';
import { createOtlpLogsSink, type OtlpLogsOptions } from '../../src/sinks/otlp/logs-sink.ts';
import { createOtlpMetricExporter, type MetricExporter } from '../../src/sinks/otlp/metric-exporter.ts';
import { type OtlpTarget, otlpTarget, type Signal } from '../../src/sinks/otlp/target.ts';
import type { Notices } from '../../src/sinks/sink.ts';

export const SCOPE = { name: 'whodns', version: '0.1.0' };
export const PROTOCOLS = ['grpc', 'http/protobuf'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export function targetOf(signal: Signal, env: Readonly<Record<string, string>>): OtlpTarget {
  return otlpTarget(resolveConfig('run', {}, env).config, signal);
}

export interface Limits {
  readonly queueRecords?: number;
  readonly queueBytes?: number;
  readonly batchSize?: number;
  readonly delayMs?: number;
  readonly concurrency?: number;
  readonly attemptMs?: number;
  readonly retryForMs?: number;
  readonly store?: RequestStore;
}

export interface LogsParts {
  readonly protocol: Protocol;
  readonly url: string;
  readonly ledger: Ledger;
  readonly notices: Notices;
  readonly limits?: Limits;
  readonly env?: Readonly<Record<string, string>>;
  readonly meterProvider?: OtlpLogsOptions['meterProvider'];
}

export function logsSink(parts: LogsParts): Promise<DeliverySink> {
  const { protocol, url, ledger, notices, limits = {}, env = {}, meterProvider } = parts;
  const { queueRecords = 1_000_000, queueBytes = 64 * 1024 * 1024 } = limits;
  const variables = {
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    ...env,
  };
  return createOtlpLogsSink({
    target: targetOf('logs', variables),
    scope: SCOPE,
    ledger,
    notices,
    store: limits.store ?? new MemoryStore({ maxBytes: queueBytes, maxRecords: queueRecords }),
    limits: {
      batchSize: limits.batchSize ?? 2048,
      delayMs: limits.delayMs ?? 50,
      concurrency: limits.concurrency ?? 4,
    },
    attemptMs: limits.attemptMs ?? 30_000,
    retryForMs: limits.retryForMs ?? Number.POSITIVE_INFINITY,
    ...(meterProvider === undefined ? {} : { meterProvider }),
  });
}

export function metricExporter(
  protocol: Protocol,
  url: string,
  env: Readonly<Record<string, string>> = {},
): Promise<MetricExporter> {
  const variables = {
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    ...env,
  };
  return createOtlpMetricExporter({
    target: targetOf('metrics', variables),
    scope: SCOPE,
    temporality: resolveConfig('run', {}, variables).config.metricsTemporality,
    timeoutMs: 2000,
    warn: () => {},
  });
}
