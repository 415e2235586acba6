/** LogEvent -> the SDK's ReadableLogRecord, one interned Resource object for each process identity. */
import type { HrTime } from '@opentelemetry/api';
import type { InstrumentationScope } from '@opentelemetry/core';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { AttributeValue, LogEvent, ProcessIdentity } from '../model.ts';

/** Longest text of one resource attribute value: a command line can be 2 MB (ARG_MAX). */
const MAX_RESOURCE_TEXT = 4096;
const MAX_RESOURCE_ITEMS = 256;

interface Interned {
  readonly resource: Resource;
  readonly size: number;
}

export class OtlpRecords {
  readonly #scope: InstrumentationScope;
  /** The serializer groups records by the identity of the Resource object: equal attributes are not enough. */
  readonly #resources = new WeakMap<ProcessIdentity, Interned>();

  constructor(scope: { readonly name: string; readonly version: string }) {
    this.#scope = { name: scope.name, version: scope.version };
  }

  record(event: LogEvent): ReadableLogRecord {
    return {
      hrTime: hrTime(event.time),
      hrTimeObserved: hrTime(event.observedTime),
      severityNumber: event.severity,
      body: event.body,
      eventName: event.eventName,
      resource: this.#intern(event.process).resource,
      instrumentationScope: this.#scope,
      attributes: event.attributes as ReadableLogRecord['attributes'],
      droppedAttributesCount: 0,
    };
  }

  /** Upper bound of the encoded bytes. */
  size(event: LogEvent, resourceSeen: boolean): number {
    const record = 64 + 3 * (event.body.length + event.eventName.length) + attributesSize(event.attributes);
    return resourceSeen ? record : record + this.#intern(event.process).size;
  }

  #intern(identity: ProcessIdentity): Interned {
    let interned = this.#resources.get(identity);
    if (interned === undefined) {
      const attributes: Record<string, string | number | boolean | (string | number | boolean)[]> = {};
      for (const [key, value] of Object.entries(identity.resource)) attributes[key] = encodable(value);
      interned = { resource: resourceFromAttributes(attributes), size: 64 + attributesSize(attributes) };
      this.#resources.set(identity, interned);
    }
    return interned;
  }
}

/** @param time Unix ns; @returns [seconds, nanoseconds], which keeps every nanosecond */
export function hrTime(time: bigint): HrTime {
  return [Number(time / 1_000_000_000n), Number(time % 1_000_000_000n)];
}

/** Bounded, and valid Unicode: protobuf strings are UTF-8, which has no lone surrogates. */
function encodable(value: AttributeValue): string | number | boolean | (string | number | boolean)[] {
  if (typeof value === 'string') return encodableText(value);
  if (typeof value !== 'object') return value;
  return value
    .slice(0, MAX_RESOURCE_ITEMS)
    .map((item: string | number | boolean) => (typeof item === 'string' ? encodableText(item) : item));
}

function encodableText(text: string): string {
  return (
    text.length <= MAX_RESOURCE_TEXT ? text : `${text.slice(0, MAX_RESOURCE_TEXT - 1)}…`
  ).toWellFormed();
}

/** A UTF-16 unit takes at most 3 bytes of UTF-8; tags, lengths and numbers at most 24 for each key and value. */
function attributesSize(attributes: Readonly<Record<string, unknown>>): number {
  let size = 0;
  for (const key in attributes) {
    const value = attributes[key];
    size += 24 + 3 * key.length;
    if (typeof value === 'string') size += 3 * value.length;
    else if (Array.isArray(value))
      for (const item of value) size += 24 + (typeof item === 'string' ? 3 * item.length : 0);
  }
  return size;
}
