/** The scenario of the backends' tests spread over an hour: what an operator would look at. */

import { labelName, prometheusName } from '../../otel-config/grafana/queries.ts';
import type { Attributes } from '../../src/model.ts';
import { DURATION_BOUNDS, METRICS } from '../../src/tables/metrics.ts';
import { HISTOGRAMS, LOOKUPS, OTHERS, SERIES, sendTraces } from '../backends/scenario.ts';
import { lookupRecord } from '../collector/example-lookups.ts';
import { logsRequest, post, type RecordInput } from '../collector/otlp-json.ts';

/** Unix s. */
export interface Hour {
  readonly start: number;
  readonly end: number;
}

const STEP_S = 15;
/** Counting begins before what is shown. */
const BEFORE_S = 300;

/** How busy it is, around 1. */
const busy = (time: number, phase: number) =>
  1 + 0.35 * Math.sin(time / 500 + phase) + 0.1 * Math.sin(time / 61);

interface Shape {
  readonly keep: (metric: string, attributes: Attributes) => boolean;
  /** On every series. */
  readonly labels: Attributes;
  /** In place of what the scenario has. */
  readonly over?: Attributes;
}

/** All of the scenario, on one host. */
export const TROUBLE: Shape = { keep: () => true, labels: { 'host.name': 'node-7' } };

const HEALTHY_METRICS: ReadonlySet<string> = new Set([
  ...['whodns.queries', 'whodns.process.queries', 'dns.lookup.duration', 'whodns.kernel.events'],
  ...['whodns.ring.size', 'whodns.batches', 'whodns.batch.bytes', 'process.memory.usage', 'process.cpu.time'],
]);
/** Every lookup is answered, nothing is lost, nothing more is switched on; a Collector that adds no labels. */
export const HEALTHY: Shape = {
  keep: (metric, attributes) =>
    HEALTHY_METRICS.has(metric) &&
    attributes['error.type'] === undefined &&
    attributes['whodns.outcome'] === undefined,
  labels: {},
};

export const HOSTILE_NAME = 'a&var-host=b#?/..%20"<b>\\n';
/** Somebody chose the name of his program, and of his service. */
export const HOSTILE: Shape = {
  keep: HEALTHY.keep,
  labels: { 'host.name': 'node-7' },
  over: { 'process.executable.name': HOSTILE_NAME, 'service.name': HOSTILE_NAME },
};

/** Of `over`, what there is. */
const known = (attributes: Attributes, over: Attributes): Attributes =>
  Object.fromEntries(Object.entries(over).filter(([name]) => name in attributes));

/** OpenMetrics text, with times, for `promtool tsdb create-blocks-from openmetrics`. */
export function openMetrics({ start, end }: Hour, { keep, labels, over = {} }: Shape): string {
  const lines: string[] = [];
  const write = (name: string, attributes: Attributes, value: (time: number) => number) => {
    const pairs = Object.entries({
      job: 'whodns',
      instance: 'a',
      ...labels,
      ...attributes,
      ...known(attributes, over),
    });
    const text = pairs.map(([key, one]) => `${labelName(key)}=${JSON.stringify(String(one))}`).join(',');
    for (let time = start - BEFORE_S; time <= end; time += STEP_S)
      lines.push(`${name}{${text}} ${value(time)} ${time}`);
  };
  /** A counter that goes up by `rate` a second, more or less. */
  const counter = (rate: number, phase: number) => {
    let total = 0;
    return (time: number) => {
      if (time > start - BEFORE_S) total += Math.round(rate * STEP_S * busy(time, phase));
      return total;
    };
  };
  SERIES.forEach(({ metric, attributes, value }, index) => {
    if (!keep(metric, attributes)) return;
    const isCounter = METRICS[metric].kind === 'sum';
    write(
      prometheusName(metric),
      attributes,
      isCounter
        ? counter(value, index)
        : (time) => Math.round(value * (value > 20 ? busy(time, index) * 0.55 : 1)),
    );
  });
  for (const { attributes, buckets } of HISTOGRAMS) {
    if (!keep('dns.lookup.duration', attributes)) continue;
    const name = prometheusName('dns.lookup.duration');
    const bounds = [...DURATION_BOUNDS.map(String), '+Inf'];
    bounds.forEach((le, index) => {
      const below = Object.entries(buckets).filter(([bucket]) => Number(bucket) <= index);
      const rate = below.reduce((sum, [, count]) => sum + count, 0);
      write(`${name}_bucket`, { ...attributes, le }, counter(rate, 0));
    });
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

/** Sends the records, spread evenly, and a trace. */
export async function sendHour(endpoint: string, { start, end }: Hour): Promise<void> {
  const at = (index: number, count: number) =>
    BigInt(Math.round(((end - start) * (index + 0.5)) / count + start)) * 1_000_000_000n;
  const send = (process: Attributes, count: number, record: (time: bigint) => RecordInput) =>
    post(
      endpoint,
      'logs',
      logsRequest(
        process,
        Array.from({ length: count }, (_, index) => record(at(index, count))),
      ),
    );
  for (const { process, count, lookup } of LOOKUPS)
    await send(process, count, (time) => {
      const record = lookupRecord(lookup, time);
      return { ...record, attributes: { ...record.attributes, 'whodns.thread.name': 'main' } };
    });
  for (const { process, count, record } of OTHERS)
    await send(process, count, (time) => ({ ...record, time, severity: 9 }));
  await sendTraces(endpoint, end * 1000 - 60_000);
}
