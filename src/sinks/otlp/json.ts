/**
 * Log events as OTLP/JSON (OTLP specification, "JSON Protobuf Encoding"): 64-bit integers are strings, enums numbers. The
 * SDK's JSON serializer writes integers as numbers and a whole-numbered double as an integer, so the encoding is done here.
 */
import { ByteWriter } from '../../lib/byte-writer.ts';
import type { Attributes, AttributeValue, LogEvent, ProcessIdentity } from '../../model.ts';
import { ProtobufWriter } from '../../otlp/encode.ts';
import { writeLogRecord } from '../../otlp/encode-record.ts';
import { writeJsonRecord } from '../../otlp/json-record.ts';
import { LOG_ATTRIBUTES } from '../../tables/attributes.ts';
import type { RequestEncoder } from '../delivery/delivery.ts';
import type { SealedRequest } from '../delivery/request-store.ts';

type Json = Readonly<Record<string, unknown>>;

/** Builds one line after the other: an ExportLogsServiceRequest with its line break, the records grouped by process. */
export class JsonLinesEncoder implements RequestEncoder {
  readonly #scope: string;
  readonly #maxBytes: number;
  readonly #record = new ProtobufWriter(4096);
  readonly #json = new ByteWriter(8192);
  /** Records as JSON. */
  readonly #groups = new Map<ProcessIdentity, string[]>();
  #records = 0;
  #characters = 0;

  constructor({ name, version }: { readonly name: string; readonly version: string }, maxBytes: number) {
    this.#scope = JSON.stringify({ name, version });
    this.#maxBytes = maxBytes;
  }

  get records(): number {
    return this.#records;
  }

  add(event: LogEvent): SealedRequest | undefined {
    const record = this.#jsonOf(event);
    const sealed = this.#characters + record.length > this.#maxBytes ? this.seal() : undefined;
    const group = this.#groups.get(event.process);
    if (group === undefined) this.#groups.set(event.process, [record]);
    else group.push(record);
    this.#characters += record.length;
    this.#records++;
    return sealed;
  }

  #jsonOf(event: LogEvent): string {
    this.#record.position = 0;
    writeLogRecord(this.#record, event);
    this.#json.position = 0;
    writeJsonRecord(this.#json, this.#record);
    return this.#json.bytes.toString('utf8', 0, this.#json.position);
  }

  seal(): SealedRequest | undefined {
    if (this.#records === 0) return undefined;
    const resourceLogs = Array.from(this.#groups, ([process, records]) => {
      const resource = JSON.stringify({ attributes: keyValues(process.resource) });
      return `{"resource":${resource},"scopeLogs":[{"scope":${this.#scope},"logRecords":[${records.join(',')}]}]}`;
    });
    const bytes = Buffer.from(`{"resourceLogs":[${resourceLogs.join(',')}]}\n`);
    const sealed = { bytes, records: this.#records, resourceCount: this.#groups.size };
    this.#groups.clear();
    this.#records = 0;
    this.#characters = 0;
    return sealed;
  }
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
  Object.entries(LOG_ATTRIBUTES)
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
