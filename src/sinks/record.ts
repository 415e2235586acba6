/** A lookup as a log event. Pure but for the identifier, which the caller may supply. */
import { forTerminal } from '../lib/escape.ts';
import { randomBytes } from '../lib/random-bytes.ts';
import { uuidV7 } from '../lib/uuid.ts';
import type {
  AddAttribute,
  Attributes,
  AttributeValue,
  LogEvent,
  Lookup,
  Outcome,
  ProcessIdentity,
  TraceContext,
  Unreachable,
} from '../model.ts';
import type { RecordAttributeName } from '../tables/attributes.ts';
import type { SamplerName } from '../tables/options.ts';
import { RCODES, rcodeName } from '../tables/rcodes.ts';
import { typeName } from '../tables/rrtypes.ts';
import { bounded, describeLookup, isAddress } from './record-attributes.ts';
import { isSampled } from './sampler.ts';
import { latencyText } from './table-cells.ts';

/** OpenTelemetry SeverityNumber (logs data model, "Field: SeverityNumber"). */
export const SEVERITY = { info: 9, warn: 13 } as const;
export const EVENT_NAME = 'whodns.query';

export interface RecordOptions {
  /** NXDOMAIN is an error (error.type, severity); search lists make many of them. */
  readonly nxdomainError: boolean;
  /** Each lookup gets a span of its own (otlp-spans.ts), which the record names. */
  readonly traces?: boolean;
  /** Unless it is sampled out; default `always_on`. */
  readonly tracesSampler?: SamplerName;
  readonly tracesSamplerRatio?: number;
  /** Makes `log.record.uid`; default a new UUID version 7. @param time Unix ns */
  readonly uid?: (time: bigint) => string;
}

/** @param observedTime Unix ns at which user space has the finished lookup in hand */
export function toLogEvent(lookup: Lookup, observedTime: bigint, options: RecordOptions): LogEvent {
  return new LookupRecord(lookup, observedTime, options);
}

/** Body and attributes are made when they are asked for: an encoder takes the attributes by `describe`, without an object. */
class LookupRecord implements LogEvent {
  readonly eventName = EVENT_NAME;
  readonly lookup: Lookup;
  readonly observedTime: bigint;
  readonly trace: TraceContext | undefined;
  readonly hasSpan: boolean;
  readonly parentSpanId: Uint8Array | undefined;
  readonly #error: string | undefined;
  readonly #newUid: (time: bigint) => string;
  #uid: string | undefined;
  #attributes: Attributes | undefined;

  constructor(lookup: Lookup, observedTime: bigint, options: RecordOptions) {
    this.lookup = lookup;
    this.observedTime = observedTime;
    this.#error = errorType(lookup, options.nxdomainError);
    this.#newUid = options.uid ?? newUid;
    const around = lookup.request.raw.trace;
    const own = ownSpan(lookup, around, options);
    this.trace = own ?? around;
    this.hasSpan = own !== undefined;
    this.parentSpanId = own === undefined ? undefined : around?.spanId;
  }

  get time(): bigint {
    return this.lookup.request.raw.time;
  }

  get process(): ProcessIdentity {
    return this.lookup.process;
  }

  get severity(): number {
    return this.#error === undefined ? SEVERITY.info : SEVERITY.warn;
  }

  get body(): string {
    return displayLine(this.lookup);
  }

  get attributes(): Attributes {
    if (this.#attributes !== undefined) return this.#attributes;
    const attributes: Record<string, AttributeValue> = {};
    this.describe((name, value) => {
      attributes[name] = value;
    });
    this.#attributes = attributes;
    return attributes;
  }

  describe(add: AddAttribute<RecordAttributeName>): void {
    describeLookup(this.lookup, this.#error, add);
    this.#uid ??= this.lookup.uid ?? this.#newUid(this.observedTime);
    add('log.record.uid', this.#uid);
  }
}

/** flags: sampled (W3C Trace Context level 1). */
const SAMPLED = 1;

/** A lookup that capturing did not see the end of has no span of its own, nor has one that is not sampled, nor a further answer. */
function ownSpan(
  { outcome, conflictsWith }: Lookup,
  around: TraceContext | undefined,
  { traces = false, tracesSampler = 'always_on', tracesSamplerRatio = 1 }: RecordOptions,
): TraceContext | undefined {
  if (!traces || outcome === 'sent' || conflictsWith !== undefined) return undefined;
  const traceId = around?.traceId ?? randomBytes(16);
  if (!isSampled(tracesSampler, tracesSamplerRatio, traceId, around)) return undefined;
  return { traceId, spanId: randomBytes(8), flags: (around?.flags ?? 0) | SAMPLED };
}

export function newUid(time: bigint): string {
  return uuidV7(Number(time / 1_000_000n));
}

/**
 * `timeout`, what the program was told in place of an answer, or the response code when it is an error. Codes that IANA does not list are one value, `_OTHER`: the
 * attribute must keep a low cardinality (semantic conventions, error.type).
 */
function errorType({ outcome, response }: Lookup, nxdomainError: boolean): string | undefined {
  if (outcome === 'timeout' || isUnreachable(outcome)) return outcome;
  const rcode = response?.message.rcode;
  // Negative: the header could not be read (dns/message.ts); whodns.malformed says so.
  if (rcode === undefined || rcode <= RCODES.NOERROR) return undefined;
  if (rcode === RCODES.NXDOMAIN && !nxdomainError) return undefined;
  const name = rcodeName(rcode);
  return name.startsWith('RCODE') ? '_OTHER' : name;
}

function isUnreachable(outcome: Outcome): outcome is Unreachable {
  return UNREACHABLE.has(outcome);
}

const UNREACHABLE: ReadonlySet<Outcome> = new Set([
  'connection_refused',
  'host_unreachable',
  'network_unreachable',
]);

/** `A www.example.com: 192.0.2.1 +1 in 12.3ms (curl)`: one line for people, safe for a terminal. */
function displayLine(lookup: Lookup): string {
  const conflict = lookup.conflictsWith === undefined ? '' : ', conflicting';
  const first = lookup.request.message.questions[0];
  const asked = first === undefined ? '(no question)' : `${typeName(first.type)} ${first.name}`;
  const took = lookup.duration === undefined ? '' : ` in ${latencyText(lookup.duration)}`;
  const who = lookup.process.executableName === '' ? '' : ` (${lookup.process.executableName})`;
  return bounded(forTerminal(`${asked}: ${resultText(lookup)}${conflict}${took}${who}`));
}

function resultText({ outcome, response }: Lookup): string {
  if (response === undefined) return outcome;
  const { rcode, answers } = response.message;
  if (rcode !== RCODES.NOERROR) return rcode < 0 ? 'malformed answer' : rcodeName(rcode);
  const shown = answers.find(isAddress) ?? answers[0];
  if (shown === undefined) return 'no data';
  return answers.length === 1 ? shown.data : `${shown.data} +${answers.length - 1}`;
}
