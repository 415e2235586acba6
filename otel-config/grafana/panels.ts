/** A dashboard as data. */
import type { RecordQuery } from './records.ts';

export type Source = 'metrics' | 'records' | 'traces';

/** PromQL. */
export interface MetricQuery {
  readonly expression: string;
  /** Legend, `{{label}}` allowed. */
  readonly legend?: string;
}

export interface RecordsQuery {
  readonly records: RecordQuery;
  readonly legend?: string;
}

/** Traces of a service. */
export interface TraceQuery {
  readonly service: string;
}

export interface Threshold {
  readonly at: number;
  readonly color: 'orange' | 'red';
}

/** Leads to another board with what stands in the row, or on the series, chosen there. */
export interface Link {
  readonly title: string;
  /** uid */
  readonly board: string;
  /** Variable of that board to the attribute, or label, that it takes its value from. Cluster, namespace and host are kept otherwise. */
  readonly set: Readonly<Record<string, string>>;
}

interface PanelBase {
  readonly kind: 'timeseries' | 'stat' | 'table' | 'heatmap' | 'logs' | 'traces';
  readonly title: string;
  readonly description: string;
  /** Grafana's unit id; 'none' where the values are text. */
  readonly unit: string;
  /** From which values on it is bad, ascending. A stat has them, empty where no value is. */
  readonly thresholds?: readonly Threshold[] | undefined;
  /** Instead of the panel where there is nothing; `0` if absent. */
  readonly empty?: string;
  readonly links?: readonly Link[];
  /** Of a table: attribute or label to its heading, in this order; others are not shown. */
  readonly columns?: Readonly<Record<string, string>>;
  /** Of a table: heading of the number. */
  readonly number?: string;
  /** Of 24 columns. */
  readonly width: number;
  readonly height?: number;
}

export type Panel = PanelBase &
  (
    | { readonly source: 'metrics'; readonly queries: readonly MetricQuery[] }
    | { readonly source: 'records'; readonly queries: readonly RecordsQuery[] }
    | { readonly source: 'traces'; readonly queries: readonly TraceQuery[] }
  );

export interface Variable {
  readonly name: string;
  readonly label: string;
  /** `label_values(...)` of Prometheus; free text with this default otherwise. */
  readonly query?: string;
  readonly text?: string;
}

export interface Board {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly panels: readonly Panel[];
}
