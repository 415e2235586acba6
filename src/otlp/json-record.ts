/**
 * A LogRecord of protobuf as JSON ("JSON Protobuf Encoding"): from the bytes that were written (otlp-encode-record.ts), field by field,
 * so that what stands in a record is decided in one place.
 */
import type { ByteWriter } from '../lib/byte-writer.ts';
import { Reader } from './decode-record.ts';
import type { ProtobufWriter } from './encode.ts';
import { ANY_VALUE, LOG_RECORD } from './encode-record.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Two-character escapes (ECMA-262, QuoteJSONString); the other controls are `\u00XX`. */
const SHORT_ESCAPES: Readonly<Record<number, string>> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  [QUOTE]: '\\"',
  [BACKSLASH]: '\\\\',
};

/** @param record begins at 0 and ends at its position */
export function writeJsonRecord(out: ByteWriter, record: ProtobufWriter): void {
  const end = record.position;
  const reader = new Reader(record.bytes, end);
  let isFirst = true;
  let isInAttributes = false;
  out.ascii('{');
  while (reader.at < end) {
    const tag = reader.varint();
    const isAttribute = tag === LOG_RECORD.attributes;
    if (isInAttributes && !isAttribute) out.ascii(']');
    if (!isFirst) out.ascii(',');
    isFirst = false;
    if (isAttribute && !isInAttributes) out.ascii('"attributes":[');
    isInAttributes = isAttribute;
    writeField(out, reader, record.bytes, tag);
  }
  out.ascii(isInAttributes ? ']}' : '}');
}

function writeField(out: ByteWriter, reader: Reader, bytes: Uint8Array, tag: number): void {
  switch (tag) {
    case LOG_RECORD.attributes:
      writeKeyValue(out, reader, bytes);
      break;
    case LOG_RECORD.body:
      out.ascii('"body":');
      reader.varint();
      writeAnyValue(out, reader, bytes);
      break;
    case LOG_RECORD.time:
      out.ascii(`"timeUnixNano":"${reader.fixed64()}"`);
      break;
    case LOG_RECORD.observedTime:
      out.ascii(`"observedTimeUnixNano":"${reader.fixed64()}"`);
      break;
    case LOG_RECORD.severity:
      out.ascii(`"severityNumber":${reader.varint()}`);
      break;
    case LOG_RECORD.droppedAttributes:
      out.ascii(`"droppedAttributesCount":${reader.varint()}`);
      break;
    case LOG_RECORD.eventName:
      out.ascii('"eventName":');
      writeText(out, reader, bytes);
      break;
    case LOG_RECORD.traceId:
      writeId(out, reader, bytes, 'traceId');
      break;
    case LOG_RECORD.spanId:
      writeId(out, reader, bytes, 'spanId');
      break;
    case LOG_RECORD.flags:
      out.ascii(`"flags":${reader.fixed32()}`);
      break;
    default:
      throw new Error(`a LogRecord has no field of tag ${tag}`);
  }
}

/** Ids are hexadecimal in OTLP/JSON, not base64. */
function writeId(out: ByteWriter, reader: Reader, bytes: Uint8Array, name: string): void {
  const length = reader.varint();
  out.ascii(`"${name}":"`);
  out.hex(bytes, reader.at, reader.at + length);
  out.ascii('"');
  reader.at += length;
}

function writeKeyValue(out: ByteWriter, reader: Reader, bytes: Uint8Array): void {
  reader.varint();
  reader.varint();
  out.ascii('{"key":');
  writeText(out, reader, bytes);
  reader.varint();
  reader.varint();
  out.ascii(',"value":');
  writeAnyValue(out, reader, bytes);
  out.ascii('}');
}

function writeAnyValue(out: ByteWriter, reader: Reader, bytes: Uint8Array): void {
  switch (reader.varint()) {
    case ANY_VALUE.string:
      out.ascii('{"stringValue":');
      writeText(out, reader, bytes);
      break;
    case ANY_VALUE.bool:
      out.ascii(reader.varint() === 1 ? '{"boolValue":true' : '{"boolValue":false');
      break;
    case ANY_VALUE.int:
      out.ascii(`{"intValue":"${reader.integer()}"`);
      break;
    case ANY_VALUE.double:
      out.ascii(`{"doubleValue":${JSON.stringify(reader.double())}`);
      break;
    default:
      writeList(out, reader, bytes);
  }
  out.ascii('}');
}

function writeList(out: ByteWriter, reader: Reader, bytes: Uint8Array): void {
  const length = reader.varint();
  const end = reader.at + length;
  out.ascii('{"arrayValue":{"values":[');
  for (let isFirst = true; reader.at < end; isFirst = false) {
    if (!isFirst) out.ascii(',');
    reader.varint();
    reader.varint();
    writeAnyValue(out, reader, bytes);
  }
  out.ascii(']}');
}

/** UTF-8 stays as it is. */
function writeText(out: ByteWriter, reader: Reader, bytes: Uint8Array): void {
  const length = reader.varint();
  const end = reader.at + length;
  out.reserve(length + 2);
  out.byte(QUOTE);
  for (let at = reader.at; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
      out.byte(byte);
      continue;
    }
    out.ascii(SHORT_ESCAPES[byte] ?? `\\u${byte.toString(16).padStart(4, '0')}`);
    out.reserve(end - at + 2);
  }
  out.reserve(1);
  out.byte(QUOTE);
  reader.at = end;
}
