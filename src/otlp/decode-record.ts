/**
 * Body and attributes of a LogRecord that this program has written (attribute-writer.ts, otlp-encode-record.ts), as values. Only of
 * such: nothing is checked.
 */
import type { Attributes, AttributeValue } from '../model.ts';
import { ANY_VALUE, LOG_RECORD } from './encode-record.ts';

export interface DecodedRecord {
  readonly body: string;
  readonly attributes: Attributes;
}

/** Wire types (protobuf.dev, "Message structure"): the low three bits of a tag. */
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** @param end the record is bytes[0] to bytes[end - 1] */
export function decodeLogRecord(bytes: Buffer, end: number): DecodedRecord {
  const reader = new Reader(bytes, end);
  const attributes: Record<string, AttributeValue> = {};
  let body = '';
  while (reader.at < end) {
    const tag = reader.varint();
    if (tag === LOG_RECORD.body) {
      reader.varint();
      body = String(reader.anyValue());
    } else if (tag === LOG_RECORD.attributes) {
      reader.varint();
      reader.varint();
      const key = reader.text();
      reader.varint();
      reader.varint();
      attributes[key] = reader.anyValue();
    } else reader.skip(tag & 7);
  }
  return { body, attributes };
}

/** Fields one after the other. */
export class Reader {
  at = 0;
  readonly #bytes: Buffer;
  readonly #end: number;

  constructor(bytes: Buffer, end: number) {
    this.#bytes = bytes;
    this.#end = end;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; this.at < this.#end; scale *= 128) {
      const byte = this.#bytes[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  }

  /** An int64 (two's complement in ten bytes where it is negative). */
  integer(): number {
    const start = this.at;
    const value = this.varint();
    if (this.at - start < 10) return value;
    let bits = 0n;
    for (let i = 9; i >= 0; i--) bits = (bits << 7n) | BigInt((this.#bytes[start + i] as number) & 0x7f);
    return Number(BigInt.asIntN(64, bits));
  }

  double(): number {
    this.at += 8;
    return this.#bytes.readDoubleLE(this.at - 8);
  }

  fixed32(): number {
    this.at += 4;
    return this.#bytes.readUInt32LE(this.at - 4);
  }

  fixed64(): bigint {
    this.at += 8;
    return this.#bytes.readBigUInt64LE(this.at - 8);
  }

  text(): string {
    const length = this.varint();
    this.at += length;
    return this.#bytes.toString('utf8', this.at - length, this.at);
  }

  anyValue(): AttributeValue {
    switch (this.varint()) {
      case ANY_VALUE.string:
        return this.text();
      case ANY_VALUE.bool:
        return this.varint() === 1;
      case ANY_VALUE.int:
        return this.integer();
      case ANY_VALUE.double:
        return this.double();
      default:
        return this.#list() as AttributeValue;
    }
  }

  #list(): (string | number | boolean)[] {
    const length = this.varint();
    const end = this.at + length;
    const items: (string | number | boolean)[] = [];
    while (this.at < end) {
      this.varint();
      this.varint();
      items.push(this.anyValue() as string | number | boolean);
    }
    return items;
  }

  skip(type: number): void {
    if (type === WIRE.varint) this.varint();
    else if (type === WIRE.fixed64) this.at += 8;
    else if (type === WIRE.fixed32) this.at += 4;
    else {
      const length = this.varint();
      this.at += length;
    }
  }
}
