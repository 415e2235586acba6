/**
 * A lookup as a log event: which fact goes into which attribute. Pure but for the identifier, which the caller may supply.
 * Bounds: at most MAX_ANSWERS answer records, MAX_CHARACTERS in any text; what is left out is said
 * (`whodns.answers.omitted`) or ends in an ellipsis.
 */
import { recordLine } from '../dns/line.ts';
import { forTerminal } from '../lib/escape.ts';
import { randomBytes } from '../lib/random-bytes.ts';
import { uuidV7 } from '../lib/uuid.ts';
import type {
  AttributeValue,
  DnsEvent,
  DnsMessage,
  Edns,
  LogEvent,
  Lookup,
  Owner,
  ResourceRecord,
} from '../model.ts';
import type { RecordAttributeName } from '../tables/attributes.ts';
import { CLASSES, className } from '../tables/classes.ts';
import type { SamplerName } from '../tables/options.ts';
import { RCODES, rcodeName } from '../tables/rcodes.ts';
import { isAddressType, typeName } from '../tables/rrtypes.ts';
import { isSampled } from './sampler.ts';
import { latencyText } from './table-cells.ts';

/** OpenTelemetry SeverityNumber (logs data model, "Field: SeverityNumber"). */
export const SEVERITY = { info: 9, warn: 13 } as const;
export const EVENT_NAME = 'whodns.query';

export const MAX_ANSWERS = 100;
export const MAX_CHARACTERS = 1024;

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

type RecordAttributes = Partial<Record<RecordAttributeName, AttributeValue>>;

/** @param observedTime Unix ns at which user space has the finished lookup in hand */
export function toLogEvent(lookup: Lookup, observedTime: bigint, options: RecordOptions): LogEvent {
  const { request, response, process } = lookup;
  const error = errorType(lookup, options.nxdomainError);
  const uid = options.uid ?? newUid;
  const attributes: RecordAttributes = {
    ...question(request.message),
    ...answer(lookup),
    ...(error === undefined ? {} : { 'error.type': error }),
    ...unusualOutcome(lookup),
    ...network(request),
    ...edns(request.message.edns, response?.message.edns),
    ...oddities(lookup),
    ...searchStep(lookup),
    ...thread(request.raw.owner),
    'whodns.hook': request.raw.hook,
    'whodns.attribution': process.attribution,
    // 0 = unknown: a capture file has no namespaces.
    ...(request.raw.networkNamespace === 0 ? {} : { 'whodns.netns': request.raw.networkNamespace }),
    'log.record.uid': lookup.uid ?? uid(observedTime),
  };
  return {
    eventName: EVENT_NAME,
    time: request.raw.time,
    observedTime,
    severity: error === undefined ? SEVERITY.info : SEVERITY.warn,
    body: displayLine(lookup),
    attributes,
    process,
    lookup,
    ...span(lookup, options),
  };
}

/** flags: sampled (W3C Trace Context level 1). */
const SAMPLED = 1;

/** A lookup that capturing did not see the end of has no span of its own, nor has one that is not sampled, nor a further answer. */
function span(
  { request, outcome, conflictsWith }: Lookup,
  options: RecordOptions,
): Pick<LogEvent, 'trace' | 'hasSpan' | 'parentSpanId'> {
  const { traces = false, tracesSampler = 'always_on', tracesSamplerRatio = 1 } = options;
  const around = request.raw.trace;
  const none = around === undefined ? {} : { trace: around };
  if (!traces || outcome === 'sent' || conflictsWith !== undefined) return none;
  const traceId = around?.traceId ?? randomBytes(16);
  if (!isSampled(tracesSampler, tracesSamplerRatio, traceId, around)) return none;
  const trace = { traceId, spanId: randomBytes(8), flags: (around?.flags ?? 0) | SAMPLED };
  return around === undefined
    ? { trace, hasSpan: true }
    : { trace, hasSpan: true, parentSpanId: around.spanId };
}

export function newUid(time: bigint): string {
  return uuidV7(Number(time / 1_000_000n));
}

/**
 * `timeout`, or the response code when it is an error. Codes that IANA does not list are one value, `_OTHER`: the
 * attribute must keep a low cardinality (semantic conventions, error.type).
 */
function errorType({ outcome, response }: Lookup, nxdomainError: boolean): string | undefined {
  if (outcome === 'timeout') return 'timeout';
  const rcode = response?.message.rcode;
  // Negative: the header could not be read (dns/message.ts); whodns.malformed says so.
  if (rcode === undefined || rcode <= RCODES.NOERROR) return undefined;
  if (rcode === RCODES.NXDOMAIN && !nxdomainError) return undefined;
  const name = rcodeName(rcode);
  return name.startsWith('RCODE') ? '_OTHER' : name;
}

/** What error.type cannot say: nothing is known of an answer, or there were two that differ. */
function unusualOutcome({ outcome, reason, conflictsWith }: Lookup): RecordAttributes {
  if (outcome === 'unknown')
    return { 'whodns.outcome': outcome, 'whodns.outcome.reason': reason ?? 'ring-full' };
  if (conflictsWith === undefined) return {};
  const first = conflictsWith === '' ? {} : { 'whodns.answers.conflicts_with': conflictsWith };
  return { 'whodns.answers.conflicting': true, ...first };
}

function question(message: DnsMessage): RecordAttributes {
  const first = message.questions[0];
  const id = message.id < 0 ? {} : { 'dns.id': message.id };
  if (first === undefined) return id;
  return {
    'dns.question.name': bounded(first.name),
    'dns.question.type': typeName(first.type),
    ...(first.class === CLASSES.IN ? {} : { 'dns.question.class': className(first.class) }),
    ...id,
  };
}

function answer({ request, response, duration }: Lookup): RecordAttributes {
  const attributes: RecordAttributes = {};
  const flags = setFlags((response ?? request).message);
  if (flags.length > 0) attributes['whodns.flags'] = flags;
  if (duration !== undefined) attributes['dns.lookup.duration'] = Number(duration) / 1e9;
  if (response === undefined) return attributes;
  const { rcode, answers } = response.message;
  if (rcode >= 0) attributes['dns.response_code'] = rcodeName(rcode);
  if (answers.length === 0) return attributes;
  const kept = answers.length > MAX_ANSWERS ? answers.slice(0, MAX_ANSWERS) : answers;
  const addresses = kept.filter(isAddress).map((record) => record.data);
  if (addresses.length > 0) attributes['dns.answers'] = addresses;
  attributes['whodns.answers'] = kept.map((record) => bounded(recordLine(record)));
  if (kept !== answers) attributes['whodns.answers.omitted'] = answers.length - kept.length;
  return attributes;
}

/** An address record whose RDATA was read; a malformed one is rendered as RFC 3597 says, `\# ...`. */
function isAddress(record: ResourceRecord): boolean {
  return isAddressType(record.type) && record.class === CLASSES.IN && !record.data.startsWith('\\');
}

/** Names of the header flags as in presentation form (dig). */
function setFlags(message: DnsMessage): string[] {
  const flags: string[] = [];
  if (message.authoritative) flags.push('aa');
  if (message.truncated) flags.push('tc');
  if (message.recursionDesired) flags.push('rd');
  if (message.recursionAvailable) flags.push('ra');
  if (message.authenticData) flags.push('ad');
  if (message.checkingDisabled) flags.push('cd');
  return flags;
}

/** The server is what the program used; where destination NAT changed it, the packet's goes to network.peer.*. */
function network({ raw }: DnsEvent): RecordAttributes {
  const server = raw.dialed ?? raw.remote;
  const attributes: RecordAttributes = {
    'server.address': server.address,
    'server.port': server.port,
    'network.local.port': raw.local.port,
    'network.transport': raw.transport,
    'network.type': raw.family === 4 ? 'ipv4' : 'ipv6',
    'network.protocol.name': 'dns',
  };
  if (!raw.localAny) attributes['network.local.address'] = raw.local.address;
  if (raw.dialed !== undefined) {
    attributes['network.peer.address'] = raw.remote.address;
    attributes['network.peer.port'] = raw.remote.port;
  }
  return attributes;
}

function edns(request: Edns | undefined, response: Edns | undefined): RecordAttributes {
  const attributes: RecordAttributes = {};
  if (request !== undefined) {
    attributes['whodns.edns.version'] = request.version;
    attributes['whodns.edns.udp_size'] = request.udpSize;
    attributes['whodns.edns.do'] = request.do;
    if (request.clientSubnet !== undefined) attributes['whodns.edns.client_subnet'] = request.clientSubnet;
  }
  const errors = response?.extendedErrors ?? [];
  if (errors.length > 0) {
    attributes['whodns.edns.errors'] = errors
      .slice(0, MAX_ANSWERS)
      .map(({ code, text }) => bounded(`${code} ${text}`.trimEnd()));
  }
  return attributes;
}

/** What was not as usual: repeated, cut by the copy limit, damaged. The answer's damage comes first. */
function oddities({ request, response, retries }: Lookup): RecordAttributes {
  const attributes: RecordAttributes = {};
  if (retries > 0) attributes['whodns.retries'] = retries;
  if (isCut(request) || (response !== undefined && isCut(response))) attributes['whodns.truncated'] = true;
  const malformed = response?.message.malformed ?? request.message.malformed;
  if (malformed !== undefined) attributes['whodns.malformed'] = malformed.reason;
  return attributes;
}

function searchStep({ search }: Lookup): RecordAttributes {
  if (search === undefined) return {};
  const attributes: RecordAttributes = {
    'whodns.search.base': bounded(search.base),
    'whodns.search.step': search.step,
  };
  if (search.wasted > 0) attributes['whodns.search.wasted'] = search.wasted;
  return attributes;
}

function isCut(event: DnsEvent): boolean {
  return event.captured < event.length;
}

export function thread(owner: Owner | undefined): {
  readonly 'whodns.thread.id'?: number;
  readonly 'whodns.thread.name'?: string;
} {
  if (owner === undefined) return {};
  return { 'whodns.thread.id': owner.tid, 'whodns.thread.name': commText(owner.threadName) };
}

/** The kernel's comm is bytes, most often UTF-8; the model carries them as latin1. */
function commText(latin1: string): string {
  for (let i = 0; i < latin1.length; i++) {
    if (latin1.charCodeAt(i) > 0x7f) return Buffer.from(latin1, 'latin1').toString('utf8');
  }
  return latin1;
}

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

export function bounded(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text;
  return `${text.slice(0, MAX_CHARACTERS - 1).toWellFormed()}…`;
}
