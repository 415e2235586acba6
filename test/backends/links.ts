/**
 * Follows the links of otel-config/grafana/provisioning/datasources/whodns.yaml the way Grafana does: with nothing but
 * that file, and the record or span the link is on.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { TimeRange } from './panel-results.ts';
import { get, instant, type LogLine, lines, traces, type Values } from './queries.ts';
import { OTEL_CONFIG, type Stack } from './stack.ts';

interface Tag {
  readonly key: string;
  readonly value: string;
}

interface Correlation {
  readonly label: string;
  readonly targetUID: string;
  readonly config: {
    readonly field: string;
    readonly target: { readonly query?: string; readonly expr?: string };
    readonly transformations?: readonly { readonly expression: string; readonly mapValue: string }[];
  };
}

interface DataSource {
  readonly uid: string;
  readonly jsonData: {
    readonly derivedFields?: readonly {
      readonly matcherType: string;
      readonly matcherRegex: string;
      readonly url: string;
    }[];
    readonly tracesToLogsV2?: {
      readonly spanStartTimeShift: string;
      readonly spanEndTimeShift: string;
      readonly tags: readonly Tag[];
      readonly query: string;
    };
    readonly tracesToMetrics?: {
      readonly tags: readonly Tag[];
      readonly queries: readonly { readonly query: string }[];
    };
  };
  readonly correlations?: readonly Correlation[];
}

export interface Span {
  readonly traceId: string;
  readonly name: string;
  /** Unix s */
  readonly start: number;
  readonly end: number;
  /** Attributes of the span and of its resource. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** `$$` is Grafana's escape for `$` in provisioning files. */
const FILE = join(OTEL_CONFIG, 'grafana/provisioning/datasources/whodns.yaml');
const { datasources } = parse(readFileSync(FILE, 'utf8').replaceAll('$$', '$')) as {
  readonly datasources: readonly DataSource[];
};

function dataSource(uid: string): DataSource {
  const found = datasources.find((source) => source.uid === uid);
  if (found === undefined) throw new Error(`${FILE}: no data source ${uid}`);
  return found;
}

function correlation(from: string, label: string): Correlation['config'] {
  const found = dataSource(from).correlations?.find((one) => one.label === label);
  if (found === undefined) throw new Error(`${FILE}: no correlation of ${from}: ${label}`);
  return found.config;
}

/** `${name}` by its value; throws when there is none, as Grafana then hides the link. */
function fill(template: string, values: Readonly<Record<string, string | undefined>>): string {
  return template.replaceAll(/\$\{([\w.]+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no ${name} for ${template}`);
    return value;
  });
}

/** Grafana's `$__tags`: those that the span has, as matchers. */
function tagMatchers(tags: readonly Tag[], span: Span): string {
  return tags
    .filter(({ key }) => span.attributes[key] !== undefined)
    .map(({ key, value }) => `${value}="${span.attributes[key]}"`)
    .join(', ');
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface OtlpTrace {
  readonly batches: readonly {
    readonly resource: { readonly attributes: readonly OtlpAttribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string;
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
        readonly attributes?: readonly OtlpAttribute[];
      }[];
    }[];
  }[];
}

async function spansOf(stack: Stack, traceId: string): Promise<Span[]> {
  const trace = (await get(`${stack.tempoUrl}/api/traces/${traceId}`)) as OtlpTrace;
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

/** The span of the trace that the link is on. */
export type PickSpan = (span: Span) => boolean;

async function pickSpan(stack: Stack, traceId: string, pick: PickSpan): Promise<Span> {
  const span = (await spansOf(stack, traceId)).find(pick);
  if (span === undefined) throw new Error(`trace ${traceId} has no such span`);
  return span;
}

const seconds = (shift: string) => Number(/^(-?\d+)s$/.exec(shift)?.[1]);

export const linkQueries = {
  /** Tempo's "Logs for this span". */
  async spanToRecords(stack: Stack, traceId: string, pick: PickSpan): Promise<LogLine[]> {
    const link = dataSource('tempo').jsonData.tracesToLogsV2;
    if (link === undefined) throw new Error('no tracesToLogsV2');
    const span = await pickSpan(stack, traceId, pick);
    const query = fill(link.query, { __tags: tagMatchers(link.tags, span) });
    const start = span.start + seconds(link.spanStartTimeShift);
    return lines(stack.lokiUrl, query, start, span.end + seconds(link.spanEndTimeShift));
  },

  /** Tempo's correlation to Loki; Grafana hands over the span's tags as JSON and picks one with the regular expression. */
  async spanToName(stack: Stack, traceId: string, pick: PickSpan): Promise<LogLine[]> {
    const { target, transformations } = correlation('tempo', 'DNS of the server called');
    const span = await pickSpan(stack, traceId, pick);
    const tags = JSON.stringify(Object.entries(span.attributes).map(([key, value]) => ({ key, value })));
    const values: Record<string, string | undefined> = { serviceName: span.attributes['service.name'] };
    for (const { expression, mapValue } of transformations ?? []) {
      values[mapValue] = new RegExp(expression).exec(tags)?.[1];
    }
    return lines(stack.lokiUrl, fill(String(target.expr), values), span.start - 60, span.end + 60);
  },

  /** Tempo's correlation to Loki by trace id; the span's trace is `traceID` in Grafana's frame of a trace. */
  async spanToTrace(stack: Stack, traceId: string, pick: PickSpan, time: TimeRange): Promise<LogLine[]> {
    const { field, target } = correlation('tempo', 'DNS of this trace');
    const span = await pickSpan(stack, traceId, pick);
    return lines(stack.lokiUrl, fill(String(target.expr), { [field]: span.traceId }), time.start, time.end);
  },

  /** Loki's derived field on a label. */
  async recordToTrace(stack: Stack, record: Readonly<Record<string, string>>): Promise<Span[]> {
    const field = dataSource('loki').jsonData.derivedFields?.find(
      ({ matcherType }) => matcherType === 'label',
    );
    if (field === undefined) throw new Error('no derived field');
    const label = Object.keys(record).find((key) => new RegExp(`^${field.matcherRegex}$`).test(key));
    const value = label === undefined ? undefined : record[label];
    return spansOf(stack, fill(field.url, { '__value.raw': value }));
  },

  /** Loki's correlation to Tempo; trace ids. */
  async recordToTraces(
    stack: Stack,
    record: Readonly<Record<string, string>>,
    time: TimeRange,
  ): Promise<string[]> {
    const { field, target } = correlation('loki', 'Traces of this service');
    const query = fill(String(target.query), { [field]: record[field] });
    return (await traces(stack.tempoUrl, query, time.start, time.end)).map(({ traceID }) => traceID);
  },

  /** Loki's correlation to Prometheus. */
  async recordToMetrics(
    stack: Stack,
    record: Readonly<Record<string, string>>,
    time: TimeRange,
  ): Promise<Values> {
    const { field, target } = correlation('loki', 'Lookups of this service');
    const query = fill(String(target.expr), { [field]: record[field] });
    return instant(`${stack.prometheusUrl}/api/v1`, query, time.end);
  },

  /** Tempo's "Metrics for this span", one result per query. */
  async spanToMetrics(stack: Stack, traceId: string, pick: PickSpan, time: TimeRange): Promise<Values[]> {
    const link = dataSource('tempo').jsonData.tracesToMetrics;
    if (link === undefined) throw new Error('no tracesToMetrics');
    const matchers = tagMatchers(link.tags, await pickSpan(stack, traceId, pick));
    return Promise.all(
      link.queries.map(({ query }) =>
        instant(`${stack.prometheusUrl}/api/v1`, query.replace('$__tags', matchers), time.end),
      ),
    );
  },
};
