/**
 * The payload of a process context: `ProcessContext` of opentelemetry-proto 1.11,
 * opentelemetry/proto/processcontext/v1development: 1 Resource resource, 2 repeated KeyValue attributes. Total: any bytes give a
 * context or undefined, in time proportional to their number.
 */
import type { Attributes, AttributeValue } from '../../model.ts';

export interface PublishedContext {
  /** Attributes of the application's resource. */
  readonly resource: Attributes;
  /** About the process context itself, e.g. `threadlocal.schema_version` (OTEP 4947). */
  readonly attributes: Attributes;
}

const MAX_ATTRIBUTES = 128;
/** Longer texts are left out: half a name would be a wrong one. */
const MAX_CHARACTERS = 1024;
const MAX_ITEMS = 64;

/** undefined: not a ProcessContext, cut or damaged. */
export function decodeProcessContext(bytes: Uint8Array): PublishedContext | undefined {
  try {
    const resource = new Map<string, AttributeValue>();
    const attributes = new Map<string, AttributeValue>();
    for (const field of fields(bytes)) {
      if (field.number === 1) {
        for (const inner of fields(message(field)))
          if (inner.number === 1) keyValue(message(inner), resource);
      } else if (field.number === 2) keyValue(message(field), attributes);
    }
    return { resource: Object.fromEntries(resource), attributes: Object.fromEntries(attributes) };
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

class Malformed extends Error {}

interface Field {
  readonly number: number;
  /** Bytes of wire type 2, the number of the others. */
  readonly value: Uint8Array | bigint | number;
}

/** The fields of one message (protobuf encoding): varint, 64 bit, length-delimited, 32 bit; groups are refused. */
function* fields(bytes: Uint8Array): Generator<Field> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Malformed();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Malformed();
  };
  const take = (length: number): number => {
    const from = at;
    at += length;
    if (at > bytes.length) throw new Malformed();
    return from;
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    if (number === 0 || number > 0x1fff_ffff) throw new Malformed();
    const wire = Number(tag & 7n);
    if (wire === 0) yield { number, value: varint() };
    else if (wire === 1) yield { number, value: view.getFloat64(take(8), true) };
    else if (wire === 2) {
      const length = varint();
      if (length > BigInt(bytes.length - at)) throw new Malformed();
      const from = take(Number(length));
      yield { number, value: bytes.subarray(from, at) };
    } else if (wire === 5) yield { number, value: view.getUint32(take(4), true) };
    else throw new Malformed();
  }
}

function message({ value }: Field): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Malformed();
  return value;
}

/** KeyValue: 1 key, 2 AnyValue. Of a repeated key the last counts. */
function keyValue(bytes: Uint8Array, into: Map<string, AttributeValue>): void {
  let key: string | undefined;
  let value: AttributeValue | undefined;
  for (const field of fields(bytes)) {
    if (field.number === 1) key = text(message(field));
    else if (field.number === 2) value = anyValue(message(field));
  }
  if (key === undefined || key === '' || value === undefined) return;
  if (into.size < MAX_ATTRIBUTES || into.has(key)) into.set(key, value);
}

/** AnyValue: 1 string, 2 bool, 3 int64, 4 double, 5 array. What an attribute cannot hold is undefined: left out. */
function anyValue(bytes: Uint8Array): AttributeValue | undefined {
  let value: AttributeValue | undefined;
  for (const field of fields(bytes)) {
    if (field.number === 1) value = text(message(field));
    else if (field.number === 2) value = field.value !== 0n;
    else if (field.number === 3) value = integer(field.value);
    else if (field.number === 4) value = Number.isFinite(field.value) ? (field.value as number) : undefined;
    else if (field.number === 5) value = strings(message(field));
    else value = undefined;
  }
  return value;
}

/** ArrayValue: 1 repeated AnyValue; only of texts. */
function strings(bytes: Uint8Array): readonly string[] | undefined {
  const values: string[] = [];
  for (const field of fields(bytes)) {
    if (field.number !== 1) continue;
    let item: string | undefined;
    for (const inner of fields(message(field))) item = inner.number === 1 ? text(message(inner)) : undefined;
    if (item === undefined || values.length === MAX_ITEMS) return undefined;
    values.push(item);
  }
  return values;
}

/** int64 as a number, where a number holds it exactly. */
function integer(value: Field['value']): number | undefined {
  if (typeof value !== 'bigint') return undefined;
  const signed = Number(BigInt.asIntN(64, value));
  return Number.isSafeInteger(signed) ? signed : undefined;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Valid UTF-8 (protobuf demands it) of a bearable length. */
function text(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_CHARACTERS) return undefined;
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new Malformed();
  }
}
