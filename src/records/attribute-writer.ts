/**
 * Attributes of log records written straight from bytes and numbers, without a value in between: what writeAttribute
 * (otlp-encode-record.ts) writes of the same value. Content is written first, its lengths are put in front afterwards.
 */
import type { AttributeValue } from '../model.ts';
import { ProtobufWriter, putVarint, varintSize } from '../otlp/encode.ts';
import { ANY_VALUE, ARRAY_VALUES, keyPrefix, LOG_RECORD, writeAttribute } from '../otlp/encode-record.ts';
import type { RecordAttributeName } from '../tables/attributes.ts';

/** Largest length that takes one byte. */
const ONE_BYTE = 0x7f;
/** Tag, length of AnyValue, tag and length of its text, all of one byte. */
const TEXT_HEADER = 4;

/** A whole attribute whose value does not change. */
export function attributeRun(name: RecordAttributeName, value: AttributeValue): Uint8Array {
  const writer = new ProtobufWriter(64);
  writeAttribute(writer, LOG_RECORD.attributes, name, value);
  return Uint8Array.from(writer.bytes.subarray(0, writer.position));
}

/** Bytes that were written once and are written again. */
export class KeptRun {
  /** All of it is copied, which costs less than a view of the part that counts. */
  readonly #bytes: Uint8Array;
  #size = 0;

  /** @param longest bytes */
  constructor(longest: number) {
    this.#bytes = new Uint8Array(longest);
  }

  /** Keeps what was written since `start`. */
  keep({ bytes, position }: ProtobufWriter, start: number): void {
    this.#size = position - start;
    for (let i = start; i < position; i++) this.#bytes[i - start] = bytes[i] as number;
  }

  write(writer: ProtobufWriter): void {
    writer.reserve(this.#bytes.length);
    writer.bytes.set(this.#bytes, writer.position);
    writer.position += this.#size;
  }
}

/** An attribute whose value is written by others. */
export class AttributeKey {
  readonly #name: RecordAttributeName;
  /** Field `key` of the KeyValue and the tag of its field `value`. */
  readonly #prefix: Uint8Array;
  /** Tags and lengths around the content, as long as each length takes one byte. */
  readonly #shortHeader: number;
  /** The longest content for which that is so. */
  readonly #shortContent: number;

  constructor(name: RecordAttributeName) {
    this.#name = name;
    this.#prefix = keyPrefix(name);
    this.#shortHeader = this.#prefix.length + 5;
    this.#shortContent = ONE_BYTE - this.#prefix.length - 3;
  }

  /** @param value integer from 0 to 2^53 - 1 */
  integer(writer: ProtobufWriter, value: number): void {
    const size = varintSize(value);
    const prefix = this.#prefix;
    writer.reserve(prefix.length + 5);
    writer.byte(LOG_RECORD.attributes);
    writer.byte(prefix.length + 2 + size);
    writer.raw(prefix);
    writer.byte(1 + size);
    writer.byte(ANY_VALUE.int);
    writer.varint(value);
  }

  /** A duration in seconds, as a double. @param ns a number that is passed on without an object */
  seconds(writer: ProtobufWriter, ns: number): void {
    const prefix = this.#prefix;
    writer.reserve(prefix.length + 12);
    writer.byte(LOG_RECORD.attributes);
    writer.byte(prefix.length + 10);
    writer.raw(prefix);
    writer.byte(9);
    writer.byte(ANY_VALUE.double);
    writer.double(ns / 1e9);
  }

  text(writer: ProtobufWriter, value: string): void {
    writeAttribute(writer, LOG_RECORD.attributes, this.#name, value);
  }

  texts(writer: ProtobufWriter, values: readonly string[]): void {
    writeAttribute(writer, LOG_RECORD.attributes, this.#name, values);
  }

  /** The content follows: UTF-8 of a text, or items of a list. @returns what the end needs */
  begin(writer: ProtobufWriter): number {
    writer.reserve(this.#shortHeader);
    writer.position += this.#shortHeader;
    return writer.position;
  }

  endText(writer: ProtobufWriter, start: number): void {
    this.#end(writer, start, ANY_VALUE.string);
  }

  endList(writer: ProtobufWriter, start: number): void {
    this.#end(writer, start, ANY_VALUE.array);
  }

  #end(writer: ProtobufWriter, start: number, tag: number): void {
    const prefix = this.#prefix;
    const content = writer.position - start;
    const any = 1 + varintSize(content) + content;
    const keyValue = prefix.length + varintSize(any) + any;
    let at = start - this.#shortHeader;
    if (content > this.#shortContent)
      insert(writer, start, varintSize(content) + varintSize(any) + varintSize(keyValue) - 3);
    const { bytes } = writer;
    bytes[at++] = LOG_RECORD.attributes;
    at = putVarint(bytes, at, keyValue);
    bytes.set(prefix, at);
    at = putVarint(bytes, at + prefix.length, any);
    bytes[at++] = tag;
    putVarint(bytes, at, content);
  }
}

/** Begins an item of a list, or another field whose value is a text in an AnyValue. @returns what `endText` needs */
export function beginText(writer: ProtobufWriter): number {
  writer.reserve(TEXT_HEADER);
  writer.position += TEXT_HEADER;
  return writer.position;
}

/** @param tag of the field */
export function endText(writer: ProtobufWriter, start: number, tag: number = ARRAY_VALUES): void {
  const content = writer.position - start;
  const any = 1 + varintSize(content) + content;
  if (any > ONE_BYTE) insert(writer, start, varintSize(content) + varintSize(any) - 2);
  const { bytes } = writer;
  let at = start - TEXT_HEADER;
  bytes[at++] = tag;
  at = putVarint(bytes, at, any);
  bytes[at++] = ANY_VALUE.string;
  putVarint(bytes, at, content);
}

/** Moves what was written from `start` on by so many bytes. */
function insert(writer: ProtobufWriter, start: number, count: number): void {
  writer.reserve(count);
  writer.bytes.copyWithin(start + count, start, writer.position);
  writer.position += count;
}
