/** VictoriaLogs, built from its Go module. */
import { labelName } from '../../otel-config/grafana/queries.ts';
import { logsql } from '../../otel-config/grafana/records.ts';
import { type RunningProgram, startProgram } from '../collector/running-program.ts';
import { victoriaLogsProgram } from './build.ts';
import { get, seriesOf, type Values, valuesOf } from './queries.ts';
import type { LogLine, RecordStore } from './stores.ts';

export async function startVictoriaLogs(data: string, port: number): Promise<RunningProgram> {
  return startProgram({
    command: [
      await victoriaLogsProgram(),
      `-storageDataPath=${data}`,
      `-httpListenAddr=127.0.0.1:${port}`,
      // The scenario has records of the last minutes only.
      '-retentionPeriod=1d',
    ],
    readyUrl: `http://127.0.0.1:${port}/health`,
  });
}

export function victoriaLogsStore(url: string): RecordStore {
  const api = `${url}/select/logsql`;
  return {
    uid: 'victorialogs',
    text: (query) => logsql(query),
    lines: async (query, { start, end }) => {
      const parameters = new URLSearchParams({
        query,
        start: String(start),
        end: String(end),
        limit: '5000',
      });
      const response = await fetch(`${api}/query?${parameters}`);
      const text = await response.text();
      if (!response.ok) throw new Error(`${query}: HTTP ${response.status} ${text}`);
      return text.split('\n').filter(Boolean).map(toLine);
    },
    instant: async (query, { start, end }) =>
      underscored(
        valuesOf(await get(`${api}/stats_query`, { query, start: String(start), end: String(end) })),
      ),
    series: async (query, { start, end }, stepS) => {
      const parameters = { query, start: String(start), end: String(end) };
      return seriesOf(
        stepS === undefined
          ? await get(`${api}/stats_query`, parameters)
          : await get(`${api}/stats_query_range`, { ...parameters, step: `${stepS}s` }),
      );
    },
    range: async (query, { start, end }) => {
      const parameters = {
        query,
        start: String(start),
        end: String(end),
        step: `${Math.ceil(end - start)}s`,
      };
      return underscored(valuesOf(await get(`${api}/stats_query_range`, parameters)));
    },
  };
}

function toLine(text: string): LogLine {
  const { _msg: line = '', ...fields } = JSON.parse(text) as Record<string, string>;
  const attributes = Object.entries(fields).filter(([name]) => !name.startsWith('_'));
  return { labels: Object.fromEntries(attributes.map(([name, value]) => [labelName(name), value])), line };
}

function underscored(values: Values): Values {
  const names = (labels: string) =>
    labels.replaceAll(/(^|,)([\w.]+)=/g, (_, before: string, name: string) => `${before}${labelName(name)}=`);
  return new Map([...values].map(([labels, value]) => [names(labels), value]));
}
