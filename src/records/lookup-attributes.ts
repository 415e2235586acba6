/**
 * Which fact of a lookup goes into which attribute of its record, and in which order: written straight from the messages' bytes and
 * the lookup's numbers (attribute-writer.ts). Bounds: at most MAX_LISTED questions or records, MAX_CHARACTERS in any text; what is left
 * out is said (`whodns.answers.omitted`) or ends in an ellipsis.
 */
import type { Message } from '../dns/message.ts';
import type { Envelope } from '../lookup/envelope.ts';
import { FIELD, FIELD_BITS } from '../lookup/fields.ts';
import type { LookupView } from '../lookup/view.ts';
import type { Outcome } from '../model.ts';
import type { ProtobufWriter } from '../otlp/encode.ts';
import { OPCODES } from '../tables/classes.ts';
import { rcodeName } from '../tables/rcodes.ts';
import { AddressRuns } from './address-runs.ts';
import { AttributeKey, attributeRun } from './attribute-writer.ts';
import { writeEdns } from './lookup-edns.ts';
import { OPCODE_NAMES, writeAnswers, writeQuestions, writeUpdate } from './lookup-sections.ts';
import { Mnemonics } from './mnemonics.ts';
import { PlaceRuns } from './place-runs.ts';
import { bounded } from './record-common.ts';

export const RCODE_NAMES = new Mnemonics('dns.response_code', rcodeName);
const ERRORS = new Mnemonics('error.type', errorName);
/** Of lookups without an answer. */
const FAILURES: Readonly<Partial<Record<Outcome, Uint8Array>>> = Object.fromEntries(
  (['timeout', 'connection_refused', 'host_unreachable', 'network_unreachable'] as const).map((outcome) => [
    outcome,
    attributeRun('error.type', outcome),
  ]),
);
const NONE = new Uint8Array(0);

const HYPHEN = 0x2d;

const ID = new AttributeKey('dns.id');
const DURATION = new AttributeKey('dns.lookup.duration');
const OUTCOME_REASON = new AttributeKey('whodns.outcome.reason');
const CONFLICTS_WITH = new AttributeKey('whodns.answers.conflicts_with');
const SERVER_ADDRESS = new AttributeKey('server.address');
const SERVER_PORT = new AttributeKey('server.port');
const INTERFACE_NAME = new AttributeKey('network.interface.name');
const LOCAL_PORT = new AttributeKey('network.local.port');
const RETRIES = new AttributeKey('whodns.retries');
const MALFORMED = new AttributeKey('whodns.malformed');
const SEARCH_BASE = new AttributeKey('whodns.search.base');
const SEARCH_STEP = new AttributeKey('whodns.search.step');
const SEARCH_WASTED = new AttributeKey('whodns.search.wasted');
const UID = new AttributeKey('log.record.uid');

const UNKNOWN = attributeRun('whodns.outcome', 'unknown');
const CONFLICTING = attributeRun('whodns.answers.conflicting', true);
const TRUNCATED = attributeRun('whodns.truncated', true);
const FINAL = attributeRun('whodns.lookup.final', true);
const LOOKUP_ID = new AttributeKey('whodns.lookup.id');

/** Names of the header flags as in presentation form (dig), by bit of the header's second word (RFC 1035 section 4.1.1). */
const FLAGS = { aa: 0x400, tc: 0x200, rd: 0x100, ra: 0x80, ad: 0x20, cd: 0x10 } as const;
/** The attribute for each combination of the bits from FLAG_SHIFT on. */
const FLAG_SHIFT = 4;
const FLAG_RUNS: readonly Uint8Array[] = Array.from({ length: 128 }, (_, bits) => {
  const set = Object.entries(FLAGS).filter(([, bit]) => ((bits << FLAG_SHIFT) & bit) !== 0);
  return set.length === 0
    ? new Uint8Array(0)
    : attributeRun(
        'whodns.flags',
        set.map(([name]) => name),
      );
});

/** Transport, type and protocol, by the bits TCP and IPV6. */
const NETWORK_BITS = FIELD_BITS.TCP | FIELD_BITS.IPV6;
const NETWORK_RUNS: readonly Uint8Array[] = Array.from({ length: NETWORK_BITS + 1 }, (_, bits) =>
  Buffer.concat([
    attributeRun('network.transport', (bits & FIELD_BITS.TCP) === 0 ? 'udp' : 'tcp'),
    attributeRun('network.type', (bits & FIELD_BITS.IPV6) === 0 ? 'ipv4' : 'ipv6'),
    attributeRun('network.protocol.name', 'dns'),
  ]),
);

/** Caches: what is not in them is written attribute by attribute. */
const SERVERS = new AddressRuns('server.address', 'server.port');
const PEERS = new AddressRuns('network.peer.address', 'network.peer.port');
const LOCALS = new AddressRuns('network.local.address');
const PLACES = new PlaceRuns();

/** Each as the field `attributes` of a LogRecord. @param isError whether the lookup has an `error.type` */
export function writeLookupAttributes(writer: ProtobufWriter, lookup: LookupView, isError: boolean): void {
  const { request, answer, hasResponse } = lookup;
  const { opcode, id } = request.message;
  writeQuestions(writer, lookup.asked);
  if (id >= 0) ID.integer(writer, id);
  if (opcode > OPCODES.QUERY) writer.raw(OPCODE_NAMES.of(opcode).attribute);
  writeFlags(writer, hasResponse ? answer.message.flags : request.message.flags);
  if (lookup.durationNs >= 0) DURATION.seconds(writer, lookup.durationNs);
  if (hasResponse && answer.message.rcode >= 0) writer.raw(RCODE_NAMES.of(answer.message.rcode).attribute);
  if (opcode > OPCODES.QUERY) writeUpdate(writer, request.message);
  else if (hasResponse) writeAnswers(writer, lookup);
  if (isError)
    writer.raw(hasResponse ? ERRORS.of(answer.message.rcode).attribute : (FAILURES[lookup.outcome] ?? NONE));
  writeOutcome(writer, lookup);
  writeNetwork(writer, request.raw);
  writeEdns(writer, lookup);
  writeOddities(writer, lookup);
  writeLookUp(writer, lookup);
  writeSearchStep(writer, lookup);
  PLACES.write(writer, request.raw, lookup.process);
  writeUuid(writer, UID, lookup.uidBytes);
}

/** A code that IANA does not list is one value, `_OTHER`: the attribute must have few (semantic conventions, error.type). */
export function errorName(rcode: number): string {
  const name = rcodeName(rcode);
  return name.startsWith('RCODE') ? '_OTHER' : name;
}

function writeFlags(writer: ProtobufWriter, flags: number): void {
  writer.raw(FLAG_RUNS[(flags >> FLAG_SHIFT) & 0x7f] as Uint8Array);
}

/** What error.type cannot say: nothing is known of an answer, or there were two that differ. */
function writeOutcome(writer: ProtobufWriter, { outcome, reason, conflictsWith }: LookupView): void {
  if (outcome === 'unknown') {
    writer.raw(UNKNOWN);
    OUTCOME_REASON.text(writer, reason ?? 'ring_full');
  } else if (conflictsWith !== undefined) {
    writer.raw(CONFLICTING);
    if (conflictsWith !== '') CONFLICTS_WITH.text(writer, conflictsWith);
  }
}

/** The server is what the program used; where destination NAT changed it, the packet's goes to network.peer.*. */
function writeNetwork(writer: ProtobufWriter, raw: Envelope): void {
  const { words, at } = raw;
  const bits = words[at + FIELD.BITS] as number;
  const isDialed = (bits & FIELD_BITS.DIALED) !== 0;
  const { zone } = raw;
  if (zone !== undefined) writeZoned(writer, raw, zone);
  else if (isDialed) SERVERS.write(writer, words, at + FIELD.DIALED, raw.dialedPort);
  else SERVERS.write(writer, words, at + FIELD.REMOTE, raw.remotePort);
  LOCAL_PORT.integer(writer, raw.localPort);
  writer.raw(NETWORK_RUNS[bits & NETWORK_BITS] as Uint8Array);
  if ((bits & FIELD_BITS.LOCAL_ANY) === 0) LOCALS.write(writer, words, at + FIELD.LOCAL, 0);
  if (isDialed) PEERS.write(writer, words, at + FIELD.REMOTE, raw.remotePort);
}

/** Without its zone (RFC 4007 section 11) two servers on two links were one. */
function writeZoned(writer: ProtobufWriter, raw: Envelope, zone: string): void {
  SERVER_ADDRESS.text(writer, `${raw.remote.address}%${zone}`);
  SERVER_PORT.integer(writer, raw.remotePort);
  INTERFACE_NAME.text(writer, zone);
}

/** What was not as usual: repeated, cut by the copy limit, damaged. The answer's damage comes first. */
function writeOddities(writer: ProtobufWriter, { request, answer, hasResponse, retries }: LookupView): void {
  if (retries > 0) RETRIES.integer(writer, retries);
  if (isCut(request.message) || (hasResponse && isCut(answer.message))) writer.raw(TRUNCATED);
  const told = hasResponse ? answer.message.malformedReason : undefined;
  const malformed = told ?? request.message.malformedReason;
  if (malformed !== undefined) MALFORMED.text(writer, malformed);
}

function isCut({ captured, length }: Message): boolean {
  return captured < length;
}

/** Several servers were asked, or may be. */
function writeLookUp(writer: ProtobufWriter, { hasLookupId, lookupId, isFinal }: LookupView): void {
  if (hasLookupId) writeUuid(writer, LOOKUP_ID, lookupId);
  if (isFinal) writer.raw(FINAL);
}

function writeSearchStep(writer: ProtobufWriter, { search }: LookupView): void {
  if (search === undefined) return;
  SEARCH_BASE.text(writer, bounded(search.base));
  SEARCH_STEP.integer(writer, search.step);
  if (search.wasted > 0) SEARCH_WASTED.integer(writer, search.wasted);
}

const UUID_CHARACTERS = 36;
/** Of a byte: its first digit, and its second. */
const HIGH = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0').charCodeAt(0));
const LOW = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0').charCodeAt(1));

/** Sixteen bytes as text (RFC 9562 section 4). */
function writeUuid(writer: ProtobufWriter, key: AttributeKey, uid: Uint8Array): void {
  const start = key.begin(writer);
  writer.reserve(UUID_CHARACTERS);
  const { bytes } = writer;
  let at = start;
  for (let i = 0; i < uid.length; i++) {
    const byte = uid[i] as number;
    bytes[at] = HIGH[byte] as number;
    bytes[at + 1] = LOW[byte] as number;
    at += 2;
    if (i === 3 || i === 5 || i === 7 || i === 9) bytes[at++] = HYPHEN;
  }
  writer.position = at;
  key.endText(writer, start);
}
