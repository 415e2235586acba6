/** The agent's own series as the SDK's metric data: what a MetricReader collects beside the SDK's instruments. */
import { type HrTime, ValueType } from '@opentelemetry/api';
import { emptyResource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { Attributes } from '../../model.ts';
import { DURATION_BOUNDS, METRICS, type MetricName } from '../../tables/metrics.ts';
import type { Counter, Distribution, LookupSeries } from './lookup-series.ts';
import type { ProcessSeries } from './process-series.ts';
import type { Series, SeriesTable } from './series-table.ts';

export type Temporality = 'cumulative' | 'delta';

export interface ProducerParts {
  readonly lookups: LookupSeries;
  readonly processes: ProcessSeries;
  readonly scope: { readonly name: string; readonly version: string };
  /** Unix ns. */
  readonly now: () => bigint;
  readonly counterTemporality: Temporality;
  readonly histogramTemporality: Temporality;
}

export class SeriesProducer implements MetricProducer {
  readonly #parts: ProducerParts;

  constructor(parts: ProducerParts) {
    this.#parts = parts;
  }

  async collect(): Promise<CollectionResult> {
    const { lookups, processes, scope, now, counterTemporality, histogramTemporality } = this.#parts;
    const time = now();
    const end = hrTime(time);
    const counts = (table: SeriesTable<Counter>): DataPoint<number>[] =>
      table.collect(time, counterTemporality).map((series) => point(series, end, series.value.count));
    const durations = lookups.durations
      .collect(time, histogramTemporality)
      .map((series) => point(series, end, histogram(series.value)));
    const perProcess = processes
      .collect(time, counterTemporality)
      .map((each) => point(each, end, each.count));
    const queries = lookups.queries.collect(time, counterTemporality);
    const queryPoints = (what: 'count' | 'transmissions'): DataPoint<number>[] =>
      queries.map((series) => point(series, end, series.value[what]));
    const metrics = [
      sum('whodns.queries', queryPoints('count'), counterTemporality),
      sum('whodns.transmissions', queryPoints('transmissions'), counterTemporality),
      sum('whodns.findings', counts(lookups.findings), counterTemporality),
      sum('whodns.search.wasted', counts(lookups.wasted), counterTemporality),
      distribution('dns.lookup.duration', durations, histogramTemporality),
      sum('whodns.process.queries', perProcess, counterTemporality),
      sum('whodns.connections', counts(lookups.connections), counterTemporality),
    ].filter((metric) => metric.dataPoints.length > 0);
    // The reader takes the resource of its own provider and ignores this one.
    const scopeMetrics = metrics.length === 0 ? [] : [{ scope, metrics }];
    return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] };
  }
}

interface Point {
  readonly attributes: Attributes;
  readonly start: bigint;
}

function point<Value>(from: Point | Series<unknown>, endTime: HrTime, value: Value): DataPoint<Value> {
  const attributes = from.attributes as DataPoint<Value>['attributes'];
  return { startTime: hrTime(from.start), endTime, attributes, value };
}

function histogram({ buckets, count, sum: total, min, max }: Distribution): Histogram {
  return {
    buckets: { boundaries: [...DURATION_BOUNDS], counts: [...buckets] },
    sum: total,
    count,
    min,
    max,
  };
}

function descriptor(name: MetricName, valueType: ValueType): MetricData['descriptor'] {
  const { description, unit } = METRICS[name];
  return { name, description, unit, valueType };
}

function sum(name: MetricName, dataPoints: DataPoint<number>[], temporality: Temporality): MetricData {
  return {
    descriptor: descriptor(name, ValueType.INT),
    aggregationTemporality: TEMPORALITY[temporality],
    dataPointType: DataPointType.SUM,
    isMonotonic: true,
    dataPoints,
  };
}

function distribution(
  name: MetricName,
  dataPoints: DataPoint<Histogram>[],
  temporality: Temporality,
): MetricData {
  return {
    descriptor: descriptor(name, ValueType.DOUBLE),
    aggregationTemporality: TEMPORALITY[temporality],
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints,
  };
}

/** @param time Unix ns; @returns [seconds, nanoseconds], which keeps every nanosecond */
function hrTime(time: bigint): HrTime {
  return [Number(time / 1_000_000_000n), Number(time % 1_000_000_000n)];
}

const TEMPORALITY: Readonly<Record<Temporality, AggregationTemporality>> = {
  cumulative: AggregationTemporality.CUMULATIVE,
  delta: AggregationTemporality.DELTA,
};
