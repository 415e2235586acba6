/** Jaeger v2, built from its Go module: traces in memory. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type RunningProgram, startProgram } from '../collector/running-program.ts';
import { jaegerProgram } from './build.ts';
import { get } from './queries.ts';
import type { Span, TimeRange, TraceStore } from './stores.ts';

interface Tag {
  readonly key: string;
  readonly value: unknown;
}
interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly {
    readonly operationName: string;
    /** us */
    readonly startTime: number;
    readonly duration: number;
    readonly processID: string;
    readonly tags: readonly Tag[];
  }[];
  readonly processes: Readonly<
    Record<string, { readonly serviceName: string; readonly tags: readonly Tag[] }>
  >;
}

export interface JaegerPorts {
  readonly http: number;
  readonly grpc: number;
  readonly otlp: number;
  readonly health: number;
}

export async function startJaeger(directory: string, ports: JaegerPorts): Promise<RunningProgram> {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'jaeger.yaml');
  writeFileSync(file, stringify(configuration(ports)));
  return startProgram({
    command: [await jaegerProgram(), '--config', file],
    readyUrl: `http://127.0.0.1:${ports.health}/status`,
    timeout: 120_000,
  });
}

function configuration({ http, grpc, otlp, health }: JaegerPorts): object {
  const local = (port: number) => `127.0.0.1:${port}`;
  return {
    service: {
      extensions: ['jaeger_storage', 'jaeger_query', 'healthcheckv2'],
      telemetry: { metrics: { level: 'none' } },
      pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
    },
    extensions: {
      jaeger_query: {
        storage: { traces: 'memory' },
        http: { endpoint: local(http) },
        grpc: { endpoint: local(grpc) },
      },
      jaeger_storage: { backends: { memory: { memory: { max_traces: 10_000 } } } },
      healthcheckv2: { use_v2: true, http: { endpoint: local(health) } },
    },
    receivers: { otlp: { protocols: { grpc: { endpoint: local(otlp) } } } },
    exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
  };
}

export function jaegerStore(url: string): TraceStore {
  const search = async (service: string, { start, end }: TimeRange) => {
    const parameters = {
      service,
      start: String(Math.floor(start * 1e6)),
      end: String(Math.ceil(end * 1e6)),
      limit: '500',
    };
    const found = (await get(`${url}/api/traces`, parameters)) as { data: readonly JaegerTrace[] };
    return found.data.map(({ traceID }) => traceID);
  };
  return {
    uid: 'jaeger',
    spans: async (traceId) => {
      const { data } = (await get(`${url}/api/traces/${traceId}`)) as { data: readonly JaegerTrace[] };
      return data.flatMap(spansOf);
    },
    search: ({ service }, time) => search(String(service), time),
    ofService: search,
  };
}

function spansOf({ traceID, spans, processes }: JaegerTrace): Span[] {
  return spans.map(({ operationName, startTime, duration, processID, tags }) => {
    const { serviceName = '', tags: resource = [] } = processes[processID] ?? {};
    return {
      traceId: traceID,
      name: operationName,
      start: startTime / 1e6,
      end: (startTime + duration) / 1e6,
      attributes: {
        'service.name': serviceName,
        ...Object.fromEntries([...resource, ...tags].map(({ key, value }) => [key, String(value)])),
      },
    };
  });
}
