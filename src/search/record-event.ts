/**
 * A log record of OTLP/JSON as an event that a history keeps: what src/records/ writes, read back. Whoever gives the file is a stranger:
 * a value that is not what it should be counts as absent, and so does a number that SQLite would not give back.
 */
import { REASONS } from '../history/batch.ts';
import { questionCode } from '../history/interned.ts';
import type { SentProcess } from '../history/process-rows.ts';
import { OUTCOMES, outcomeCode, UNREADABLE } from '../history/schema.ts';
import type { SentConnection, SentEvent, SentLookup } from '../history/sent-event.ts';
import type { Attributes, AttributeValue, ResolutionScope } from '../model.ts';
import { opcodeNumber } from '../tables/classes.ts';
import { rcodeNumber } from '../tables/rcodes.ts';
import { typeNumber } from '../tables/rrtypes.ts';

const QUERY = 'whodns.query';
const CONNECT = 'whodns.connect';
const OURS = 'whodns.';
const SHORT_ID = 12;
const MAX_RETRIES = 255;
const MAX_PORT = 65_535;
/** PID_MAX_LIMIT (include/linux/threads.h). */
const MAX_PID = 4_194_304;
/** A message has no more records. */
const MAX_ANSWERS = 65_535;
/** OpenTelemetry's logs data model, SeverityNumber. */
const MAX_SEVERITY = 24;
const SCOPES: readonly string[] = [
  'process',
  'container',
  'network-namespace',
  'host',
] satisfies ResolutionScope[];
/** What a line of a record's answers cannot hold: the next record begins behind it. */
const LINE_BREAKS = /[\r\n]/g;

/** One attribute as it is read; undefined: absent, or of another type. */
class Fields {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values;
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  number(name: string): number | undefined {
    const value = this.#values.get(name);
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  }

  /** 0 where it is none from 0 to `max`. */
  count(name: string, max: number): number {
    const value = Math.trunc(this.number(name) ?? 0);
    return value >= 0 && value <= max ? value : 0;
  }

  texts(name: string): readonly string[] {
    const value = this.#values.get(name);
    return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
  }

  isTrue(name: string): boolean {
    return this.#values.get(name) === true;
  }
}

/** @param process its number @returns undefined: it is no record of whodns */
export function eventOf(record: Readonly<Record<string, unknown>>, process: number): SentEvent | undefined {
  const event = record['eventName'];
  const time = microseconds(record['timeUnixNano']);
  if (typeof event !== 'string' || !event.startsWith(OURS) || time === undefined) return undefined;
  const values = valuesOf(record['attributes']);
  const fields = new Fields(values);
  if (event === QUERY) return lookupOf(fields, time, process);
  if (event === CONNECT) return connectionOf(fields, time, process);
  const { severityNumber, body } = record;
  return {
    kind: 'finding',
    time,
    process,
    event,
    severity: isSeverity(severityNumber) ? severityNumber : 0,
    body: textOf(plainValue(body)),
    attributes: Object.fromEntries(values) as Attributes,
  };
}

/** Whose a record is: by the attributes of its resource, and what the record says of how it came to be known. */
export function processOf(resource: Attributes, attribution: string | undefined): SentProcess {
  const fields = new Fields(new Map(Object.entries(resource)));
  const pid = fields.count('process.pid', MAX_PID);
  const containerId = fields.text('container.id');
  const names = ['k8s.pod.name', 'container.name'].map((name) => fields.text(name));
  const started = Date.parse(fields.text('process.creation.time') ?? '');
  const isKnown = attribution === 'kernel' || attribution === 'proc' || attribution === 'unverified';
  return {
    pid,
    startTime: Number.isNaN(started) ? 0n : BigInt(started) * 1_000_000n,
    attribution: isKnown ? attribution : 'none',
    executableName: fields.text('process.executable.name') ?? '',
    containerId,
    workload: names.find((name) => name !== undefined) ?? containerId?.slice(0, SHORT_ID) ?? '',
    resource,
  };
}

/** `attributes` of a record or a resource. */
export function valuesOf(attributes: unknown): ReadonlyMap<string, AttributeValue> {
  const values = new Map<string, AttributeValue>();
  for (const each of Array.isArray(attributes) ? attributes : []) {
    const { key, value } = (each ?? {}) as Readonly<Record<string, unknown>>;
    const plain = plainValue(value);
    if (typeof key === 'string' && plain !== undefined) values.set(key, plain);
  }
  return values;
}

function lookupOf(fields: Fields, time: number, process: number): SentLookup {
  const duration = whole((fields.number('dns.lookup.duration') ?? Number.NaN) * 1e6);
  const lines = fields.texts('whodns.answers').map(answerOf);
  const answers = lines.filter((line) => line !== undefined);
  const ttls = answers.map(({ ttl }) => ttl);
  const type = typeNumber(fields.text('dns.question.type') ?? '') ?? -1;
  return {
    kind: 'lookup',
    time,
    process,
    name: (fields.text('dns.question.name') ?? '').toLowerCase(),
    type: questionCode(type, opcodeNumber(fields.text('dns.op_code') ?? '') ?? 0),
    result: resultOf(fields, duration !== undefined),
    server: {
      address: fields.text('server.address') ?? '',
      port: fields.count('server.port', MAX_PORT),
      isTcp: fields.text('network.transport') === 'tcp',
    },
    duration: duration === undefined ? undefined : Math.max(duration, 0),
    retries: Math.min(fields.count('whodns.retries', Number.MAX_SAFE_INTEGER), MAX_RETRIES),
    reason: (REASONS as readonly (string | undefined)[]).indexOf(fields.text('whodns.outcome.reason')) + 1,
    isConflicting: fields.isTrue('whodns.answers.conflicting'),
    answers,
    answerCount: lines.length + fields.count('whodns.answers.omitted', MAX_ANSWERS),
    ttl: ttls.length === 0 ? undefined : Math.min(...ttls),
  };
}

function resultOf(fields: Fields, hasAnswer: boolean): number {
  const rcode = rcodeNumber(fields.text('dns.response_code') ?? '');
  if (rcode !== undefined) return rcode;
  if (hasAnswer) return UNREADABLE;
  const said = fields.text('whodns.outcome') ?? fields.text('error.type');
  return outcomeCode(OUTCOMES.find((outcome) => outcome === said && outcome !== 'answered') ?? 'sent');
}

/** `www.example.com 300 A 192.0.2.1`: a blank inside a name is written `\032`. */
function answerOf(
  line: string,
): { readonly type: number; readonly data: string; readonly ttl: number } | undefined {
  const found = /^\S+ (\d{1,10}) (\S+) ?(.*)$/s.exec(line);
  const type = typeNumber(found?.[2] ?? '');
  if (found === null || type === undefined) return undefined;
  return { type, data: (found[3] ?? '').replace(LINE_BREAKS, ' '), ttl: Number(found[1]) };
}

function connectionOf(fields: Fields, time: number, process: number): SentConnection {
  const names = fields.texts('whodns.connect.names').map((name) => name.replace(LINE_BREAKS, ' '));
  const scope = fields.text('whodns.connect.scope');
  const age = fields.number('whodns.connect.answer_age') ?? Number.NaN;
  const left = fields.number('whodns.connect.ttl_left') ?? Number.NaN;
  return {
    kind: 'connection',
    time,
    process,
    address: fields.text('network.peer.address') ?? '',
    port: fields.count('network.peer.port', MAX_PORT),
    local: fields.text('network.local.address') ?? '',
    localPort: fields.count('network.local.port', MAX_PORT),
    names,
    scope: scope !== undefined && SCOPES.includes(scope) ? (scope as ResolutionScope) : undefined,
    answered: whole(time - age * 1e3),
    expires: whole(time + left * 1e6),
  };
}

/** ProtoJSON writes 64-bit numbers as text. @returns Unix µs */
function microseconds(nanoseconds: unknown): number | undefined {
  const text = typeof nanoseconds === 'number' ? String(nanoseconds) : nanoseconds;
  if (typeof text !== 'string' || !/^\d{1,19}$/.test(text)) return undefined;
  return whole(Number(BigInt(text) / 1000n));
}

/** Rounded; undefined: no number, or too large a one. */
function whole(value: number): number | undefined {
  const rounded = Math.round(value);
  return Number.isSafeInteger(rounded) ? rounded : undefined;
}

function isSeverity(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_SEVERITY;
}

/** An AnyValue, with what attributes of ours hold. */
function plainValue(value: unknown): AttributeValue | undefined {
  const any = (value ?? {}) as Readonly<Record<string, unknown>>;
  const { stringValue, boolValue, intValue, doubleValue, arrayValue } = any;
  if (typeof stringValue === 'string' || typeof boolValue === 'boolean')
    return (stringValue ?? boolValue) as string | boolean;
  const number = intValue ?? doubleValue;
  if (typeof number === 'number' || typeof number === 'string') {
    const read = Number(number);
    return Math.abs(read) <= Number.MAX_SAFE_INTEGER ? read : undefined;
  }
  const { values } = (arrayValue ?? {}) as Readonly<Record<string, unknown>>;
  if (!Array.isArray(values)) return undefined;
  return values.map(plainValue).filter((each) => typeof each === 'string');
}

function textOf(value: AttributeValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
