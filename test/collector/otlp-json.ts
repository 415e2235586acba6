/**
 * OTLP/JSON as whodns sends it, made from plain values, and back. Shapes: opentelemetry-proto, JSON mapping (64-bit
 * integers as strings, ids in hex).
 */
import { readFileSync } from 'node:fs';
import type { Attributes, AttributeValue } from '../../src/model.ts';

interface AnyValue {
  readonly stringValue?: string;
  readonly intValue?: string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
  readonly arrayValue?: { readonly values?: readonly AnyValue[] };
}
export interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}
interface Resource {
  readonly attributes?: readonly KeyValue[];
}

export interface LogRecord {
  readonly timeUnixNano: string;
  readonly observedTimeUnixNano: string;
  readonly severityNumber: number;
  readonly eventName: string;
  readonly body: { readonly stringValue: string };
  readonly attributes: readonly KeyValue[];
  readonly traceId?: string;
  readonly spanId?: string;
}

export interface LogsRequest {
  readonly resourceLogs: readonly {
    readonly resource: Resource;
    readonly scopeLogs: readonly {
      readonly scope: { readonly name: string };
      readonly logRecords: readonly LogRecord[];
    }[];
  }[];
}

/** A record with its resource, attributes as plain values: what tests compare. */
export interface FlatRecord {
  readonly resource: Attributes;
  readonly attributes: Attributes;
  readonly eventName: string;
  readonly body: string;
}

export interface RecordInput {
  /** Default: whodns.query. */
  readonly eventName?: string;
  readonly time: bigint;
  readonly severity: number;
  readonly body: string;
  readonly attributes: Attributes;
  readonly traceId?: string;
  readonly spanId?: string;
}

export function keyValues(attributes: Attributes): KeyValue[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: AttributeValue): AnyValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number')
    return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  return { arrayValue: { values: value.map((entry) => anyValue(entry)) } };
}

/** One resource's records (DESIGN: the resource is the process that asked). */
export function logsRequest(resource: Attributes, records: readonly RecordInput[]): LogsRequest {
  const logRecords = records.map((record) => ({
    timeUnixNano: String(record.time),
    observedTimeUnixNano: String(record.time + 1_000_000n),
    severityNumber: record.severity,
    eventName: record.eventName ?? 'whodns.query',
    body: { stringValue: record.body },
    attributes: keyValues(record.attributes),
    ...(record.traceId === undefined ? {} : { traceId: record.traceId }),
    ...(record.spanId === undefined ? {} : { spanId: record.spanId }),
  }));
  return {
    resourceLogs: [
      {
        resource: { attributes: keyValues(resource) },
        scopeLogs: [{ scope: { name: 'whodns' }, logRecords }],
      },
    ],
  };
}

/** POSTs to `<endpoint>/v1/<signal>`; throws unless everything was accepted. */
export async function post(
  endpoint: string,
  signal: 'logs' | 'metrics' | 'traces',
  request: object,
): Promise<void> {
  const response = await fetch(`${endpoint}/v1/${signal}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  const text = await response.text();
  const rejected = /"rejected\w+":"?[1-9]/.test(text);
  if (!response.ok || rejected) throw new Error(`${signal}: HTTP ${response.status} ${text}`);
}

/** All log records in a file of OTLP/JSON lines; an incomplete last line is left out; [] while there is no file. */
export function readRecords(path: string): FlatRecord[] {
  return readLines(path).flatMap((line) => {
    const request = JSON.parse(line) as Partial<LogsRequest>;
    return (request.resourceLogs ?? []).flatMap((group) =>
      group.scopeLogs.flatMap((scope) =>
        scope.logRecords.map((record) => ({
          resource: plain(group.resource.attributes),
          attributes: plain(record.attributes),
          eventName: record.eventName,
          body: record.body?.stringValue ?? '',
        })),
      ),
    );
  });
}

/** Complete lines of a file, [] while it does not exist. */
export function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(0, -1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** An attribute list as plain values. */
export function plain(attributes: readonly KeyValue[] = []): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]));
}

function plainValue(value: AnyValue): AttributeValue {
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.boolValue !== undefined) return value.boolValue;
  if (value.intValue !== undefined) return Number(value.intValue);
  if (value.doubleValue !== undefined) return value.doubleValue;
  return (value.arrayValue?.values ?? []).map((entry) => String(plainValue(entry)));
}
