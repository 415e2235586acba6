/**
 * Follows the links of a provisioning file of data sources the way Grafana does: with nothing but that file, and the record or
 * span the link is on.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { labelName } from '../../otel-config/grafana/queries.ts';
import { instant, type Values } from './queries.ts';
import type { Pair, Stack } from './stack.ts';
import type { LogLine, Span, TimeRange } from './stores.ts';

interface Tag {
  readonly key: string;
  readonly value: string;
}

interface Correlation {
  readonly label: string;
  readonly targetUID: string;
  readonly config: {
    readonly field: string;
    readonly target: { readonly query?: string; readonly expr?: string; readonly service?: string };
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

/** `$$` is Grafana's escape for `$` in provisioning files. */
function dataSource({ datasources: file }: Pair, uid: string): DataSource {
  const { datasources } = parse(readFileSync(file, 'utf8').replaceAll('$$', '$')) as {
    readonly datasources: readonly DataSource[];
  };
  const found = datasources.find((source) => source.uid === uid);
  if (found === undefined) throw new Error(`${file}: no data source ${uid}`);
  return found;
}

function correlation(pair: Pair, from: string, label: string): Correlation['config'] {
  const found = dataSource(pair, from).correlations?.find((one) => one.label === label);
  if (found === undefined) throw new Error(`${pair.datasources}: no correlation of ${from}: ${label}`);
  return found.config;
}

/** `${name}` by its value; throws when there is none, as Grafana then hides the link. */
function fill(template: string, values: Readonly<Record<string, string | undefined>>): string {
  return template.replaceAll(/\$\{([\w.]+(?:\["[\w.]+"\])?)\}/g, (_, name: string) => {
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

/** The span of the trace that the link is on. */
export type PickSpan = (span: Span) => boolean;

async function pickSpan({ traces }: Pair, traceId: string, pick: PickSpan): Promise<Span> {
  const span = (await traces.spans(traceId)).find(pick);
  if (span === undefined) throw new Error(`trace ${traceId} has no such span`);
  return span;
}

const seconds = (shift: string) => Number(/^(-?\d+)s$/.exec(shift)?.[1]);

/** The links of one pair's provisioning file. */
export function linksOf({ prometheusUrl }: Stack, pair: Pair) {
  const { records, traces } = pair;
  const metrics = `${prometheusUrl}/api/v1`;
  return {
    /** The trace data source's "Logs for this span". */
    async spanToRecords(traceId: string, pick: PickSpan): Promise<LogLine[]> {
      const link = dataSource(pair, traces.uid).jsonData.tracesToLogsV2;
      if (link === undefined) throw new Error('no tracesToLogsV2');
      const span = await pickSpan(pair, traceId, pick);
      const query = fill(link.query, { __tags: tagMatchers(link.tags, span), ...spanTags(span) });
      const start = span.start + seconds(link.spanStartTimeShift);
      return records.lines(query, { start, end: span.end + seconds(link.spanEndTimeShift) });
    },

    /** The correlation to records by name; Grafana hands over the span's tags as JSON and picks one with the regular expression. */
    async spanToName(traceId: string, pick: PickSpan): Promise<LogLine[]> {
      const { target, transformations } = correlation(pair, traces.uid, 'DNS of the server called');
      const span = await pickSpan(pair, traceId, pick);
      const tags = JSON.stringify(Object.entries(span.attributes).map(([key, value]) => ({ key, value })));
      const values: Record<string, string | undefined> = { serviceName: span.attributes['service.name'] };
      for (const { expression, mapValue } of transformations ?? []) {
        values[mapValue] = new RegExp(expression).exec(tags)?.[1];
      }
      const time = { start: span.start - 60, end: span.end + 60 };
      return records.lines(fill(String(target.expr), values), time);
    },

    /** The correlation to records by trace id; the span's trace is `traceID` in Grafana's frame of a trace. */
    async spanToTrace(traceId: string, pick: PickSpan, time: TimeRange): Promise<LogLine[]> {
      const { field, target } = correlation(pair, traces.uid, 'DNS of this trace');
      const span = await pickSpan(pair, traceId, pick);
      return records.lines(fill(String(target.expr), { [field]: span.traceId }), time);
    },

    /** The record data source's derived field on a label. */
    async recordToTrace(record: Readonly<Record<string, string>>): Promise<Span[]> {
      const field = dataSource(pair, records.uid).jsonData.derivedFields?.find(
        ({ matcherType }) => matcherType === 'label',
      );
      if (field === undefined) throw new Error('no derived field');
      const label = Object.keys(record).find((key) => new RegExp(`^${field.matcherRegex}$`).test(key));
      const value = label === undefined ? undefined : record[label];
      return traces.spans(fill(field.url, { '__value.raw': value }));
    },

    /** The record data source's correlation to traces; trace ids. */
    async recordToTraces(record: Readonly<Record<string, string>>, time: TimeRange): Promise<string[]> {
      const { field, target } = correlation(pair, records.uid, 'Traces of this service');
      const values = { [field]: record[labelName(field)] };
      const { query, service } = target;
      return traces.search(
        {
          ...(query === undefined ? {} : { query: fill(query, values) }),
          ...(service === undefined ? {} : { service: fill(service, values) }),
        },
        time,
      );
    },

    /** The record data source's correlation to itself: what followed the lookup. */
    async recordToConnections(record: Readonly<Record<string, string>>, time: TimeRange): Promise<LogLine[]> {
      const { field, target } = correlation(pair, records.uid, 'Connections to this name');
      return records.lines(fill(String(target.expr), { [field]: record[labelName(field)] }), time);
    },

    /** The record data source's correlation to Prometheus. */
    async recordToMetrics(record: Readonly<Record<string, string>>, time: TimeRange): Promise<Values> {
      const { field, target } = correlation(pair, records.uid, 'Lookups of this service');
      return instant(metrics, fill(String(target.expr), { [field]: record[labelName(field)] }), time.end);
    },

    /** The trace data source's "Metrics for this span", one result per query. */
    async spanToMetrics(traceId: string, pick: PickSpan, time: TimeRange): Promise<Values[]> {
      const link = dataSource(pair, traces.uid).jsonData.tracesToMetrics;
      if (link === undefined) throw new Error('no tracesToMetrics');
      const matchers = tagMatchers(link.tags, await pickSpan(pair, traceId, pick));
      return Promise.all(
        link.queries.map(({ query }) => instant(metrics, query.replace('$__tags', matchers), time.end)),
      );
    },
  };
}

/** `__span.tags["name"]`, as Grafana's links of a span have it. */
function spanTags({ attributes }: Span): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [`__span.tags["${name}"]`, value]),
  );
}
