/**
 * LogRecord, Resource and InstrumentationScope of opentelemetry-proto 1.x (logs/v1/logs.proto, resource/v1, common/v1).
 * An attribute that the table calls a double stays one when its value is whole; every other whole number is an int64.
 */
import type { Attributes, AttributeValue, LogEvent, TraceContext } from '../model.ts';
import { LOG_ATTRIBUTES } from '../tables/attributes.ts';
import { ProtobufWriter, TAG } from './encode.ts';

/** Longest text of one resource attribute value: a command line can be 2 MB (ARG_MAX). */
const MAX_RESOURCE_TEXT = 4096;
const MAX_RESOURCE_ITEMS = 256;
/** Encoded bytes of a resource: it is in every request with a record of the process. */
const MAX_RESOURCE_BYTES = 1024 * 1024;
/** Keys whose bytes are remembered. The tables have fewer; labels of pods can make more, which are encoded each time. */
const MAX_KEYS = 1024;
/** Largest length that takes one byte. */
const ONE_BYTE = 0x7f;

export const LOG_RECORD = {
  time: TAG.fixed64(1),
  severity: TAG.varint(2),
  body: TAG.bytes(5),
  attributes: TAG.bytes(6),
  droppedAttributes: TAG.varint(7),
  flags: TAG.fixed32(8),
  traceId: TAG.bytes(9),
  spanId: TAG.bytes(10),
  observedTime: TAG.fixed64(11),
  eventName: TAG.bytes(12),
} as const;
const RESOURCE = { attributes: TAG.bytes(1), droppedAttributes: TAG.varint(2) } as const;
const KEY_VALUE = { key: TAG.bytes(1), value: TAG.bytes(2) } as const;
export const ANY_VALUE = {
  string: TAG.bytes(1),
  bool: TAG.varint(2),
  int: TAG.varint(3),
  double: TAG.fixed64(4),
  array: TAG.bytes(5),
} as const;
export const ARRAY_VALUES = TAG.bytes(1);

interface Key {
  /** Field `key` of a KeyValue and the tag of its field `value`. */
  readonly prefix: Uint8Array;
  readonly isDouble: boolean;
}

const keys = new Map<string, Key>();

/** The fields of a LogRecord, without tag and length. */
export function writeLogRecord(writer: ProtobufWriter, event: LogEvent): void {
  if (event.write !== undefined) {
    event.write(writer);
    return;
  }
  writer.reserve(32);
  writer.byte(LOG_RECORD.time);
  writer.fixed64(event.time);
  writer.byte(LOG_RECORD.severity);
  writer.varint(event.severity);
  writer.reserve(1);
  writer.byte(LOG_RECORD.body);
  const body = writer.begin();
  writer.reserve(1);
  writer.byte(ANY_VALUE.string);
  writer.string(event.body);
  writer.end(body);
  const { attributes } = event;
  for (const name in attributes)
    writeAttribute(writer, LOG_RECORD.attributes, name, attributes[name] as AttributeValue);
  writer.reserve(10);
  writer.byte(LOG_RECORD.observedTime);
  writer.fixed64(event.observedTime);
  writer.byte(LOG_RECORD.eventName);
  writer.string(event.eventName);
  if (event.droppedAttributes !== undefined)
    writeCount(writer, LOG_RECORD.droppedAttributes, event.droppedAttributes);
  if (event.trace !== undefined) writeTrace(writer, event.trace);
}

export function writeTrace(writer: ProtobufWriter, { traceId, spanId, flags }: TraceContext): void {
  writeId(writer, LOG_RECORD.traceId, traceId);
  writeId(writer, LOG_RECORD.spanId, spanId);
  writer.reserve(1);
  writer.byte(LOG_RECORD.flags);
  writer.fixed32(flags);
}

/** 8 or 16 bytes. */
export function writeId(writer: ProtobufWriter, tag: number, id: Uint8Array): void {
  writer.reserve(2);
  writer.byte(tag);
  writer.byte(id.length);
  writer.raw(id);
}

export function writeCount(writer: ProtobufWriter, tag: number, count: number): void {
  writer.reserve(1);
  writer.byte(tag);
  writer.varint(count);
}

/** A whole Resource message. What does not fit MAX_RESOURCE_BYTES is left out and counted in its own field. */
export function encodeResource(attributes: Attributes): Uint8Array {
  const writer = new ProtobufWriter(1024);
  let dropped = 0;
  for (const [name, value] of Object.entries(attributes)) {
    const before = writer.position;
    writeAttribute(writer, RESOURCE.attributes, name, bounded(value));
    if (writer.position <= MAX_RESOURCE_BYTES) continue;
    writer.position = before;
    dropped++;
  }
  if (dropped > 0) {
    writer.reserve(1);
    writer.byte(RESOURCE.droppedAttributes);
    writer.varint(dropped);
  }
  return writer.bytes.subarray(0, writer.position).slice();
}

/** A whole InstrumentationScope message. */
export function encodeScope(scope: { readonly name: string; readonly version: string }): Uint8Array {
  const writer = new ProtobufWriter(64);
  writer.byte(TAG.bytes(1));
  writer.string(scope.name);
  writer.reserve(1);
  writer.byte(TAG.bytes(2));
  writer.string(scope.version);
  return writer.bytes.subarray(0, writer.position).slice();
}

/** One KeyValue as the field `tag`. */
export function writeAttribute(
  writer: ProtobufWriter,
  tag: number,
  name: string,
  value: AttributeValue,
): void {
  const { prefix, isDouble } = keyOf(name);
  if (typeof value === 'string' && writeShortText(writer, tag, prefix, value)) return;
  writer.reserve(1);
  writer.byte(tag);
  const keyValue = writer.begin();
  writer.raw(prefix);
  const start = writer.begin();
  writeAnyValue(writer, value, isDouble);
  writer.end(start);
  writer.end(keyValue);
}

/** The common case: ASCII so short that all three lengths take one byte. False when it is not; then nothing is written. */
function writeShortText(writer: ProtobufWriter, tag: number, prefix: Uint8Array, text: string): boolean {
  const { length } = text;
  const size = prefix.length + 3 + length;
  if (size > ONE_BYTE) return false;
  writer.reserve(2 + size);
  const start = writer.position;
  if (!writer.tryAscii(text, start + 5 + prefix.length)) return false;
  writer.byte(tag);
  writer.byte(size);
  writer.raw(prefix);
  writer.byte(length + 2);
  writer.byte(ANY_VALUE.string);
  writer.byte(length);
  writer.position += length;
  return true;
}

function writeAnyValue(writer: ProtobufWriter, value: AttributeValue, isDouble: boolean): void {
  writer.reserve(2);
  if (typeof value === 'string') {
    writer.byte(ANY_VALUE.string);
    writer.string(value);
  } else if (typeof value === 'number') {
    if (isDouble || !isInt64(value)) {
      writer.byte(ANY_VALUE.double);
      writer.double(value);
    } else {
      writer.byte(ANY_VALUE.int);
      writer.varint(value);
    }
  } else if (typeof value === 'boolean') {
    writer.byte(ANY_VALUE.bool);
    writer.byte(value ? 1 : 0);
  } else {
    writer.byte(ANY_VALUE.array);
    const array = writer.begin();
    for (const item of value) {
      writer.reserve(1);
      writer.byte(ARRAY_VALUES);
      const start = writer.begin();
      writeAnyValue(writer, item, isDouble);
      writer.end(start);
    }
    writer.end(array);
  }
}

/** Beyond 2^53 a number is no exact integer any more: it goes out as the double it is. */
function isInt64(value: number): boolean {
  return Number.isSafeInteger(value);
}

/** Field `key` of a KeyValue and the tag of its field `value`. */
export function keyPrefix(name: string): Uint8Array {
  return keyOf(name).prefix;
}

function keyOf(name: string): Key {
  const known = keys.get(name);
  if (known !== undefined) return known;
  const writer = new ProtobufWriter(64);
  writer.byte(KEY_VALUE.key);
  writer.string(name);
  writer.reserve(1);
  writer.byte(KEY_VALUE.value);
  const definition = Object.hasOwn(LOG_ATTRIBUTES, name)
    ? LOG_ATTRIBUTES[name as keyof typeof LOG_ATTRIBUTES]
    : undefined;
  const key = {
    prefix: writer.bytes.subarray(0, writer.position).slice(),
    isDouble: definition?.type === 'double',
  };
  if (keys.size < MAX_KEYS) keys.set(name, key);
  return key;
}

function bounded(value: AttributeValue): AttributeValue {
  if (typeof value === 'string') return boundedText(value);
  if (typeof value !== 'object') return value;
  const items: readonly (string | number | boolean)[] = value.slice(0, MAX_RESOURCE_ITEMS);
  return items.map((item) => (typeof item === 'string' ? boundedText(item) : item)) as AttributeValue;
}

function boundedText(text: string): string {
  return text.length <= MAX_RESOURCE_TEXT ? text : `${text.slice(0, MAX_RESOURCE_TEXT - 1)}…`;
}
