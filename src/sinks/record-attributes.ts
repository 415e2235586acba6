/**
 * Which fact of a lookup goes into which attribute of its record. They are given one by one and in their order, so that an encoder
 * can write them without an object. Bounds: at most MAX_ANSWERS answer records, MAX_CHARACTERS in any text; what is left out is
 * said (`whodns.answers.omitted`) or ends in an ellipsis.
 */
import { recordLine } from '../dns/line.ts';
import type {
  AddAttribute,
  DnsEvent,
  DnsMessage,
  Edns,
  Lookup,
  ProcessIdentity,
  ResourceRecord,
} from '../model.ts';
import type { RecordAttributeName } from '../tables/attributes.ts';
import { CLASSES, className } from '../tables/classes.ts';
import { rcodeName } from '../tables/rcodes.ts';
import { isAddressType, typeName } from '../tables/rrtypes.ts';

export const MAX_ANSWERS = 100;
export const MAX_CHARACTERS = 1024;
/** No lookup has more attributes. */
export const MAX_ATTRIBUTES = 64;

type Add = AddAttribute<RecordAttributeName>;

/** All attributes but `log.record.uid`. `error`: the value of `error.type`. */
export function describeLookup(lookup: Lookup, error: string | undefined, add: Add): void {
  const { request, response, process } = lookup;
  describeQuestion(request.message, add);
  describeAnswer(lookup, add);
  if (error !== undefined) add('error.type', error);
  describeOutcome(lookup, add);
  describeNetwork(request, add);
  describeEdns(request.message.edns, response?.message.edns, add);
  describeOddities(lookup, add);
  describeSearchStep(lookup, add);
  describePlace(request, process, add);
}

/** What error.type cannot say: nothing is known of an answer, or there were two that differ. */
function describeOutcome({ outcome, reason, conflictsWith }: Lookup, add: Add): void {
  if (outcome === 'unknown') {
    add('whodns.outcome', outcome);
    add('whodns.outcome.reason', reason ?? 'ring-full');
  } else if (conflictsWith !== undefined) {
    add('whodns.answers.conflicting', true);
    if (conflictsWith !== '') add('whodns.answers.conflicts_with', conflictsWith);
  }
}

function describeQuestion(message: DnsMessage, add: Add): void {
  const first = message.questions[0];
  if (first !== undefined) {
    add('dns.question.name', bounded(first.name));
    add('dns.question.type', typeName(first.type));
    if (first.class !== CLASSES.IN) add('dns.question.class', className(first.class));
  }
  if (message.id >= 0) add('dns.id', message.id);
}

function describeAnswer({ request, response, duration }: Lookup, add: Add): void {
  const flags = setFlags((response ?? request).message);
  if (flags.length > 0) add('whodns.flags', flags);
  if (duration !== undefined) add('dns.lookup.duration', Number(duration) / 1e9);
  if (response === undefined) return;
  const { rcode, answers } = response.message;
  if (rcode >= 0) add('dns.response_code', rcodeName(rcode));
  if (answers.length === 0) return;
  const kept = answers.length > MAX_ANSWERS ? answers.slice(0, MAX_ANSWERS) : answers;
  const addresses = kept.filter(isAddress).map((record) => record.data);
  if (addresses.length > 0) add('dns.answers', addresses);
  add(
    'whodns.answers',
    kept.map((record) => bounded(recordLine(record))),
  );
  if (kept !== answers) add('whodns.answers.omitted', answers.length - kept.length);
}

/** An address record whose RDATA was read; a malformed one is rendered as RFC 3597 says, `\\# ...`. */
export function isAddress(record: ResourceRecord): boolean {
  return isAddressType(record.type) && record.class === CLASSES.IN && !record.data.startsWith('\\');
}

/** Names of the header flags as in presentation form (dig). */
const FLAGS = ['aa', 'tc', 'rd', 'ra', 'ad', 'cd'] as const;
/** Those that are set, by bits in the same order. */
const FLAG_LISTS: readonly (readonly string[])[] = Array.from({ length: 1 << FLAGS.length }, (_, bits) =>
  FLAGS.filter((_name, index) => ((bits >> index) & 1) === 1),
);

function setFlags(message: DnsMessage): readonly string[] {
  const bits =
    Number(message.authoritative) |
    (Number(message.truncated) << 1) |
    (Number(message.recursionDesired) << 2) |
    (Number(message.recursionAvailable) << 3) |
    (Number(message.authenticData) << 4) |
    (Number(message.checkingDisabled) << 5);
  return FLAG_LISTS[bits] ?? [];
}

/** The server is what the program used; where destination NAT changed it, the packet's goes to network.peer.*. */
function describeNetwork({ raw }: DnsEvent, add: Add): void {
  const server = raw.dialed ?? raw.remote;
  // With its zone (RFC 4007 section 11), without which two servers on two links were one.
  add('server.address', raw.zone === undefined ? server.address : `${server.address}%${raw.zone}`);
  add('server.port', server.port);
  add('network.local.port', raw.local.port);
  add('network.transport', raw.transport);
  add('network.type', raw.family === 4 ? 'ipv4' : 'ipv6');
  add('network.protocol.name', 'dns');
  if (raw.zone !== undefined) add('network.interface.name', raw.zone);
  if (!raw.localAny) add('network.local.address', raw.local.address);
  if (raw.dialed !== undefined) {
    add('network.peer.address', raw.remote.address);
    add('network.peer.port', raw.remote.port);
  }
}

function describeEdns(request: Edns | undefined, response: Edns | undefined, add: Add): void {
  if (request !== undefined) {
    add('whodns.edns.version', request.version);
    add('whodns.edns.udp_size', request.udpSize);
    add('whodns.edns.do', request.do);
    if (request.clientSubnet !== undefined) add('whodns.edns.client_subnet', request.clientSubnet);
  }
  const errors = response?.extendedErrors;
  if (errors === undefined || errors.length === 0) return;
  const texts = errors.slice(0, MAX_ANSWERS).map(({ code, text }) => bounded(`${code} ${text}`.trimEnd()));
  add('whodns.edns.errors', texts);
}

/** What was not as usual: repeated, cut by the copy limit, damaged. The answer's damage comes first. */
function describeOddities({ request, response, retries }: Lookup, add: Add): void {
  if (retries > 0) add('whodns.retries', retries);
  if (isCut(request) || (response !== undefined && isCut(response))) add('whodns.truncated', true);
  const malformed = response?.message.malformed ?? request.message.malformed;
  if (malformed !== undefined) add('whodns.malformed', malformed.reason);
}

function describeSearchStep({ search }: Lookup, add: Add): void {
  if (search === undefined) return;
  add('whodns.search.base', bounded(search.base));
  add('whodns.search.step', search.step);
  if (search.wasted > 0) add('whodns.search.wasted', search.wasted);
}

/** Thread, hook, attribution and network namespace. */
function describePlace({ raw }: DnsEvent, process: ProcessIdentity, add: Add): void {
  if (raw.owner !== undefined) {
    add('whodns.thread.id', raw.owner.tid);
    add('whodns.thread.name', commText(raw.owner.threadName));
  }
  add('whodns.hook', raw.hook);
  add('whodns.attribution', process.attribution);
  // 0 = unknown: a capture file has no namespaces.
  if (raw.networkNamespace !== 0) add('whodns.netns', raw.networkNamespace);
}

function isCut(event: DnsEvent): boolean {
  return event.captured < event.length;
}

/** The kernel's comm is bytes, most often UTF-8; the model carries them as latin1. */
export function commText(latin1: string): string {
  for (let i = 0; i < latin1.length; i++) {
    if (latin1.charCodeAt(i) > 0x7f) return Buffer.from(latin1, 'latin1').toString('utf8');
  }
  return latin1;
}

export function bounded(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text;
  return `${text.slice(0, MAX_CHARACTERS - 1).toWellFormed()}…`;
}
