/** What a store of records and one of traces can do, whichever it is, and the one form of their answers. */
import type { RecordQuery } from '../../otel-config/grafana/records.ts';
import type { Series, Values } from './queries.ts';

/** Unix seconds. */
export interface TimeRange {
  readonly start: number;
  readonly end: number;
}

/** A record: its display line, and attributes of it and its resource with underscores for dots; a list is JSON text. */
export interface LogLine {
  readonly labels: Readonly<Record<string, string>>;
  readonly line: string;
}

export interface RecordStore {
  /** Data source uid in the provisioning file. */
  readonly uid: string;
  /** The query in the store's language. @param over what an aggregate counts over */
  readonly text: (query: RecordQuery, over?: string) => string;
  /** @throws what the store says of a query that it refuses; as all of these */
  readonly lines: (query: string, time: TimeRange) => Promise<LogLine[]>;
  /** One number per series over the whole range. */
  readonly instant: (query: string, time: TimeRange) => Promise<Values>;
  /** The last number of each series. */
  readonly range: (query: string, time: TimeRange) => Promise<Values>;
  /** Every series with its points and the labels as the store has them. @param stepS without it one point over the whole range */
  readonly series: (query: string, time: TimeRange, stepS?: number) => Promise<Series[]>;
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

/** Where a link leads: a query as the data source has it in Grafana. */
export interface TraceSearch {
  readonly query?: string;
  readonly service?: string;
}

export interface TraceStore {
  readonly uid: string;
  /** Spans of one trace, [] when it is not there. */
  readonly spans: (traceId: string) => Promise<Span[]>;
  /** Ids of the traces found. */
  readonly search: (search: TraceSearch, time: TimeRange) => Promise<string[]>;
  /** All traces of one service, as the panel asks. */
  readonly ofService: (service: string, time: TimeRange) => Promise<string[]>;
}
