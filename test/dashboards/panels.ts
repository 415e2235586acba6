/** Panels of a generated dashboard: runs their queries, and makes of the answers what Grafana's data sources make of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { get } from '../backends/queries.ts';
import { OTEL_CONFIG } from '../backends/stack.ts';
import type { RecordStore, TraceStore } from '../backends/stores.ts';
import type { Hour } from './hour.ts';
import type { FrameInput, PanelInput } from './page/input.ts';

interface Target {
  readonly refId: string;
  readonly expr?: string;
  readonly format?: string;
  readonly instant?: boolean;
  readonly legendFormat?: string;
  readonly queryType?: string;
  readonly service?: string;
}
interface PanelJson extends Omit<PanelInput, 'frames'> {
  readonly targets: readonly Target[];
  readonly datasource: { readonly type: string };
}
export interface DashboardJson {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly PanelJson[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

export function dashboard(uid: string): DashboardJson {
  const file = join(OTEL_CONFIG, 'grafana/dashboards-victorialogs', `${uid}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as DashboardJson;
}

export interface Sources {
  /** Base of Prometheus' API. */
  readonly metrics: string;
  /** Absent: there are none. */
  readonly records?: RecordStore;
  readonly traces?: TraceStore;
}

const STEP_S = 15;

/** The panel with what its queries gave. @throws when a source refuses a query */
export async function withFrames(
  panel: PanelJson,
  variables: Readonly<Record<string, string>>,
  sources: Sources,
  hour: Hour,
): Promise<PanelInput> {
  const builtIn = { __rate_interval: '1m', __range: `${hour.end - hour.start}s`, __auto: '1m' };
  const fill = (text = '') =>
    text.replaceAll(/\$([A-Za-z_]\w*)/g, (_, name: string) => {
      const value = { ...builtIn, ...variables }[name];
      if (value === undefined) throw new Error(`${panel.title}: no value for $${name}`);
      return value;
    });
  const frames: FrameInput[] = [];
  for (const target of panel.targets) {
    const query = fill(target.expr);
    if (panel.datasource.type === 'prometheus')
      frames.push(...(await metrics(panel, target, query, sources.metrics, hour)));
    else if (target.service !== undefined)
      frames.push(...(await traces(fill(target.service), sources, hour)));
    else frames.push(...(await records(target, query, sources, hour)));
  }
  return { ...panel, frames };
}

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

async function metrics(
  panel: PanelJson,
  { refId, format, instant, legendFormat = '' }: Target,
  query: string,
  url: string,
  { start, end }: Hour,
): Promise<FrameInput[]> {
  const range = { start: String(start), end: String(end), step: String(STEP_S) };
  const answer = instant
    ? await get(`${url}/query`, { query, time: String(end) })
    : await get(`${url}/query_range`, { query, ...range });
  const { result } = (answer as { data: { result: readonly Series[] } }).data;
  if (format === 'table') return tableFrame(refId, result);
  if (format === 'heatmap') return bucketFrames(refId, result);
  return result.map((series) => seriesFrame(refId, series, legend(legendFormat, series.metric), panel));
}

/** A label that is not there is nothing. */
function legend(format: string, labels: Readonly<Record<string, string>>): string {
  if (format !== '')
    return format.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => labels[name] ?? '').trim();
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(', ')}}`;
}

function seriesFrame(
  refId: string,
  { metric, value, values }: Series,
  name: string,
  { title }: PanelJson,
): FrameInput {
  const points = values ?? (value === undefined ? [] : [value]);
  return {
    refId,
    fields: [
      { name: 'Time', type: 'time', values: points.map(([time]) => time * 1000) },
      {
        name: 'Value',
        type: 'number',
        values: points.map(([, text]) => Number(text)),
        labels: metric,
        config: { displayNameFromDS: name === '' ? title : name },
      },
    ],
  };
}

function tableFrame(refId: string, result: readonly Series[]): FrameInput[] {
  if (result.length === 0) return [];
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return [
    {
      refId,
      fields: [
        { name: 'Time', type: 'time', values: result.map(({ value }) => Number(value?.[0]) * 1000) },
        ...labels.map((name) => ({
          name,
          type: 'string' as const,
          values: result.map(({ metric }) => metric[name] ?? ''),
        })),
        { name: 'Value', type: 'number', values: result.map(({ value }) => Number(value?.[1])) },
      ],
    },
  ];
}

/** Cumulative buckets to those between one bound and the next. */
function bucketFrames(refId: string, result: readonly Series[]): FrameInput[] {
  const bound = ({ metric }: Series) => (metric.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(metric.le));
  const sorted = [...result].sort((a, b) => bound(a) - bound(b));
  return sorted.map((series, index) => {
    const below = new Map(sorted[index - 1]?.values ?? []);
    const points = (series.values ?? []).map(
      ([time, value]) => [time, String(Number(value) - Number(below.get(time) ?? 0))] as const,
    );
    const name = series.metric.le ?? '';
    return {
      refId,
      fields: [
        { name: 'Time', type: 'time', values: points.map(([time]) => time * 1000) },
        { name, type: 'number', values: points.map(([, value]) => Number(value)), labels: series.metric },
      ],
    };
  });
}

async function records(
  { refId, queryType, legendFormat = '' }: Target,
  query: string,
  { records: store }: Sources,
  hour: Hour,
): Promise<FrameInput[]> {
  if (store === undefined) return [];
  if (queryType === 'instant') {
    const lines = await store.lines(query, hour);
    if (lines.length === 0) return [];
    return [
      {
        refId,
        fields: [
          { name: 'Line', type: 'string', values: lines.map(({ line }) => line) },
          { name: 'labels', type: 'other', values: lines.map(({ labels }) => labels) },
        ],
      },
    ];
  }
  const answer = await store.series(query, hour, queryType === 'statsRange' ? 60 : undefined);
  return answer.map(({ labels, points }) => ({
    refId,
    fields: [
      { name: 'Time', type: 'time', values: points.map(([time]) => time * 1000) },
      {
        name: 'Value',
        type: 'number',
        values: points.map(([, value]) => value),
        labels,
        ...(legendFormat === ''
          ? {}
          : { config: { displayNameFromDS: legend(legendFormat, underscored(labels)) } }),
      },
    ],
  }));
}

const underscored = (labels: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(labels).map(([name, value]) => [name.replaceAll('.', '_'), value]));

async function traces(service: string, { traces: store }: Sources, hour: Hour): Promise<FrameInput[]> {
  const ids = (await store?.ofService(service, hour)) ?? [];
  if (ids.length === 0) return [];
  const found = await Promise.all(ids.map(async (id) => (await store?.spans(id)) ?? []));
  return [
    {
      refId: 'A',
      fields: [
        { name: 'Trace ID', type: 'string', values: ids },
        { name: 'Trace name', type: 'string', values: found.map(([span]) => span?.name ?? '') },
        { name: 'Start time', type: 'time', values: found.map(([span]) => (span?.start ?? 0) * 1000) },
      ],
    },
  ];
}
