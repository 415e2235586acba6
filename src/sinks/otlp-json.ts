/**
 * Log events as OTLP/JSON (OTLP specification, "JSON Protobuf Encoding"): 64-bit integers are strings, enums numbers. The
 * SDK's JSON serializer writes integers as numbers and a whole-numbered double as an integer, so the encoding is done here.
 */
import type { Attributes, AttributeValue, LogEvent, ProcessIdentity } from '../model.ts';
import { RECORD_ATTRIBUTES } from '../tables/attributes.ts';

type Json = Readonly<Record<string, unknown>>;

/** One ExportLogsServiceRequest, no line break: the events grouped by process. */
export function logsRequest(events: readonly LogEvent[], scope: { name: string; version: string }): string {
  const groups = new Map<ProcessIdentity, LogEvent[]>();
  for (const event of events) {
    const group = groups.get(event.process);
    if (group === undefined) groups.set(event.process, [event]);
    else group.push(event);
  }
  const resourceLogs = Array.from(groups, ([process, group]) => ({
    resource: { attributes: keyValues(process.resource) },
    scopeLogs: [{ scope: { name: scope.name, version: scope.version }, logRecords: group.map(logRecord) }],
  }));
  return JSON.stringify({ resourceLogs });
}

function logRecord(event: LogEvent): Json {
  return {
    timeUnixNano: event.time.toString(),
    observedTimeUnixNano: event.observedTime.toString(),
    severityNumber: event.severity,
    body: { stringValue: event.body.toWellFormed() },
    eventName: event.eventName,
    attributes: keyValues(event.attributes),
  };
}

function keyValues(attributes: Attributes): Json[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value, isDouble(key)) }));
}

function anyValue(value: AttributeValue, double: boolean): Json {
  if (typeof value === 'string') return { stringValue: value.toWellFormed() };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number')
    return double || !Number.isInteger(value) ? { doubleValue: value } : { intValue: String(value) };
  return { arrayValue: { values: value.map((item: string | number | boolean) => anyValue(item, double)) } };
}

const DOUBLES = new Set<string>(
  Object.entries(RECORD_ATTRIBUTES)
    .filter(([, definition]) => definition.type === 'double')
    .map(([name]) => name),
);

function isDouble(key: string): boolean {
  return DOUBLES.has(key);
}

const INTEGERS = new Set(['intValue', 'asInt', 'count', 'bucketCounts']);

/** The SDK's JSON of an ExportMetricsServiceRequest with its 64-bit integers as strings. */
export function canonicalMetricsRequest(text: string): string {
  return JSON.stringify(JSON.parse(text), (key, value: unknown) => {
    if (!INTEGERS.has(key)) return value;
    return Array.isArray(value) ? value.map(String) : String(value);
  });
}
