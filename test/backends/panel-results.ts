/** Runs a panel's queries as Grafana would send them. */
import type { Panel } from '../../otel-config/grafana/panels.ts';
import { instant, type LogLine, lines, range, traces, type Values } from './queries.ts';
import type { Stack } from './stack.ts';

/** Unix seconds. */
export interface TimeRange {
  readonly start: number;
  readonly end: number;
}

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
  return expression.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const value = builtIn[name] ?? variables[name];
    if (value === undefined) throw new Error(`no value for $${name} in ${expression}`);
    return value;
  });
}

export async function runPanel(
  panel: Panel,
  variables: Readonly<Record<string, string>>,
  stack: Stack,
  time: TimeRange,
): Promise<Result[]> {
  return Promise.all(
    panel.queries.map((query) =>
      runQuery(panel, interpolate(query.expression, variables, time), stack, time),
    ),
  );
}

async function runQuery(panel: Panel, query: string, stack: Stack, time: TimeRange): Promise<Result> {
  if (panel.source === 'tempo') {
    const found = await traces(stack.tempoUrl, query, time.start, time.end);
    return { kind: 'traces', ids: found.map((trace) => trace.traceID) };
  }
  if (panel.kind === 'logs') {
    return { kind: 'lines', lines: await lines(stack.lokiUrl, query, time.start, time.end) };
  }
  const api = panel.source === 'loki' ? `${stack.lokiUrl}/loki/api/v1` : `${stack.prometheusUrl}/api/v1`;
  const atOnce = panel.kind === 'stat' || panel.kind === 'table';
  const values = atOnce
    ? await instant(api, query, time.end)
    : await range(api, query, panel.source === 'loki' ? time.start : time.end - 1, time.end);
  return { kind: 'values', values };
}
