/** Runs a panel's queries as Grafana would send them. */
import { overOf } from '../../otel-config/grafana/build.ts';
import type { Panel } from '../../otel-config/grafana/panels.ts';
import type { RecordQuery } from '../../otel-config/grafana/records.ts';
import { instant, range, type Values } from './queries.ts';
import type { Pair, Stack } from './stack.ts';
import type { LogLine, RecordStore, TimeRange } from './stores.ts';

/** What a query gave: numbers by series, log lines, or trace ids. */
export type Result =
  | { readonly kind: 'values'; readonly values: Values }
  | { readonly kind: 'lines'; readonly lines: readonly LogLine[] }
  | { readonly kind: 'traces'; readonly ids: readonly string[] };

/** Replaces `$variable` and Grafana's `$__...`; throws when one is left. */
export function interpolate(
  expression: string,
  variables: Readonly<Record<string, string>>,
  time: TimeRange,
): string {
  const builtIn: Readonly<Record<string, string>> = {
    __rate_interval: '10s',
    __range: `${Math.ceil(time.end - time.start)}s`,
    __auto: '60s',
  };
  return expression.replaceAll(/\$([A-Za-z_]\w*)/g, (_, name: string) => {
    const value = builtIn[name] ?? variables[name];
    if (value === undefined) throw new Error(`no value for $${name} in ${expression}`);
    return value;
  });
}

/** @param pair which of the stack's stores of records and traces */
export async function runPanel(
  panel: Panel,
  variables: Readonly<Record<string, string>>,
  stack: Stack,
  pair: Pair,
  time: TimeRange,
): Promise<Result[]> {
  const fill = (text: string) => interpolate(text, variables, time);
  switch (panel.source) {
    case 'metrics':
      return Promise.all(
        panel.queries.map(async ({ expression }) => {
          const api = `${stack.prometheusUrl}/api/v1`;
          const query = fill(expression);
          const values = isInstant(panel)
            ? await instant(api, query, time.end)
            : await range(api, query, time.end - 1, time.end);
          return { kind: 'values', values };
        }),
      );
    case 'records':
      return Promise.all(
        panel.queries.map(({ records }) => runRecords(panel, records, fill, pair.records, time)),
      );
    case 'traces':
      return Promise.all(
        panel.queries.map(async ({ service }) => ({
          kind: 'traces',
          ids: await pair.traces.ofService(fill(service), time),
        })),
      );
  }
}

const isInstant = ({ kind }: Panel) => kind === 'stat' || kind === 'table';

async function runRecords(
  panel: Panel,
  records: RecordQuery,
  fill: (text: string) => string,
  store: RecordStore,
  time: TimeRange,
): Promise<Result> {
  const query = fill(store.text(records, overOf(panel)));
  if (records.aggregate === undefined) return { kind: 'lines', lines: await store.lines(query, time) };
  const values = isInstant(panel) ? await store.instant(query, time) : await store.range(query, time);
  return { kind: 'values', values };
}
