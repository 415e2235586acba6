/** A lookup as Span of opentelemetry-proto 1.x (trace/v1/trace.proto). */
import type { AttributeValue, LogEvent } from '../model.ts';
import { type ProtobufWriter, TAG } from './encode.ts';
import { writeAttribute, writeCount, writeId } from './encode-record.ts';

const SPAN = {
  traceId: TAG.bytes(1),
  spanId: TAG.bytes(2),
  parentSpanId: TAG.bytes(4),
  name: TAG.bytes(5),
  kind: TAG.varint(6),
  start: TAG.fixed64(7),
  end: TAG.fixed64(8),
  attributes: TAG.bytes(9),
  droppedAttributes: TAG.varint(10),
  status: TAG.bytes(15),
} as const;
const STATUS = { message: TAG.bytes(2), code: TAG.varint(3) } as const;
const KIND_CLIENT = 3;
const STATUS_ERROR = 2;
/** Field 16, fixed32: its tag takes two bytes. */
const FLAGS_TAG = [0x85, 0x01] as const;
/** SpanFlags: it is known whether the parent is remote; it is. What a thread publishes is another tracer's. */
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

/**
 * The fields of a Span, without tag and length. Only of an event with a `trace` and a `lookup`.
 * @param timeoutNs how long an answer is waited for: what has none ends then
 */
export function writeSpan(writer: ProtobufWriter, event: LogEvent, timeoutNs: bigint): void {
  const { trace, lookup, parentSpanId } = event;
  if (trace === undefined || lookup === undefined) throw new Error('an event without a span');
  writeId(writer, SPAN.traceId, trace.traceId);
  writeId(writer, SPAN.spanId, trace.spanId);
  if (parentSpanId !== undefined) writeId(writer, SPAN.parentSpanId, parentSpanId);
  writer.reserve(1);
  writer.byte(SPAN.name);
  writer.string(spanName(event));
  writeCount(writer, SPAN.kind, KIND_CLIENT);
  writer.reserve(18);
  writer.byte(SPAN.start);
  writer.fixed64(event.time);
  writer.byte(SPAN.end);
  writer.fixed64(event.time + (lookup.duration ?? timeoutNs));
  for (const name in event.attributes)
    writeAttribute(writer, SPAN.attributes, name, event.attributes[name] as AttributeValue);
  if (event.droppedAttributes !== undefined)
    writeCount(writer, SPAN.droppedAttributes, event.droppedAttributes);
  const error = event.attributes['error.type'];
  if (error !== undefined) writeStatus(writer, String(error));
  writer.reserve(2);
  for (const byte of FLAGS_TAG) writer.byte(byte);
  writer.fixed32((trace.flags & 0xff) | HAS_IS_REMOTE | (parentSpanId === undefined ? 0 : IS_REMOTE));
}

/**
 * `DNS A`. A span's name must have few values (trace/api.md, "Span"): names asked for have not, nor have types without a
 * mnemonic, TYPE65280 and so on.
 */
export function spanName({ attributes }: LogEvent): string {
  const type = attributes['dns.question.type'];
  return typeof type !== 'string' || /^TYPE\d/.test(type) ? 'DNS' : `DNS ${type}`;
}

/** Semantic conventions, "Recording errors on spans": error, and what it was. */
function writeStatus(writer: ProtobufWriter, error: string): void {
  writer.reserve(1);
  writer.byte(SPAN.status);
  const status = writer.begin();
  writer.reserve(1);
  writer.byte(STATUS.message);
  writer.string(error);
  writeCount(writer, STATUS.code, STATUS_ERROR);
  writer.end(status);
}
