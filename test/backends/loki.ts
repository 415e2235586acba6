/** Loki, from a binary that the user has. */
import { join } from 'node:path';
import { logql } from '../../otel-config/grafana/records.ts';
import { type RunningProgram, startProgram } from '../collector/running-program.ts';
import { get, instant, range, seriesOf } from './queries.ts';
import { OTEL_CONFIG } from './stack.ts';
import type { RecordStore } from './stores.ts';

interface StreamEntry {
  readonly stream: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [string, string])[];
}

export function startLoki(
  program: string,
  data: string,
  http: number,
  grpc: number,
): Promise<RunningProgram> {
  return startProgram({
    command: [program, '-config.expand-env=true', `-config.file=${join(OTEL_CONFIG, 'loki/loki.yaml')}`],
    env: { LOKI_DATA: data, LOKI_HTTP_PORT: String(http), LOKI_GRPC_PORT: String(grpc) },
    readyUrl: `http://127.0.0.1:${http}/ready`,
    timeout: 120_000,
  });
}

export function lokiStore(url: string): RecordStore {
  const api = `${url}/loki/api/v1`;
  return {
    uid: 'loki',
    text: logql,
    lines: async (query, { start, end }) => {
      const parameters = { query, start: start.toFixed(3), end: end.toFixed(3), limit: '5000' };
      const answer = (await get(`${api}/query_range`, parameters)) as { data: { result: StreamEntry[] } };
      return answer.data.result.flatMap(({ stream, values }) =>
        values.map(([, line]) => ({ labels: stream, line })),
      );
    },
    instant: (query, { end }) => instant(api, query, end),
    range: (query, { start, end }) => range(api, query, start, end),
    series: async (query, { start, end }, stepS) => {
      const times = { start: start.toFixed(3), end: end.toFixed(3), step: String(stepS) };
      return seriesOf(
        stepS === undefined
          ? await get(`${api}/query`, { query, time: end.toFixed(3) })
          : await get(`${api}/query_range`, { query, ...times }),
      );
    },
  };
}
