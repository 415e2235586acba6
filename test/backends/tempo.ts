/** Tempo, from a binary that the user has. */
import { join } from 'node:path';
import { traceql } from '../../otel-config/grafana/build.ts';
import { type RunningProgram, startProgram } from '../collector/running-program.ts';
import { get } from './queries.ts';
import { OTEL_CONFIG } from './stack.ts';
import type { Span, TimeRange, TraceStore } from './stores.ts';

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface OtlpTrace {
  readonly batches: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string;
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
        readonly attributes?: readonly Attribute[];
      }[];
    }[];
  }[];
}

export function startTempo(
  program: string,
  data: string,
  http: number,
  grpc: number,
  otlp: number,
): Promise<RunningProgram> {
  return startProgram({
    command: [program, '-config.expand-env=true', `-config.file=${join(OTEL_CONFIG, 'tempo/tempo.yaml')}`],
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

export function tempoStore(url: string): TraceStore {
  const search = async (q: string, { start, end }: TimeRange) => {
    const parameters = { q, start: String(Math.floor(start)), end: String(Math.ceil(end)), limit: '500' };
    const found = (await get(`${url}/api/search`, parameters)) as { traces?: { traceID: string }[] };
    return (found.traces ?? []).map(({ traceID }) => traceID);
  };
  return {
    uid: 'tempo',
    spans: async (traceId) => spansOf((await get(`${url}/api/traces/${traceId}`)) as OtlpTrace, traceId),
    search: ({ query }, time) => search(String(query), time),
    ofService: (service, time) => search(traceql(service), time),
  };
}

function spansOf(trace: OtlpTrace, traceId: string): Span[] {
  return trace.batches.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        traceId,
        name: span.name,
        start: Number(span.startTimeUnixNano) / 1e9,
        end: Number(span.endTimeUnixNano) / 1e9,
        attributes: Object.fromEntries(
          [...resource.attributes, ...(span.attributes ?? [])].map(({ key, value }) => [
            key,
            String(Object.values(value)[0]),
          ]),
        ),
      })),
    ),
  );
}
