/** Limits of the attributes of a record (OpenTelemetry specification, common/README.md, "Attribute Limits"). */
import type { Attributes, AttributeValue, LogEvent } from '../model.ts';
import { MAX_ATTRIBUTES } from '../records/record-common.ts';
import type { Sink } from './sink.ts';

export interface AttributeLimits {
  /** Attributes of one record; further ones are left out and counted. */
  readonly count: number;
  /** UTF-16 units of one text; longer ones are cut. undefined: no limit. */
  readonly length: number | undefined;
}

/** The sink behind the limits; the sink itself where they leave out nothing of any record, as their defaults do. */
export function limited(sink: Sink, limits: AttributeLimits): Sink {
  const isOpen = limits.length === undefined && limits.count >= MAX_ATTRIBUTES;
  return isOpen ? sink : new LimitedSink(sink, limits);
}

/** The same object when nothing had to be changed. */
export function withinLimits(event: LogEvent, limits: AttributeLimits): LogEvent {
  const { attributes, dropped } = limitedAttributes(event.attributes, limits);
  if (attributes === event.attributes) return event;
  return { ...copyOf(event), attributes, droppedAttributes: (event.droppedAttributes ?? 0) + dropped };
}

/** With fields in place of what the event computes when it is asked. */
export function copyOf(event: LogEvent): LogEvent {
  const { eventName, time, observedTime, severity, body, process, attributes, lookup } = event;
  const { connection, trace, hasSpan, parentSpanId, droppedAttributes } = event;
  return {
    ...{ eventName, time, observedTime, severity, body, attributes, process, lookup },
    ...(connection === undefined ? {} : { connection }),
    ...(trace === undefined ? {} : { trace }),
    ...(hasSpan === undefined ? {} : { hasSpan }),
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    ...(droppedAttributes === undefined ? {} : { droppedAttributes }),
  };
}

function limitedAttributes(
  attributes: Attributes,
  { count, length }: AttributeLimits,
): { readonly attributes: Attributes; readonly dropped: number } {
  const entries = Object.entries(attributes);
  if (entries.length <= count && length === undefined) return { attributes, dropped: 0 };
  const kept = entries.slice(0, count).map(([key, value]) => [key, limitedValue(value, length)] as const);
  const same = kept.length === entries.length && kept.every(([key, value]) => value === attributes[key]);
  return { attributes: same ? attributes : Object.fromEntries(kept), dropped: entries.length - kept.length };
}

function limitedValue(value: AttributeValue, length: number | undefined): AttributeValue {
  if (length === undefined) return value;
  if (typeof value === 'string') return cut(value, length);
  if (!isTexts(value) || value.every((text) => text.length <= length)) return value;
  return value.map((text) => cut(text, length));
}

function isTexts(value: AttributeValue): value is readonly string[] {
  return Array.isArray(value) && typeof value[0] === 'string';
}

/** Not in the middle of a surrogate pair. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const low = text.charCodeAt(length);
  return text.slice(0, low >= 0xdc00 && low <= 0xdfff && length > 0 ? length - 1 : length);
}

/** Hands on what is within the limits. */
class LimitedSink implements Sink {
  readonly name: string;
  readonly #inner: Sink;
  readonly #limits: AttributeLimits;

  constructor(inner: Sink, limits: AttributeLimits) {
    this.name = inner.name;
    this.#inner = inner;
    this.#limits = limits;
  }

  accept(event: LogEvent): void {
    this.#inner.accept(withinLimits(event, this.#limits));
  }

  flush(): Promise<void> {
    return this.#inner.flush();
  }

  room(): Promise<void> {
    return this.#inner.room?.() ?? this.#inner.flush();
  }

  close(deadlineMs: number): Promise<void> {
    return this.#inner.close(deadlineMs);
  }
}
