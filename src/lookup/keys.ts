/**
 * What makes an answer belong to a request, and one request a retransmission of another: pure functions on envelopes and
 * messages. The keys are hashes for looking up candidates; the comparisons decide.
 */
import type { AnswerNames } from '../dns/compare.ts';
import type { Message } from '../dns/message.ts';
import { hashAddress, isSameAddress, needsZone, putAddress } from '../lib/address-words.ts';
import type { Owner } from '../model.ts';
import type { Envelope } from './envelope.ts';
import { FIELD, FIELD_BITS } from './fields.ts';

/** Groups of mDNS (RFC 6762 section 3) and LLMNR (RFC 4795 section 2.4): whoever knows answers, from its own address. */
const MULTICAST = ['224.0.0.251', 'ff02::fb', '224.0.0.252', 'ff02::1:3'];
const GROUPS = new Int32Array(4 * MULTICAST.length);
for (const [index, address] of MULTICAST.entries()) putAddress(GROUPS, 4 * index, address);

export const MDNS_PORT = 5353;
const MDNS_PORTS = MDNS_PORT | (MDNS_PORT << 16);

/** Of this start of the program: names come from the network, no one shall be able to aim for collisions. */
const SEED = (Math.random() * 0x1_0000_0000) | 0;

/** One round of MurmurHash3's finalizer over a 32-bit value. */
export function mix(hash: number, value: number): number {
  const product = Math.imul(hash ^ value, 0x85ebca6b);
  return product ^ (product >>> 13);
}

/** Of name (ASCII case folded: RFC 1035 section 2.3.3, 0x20) and type of the first question; a seed if there is none. */
export function questionHash(message: Message): number {
  return message.questionsRead === 0 ? SEED : message.hashName(mix(SEED, message.questionType + 1));
}

/** Of the client's end of an exchange, in either direction: network namespace, transport, local port. */
export function wayKey({ words, at }: Envelope): number {
  const isTcp = (words[at + FIELD.BITS] as number) & FIELD_BITS.TCP;
  const place = mix(SEED ^ (words[at + FIELD.NETWORK_NAMESPACE] as number), isTcp);
  return mix(place, (words[at + FIELD.PORTS] as number) & 0xffff);
}

export function readAnswerNames(names: AnswerNames, answer: Message): void {
  names.read(answer, SEED);
}

/** Of what request and answer share whatever the question is. Addresses are compared, not hashed: NAT and multicast change them. */
export function exchangeKey(envelope: Envelope, message: Message): number {
  return mix(wayKey(envelope), hasNoId(envelope) && message.id >= 0 ? 0 : message.id);
}

/** Between two ports of multicast DNS an id says nothing: an answer has 0, whatever was asked with (RFC 6762 section 18.1). */
export function hasNoId({ words, at }: Envelope): boolean {
  return words[at + FIELD.PORTS] === MDNS_PORTS;
}

/** Of what an answer says: response code and answer records, in any order and without their TTLs. */
export function answerDigest(message: Message): number {
  return message.digest(SEED);
}

export function answerKey(exchange: number, question: number): number {
  return mix(exchange, question);
}

/** Of a server's address and port. @param field FIELD.REMOTE or FIELD.DIALED */
export function serverKey(envelope: Envelope, field: number = FIELD.REMOTE): number {
  const { words, at } = envelope;
  const port = field === FIELD.DIALED ? envelope.dialedPort : envelope.remotePort;
  return mix(mix(SEED, port), hashAddress(words, at + field));
}

/** Of the port alone: whoever answered a multicast question. */
export function anyServerKey(envelope: Envelope): number {
  return mix(SEED, envelope.remotePort);
}

export function retryKey(owner: Owner | undefined, message: Message, question: number): number {
  return mix(mix(question, owner?.pid ?? 0), message.id);
}

/** Whether a request went to one of the groups. */
export function isMulticast({ words, at }: Envelope): boolean {
  return isGroup(words, at + FIELD.REMOTE);
}

function isGroup(words: Int32Array, at: number): boolean {
  for (let group = 0; group < GROUPS.length; group += 4)
    if (isSameAddress(words, at, GROUPS, group)) return true;
  return false;
}

/**
 * Whether the answer to a question to a group came in its family, and to who asked: to the address it was sent from, or to the group
 * (RFC 6762 section 6). One program asks by both families and over several interfaces with one port and one id.
 */
function isOnGroupWay(request: Envelope, response: Envelope): boolean {
  if (request.remotePort !== response.remotePort) return false;
  if ((bitsOf(request) ^ bitsOf(response)) & FIELD_BITS.IPV6) return false;
  if (isSameField(request, FIELD.REMOTE, response, FIELD.LOCAL)) return true;
  return request.localAny || response.localAny || isSameField(request, FIELD.LOCAL, response, FIELD.LOCAL);
}

function bitsOf({ words, at }: Envelope): number {
  return words[at + FIELD.BITS] as number;
}

const SAME_WAY_BITS = FIELD_BITS.TCP;

function isSamePlace(a: Envelope, b: Envelope): boolean {
  return (
    a.words[a.at + FIELD.NETWORK_NAMESPACE] === b.words[b.at + FIELD.NETWORK_NAMESPACE] &&
    (((a.words[a.at + FIELD.BITS] as number) ^ (b.words[b.at + FIELD.BITS] as number)) & SAME_WAY_BITS) ===
      0 &&
    (((a.words[a.at + FIELD.PORTS] as number) ^ (b.words[b.at + FIELD.PORTS] as number)) & 0xffff) === 0
  );
}

function hasSocket({ words, at }: Envelope): boolean {
  return words[at + FIELD.SOCKET] !== 0 || words[at + FIELD.SOCKET + 1] !== 0;
}

function isSameSocket(a: Envelope, b: Envelope): boolean {
  return (
    a.words[a.at + FIELD.SOCKET] === b.words[b.at + FIELD.SOCKET] &&
    a.words[a.at + FIELD.SOCKET + 1] === b.words[b.at + FIELD.SOCKET + 1]
  );
}

function isSameField(a: Envelope, aField: number, b: Envelope, bField: number): boolean {
  return isSameAddress(a.words, a.at + aField, b.words, b.at + bField);
}

/** Whether `response` came back on the way `request` went out. Says nothing of id and question. */
export function isOnSameWay(request: Envelope, response: Envelope): boolean {
  if (!isSamePlace(request, response)) return false;
  const areSocketsKnown = hasSocket(request) && hasSocket(response);
  const isToGroup = isMulticast(request);
  // All sockets at the port of mDNS get what comes there, and programs ask by one and listen by another.
  const isPortShared = isToGroup && request.localPort === MDNS_PORT;
  if (areSocketsKnown && !isPortShared && !isSameSocket(request, response)) return false;
  if (isToGroup) return isOnGroupWay(request, response);
  const isLocal =
    areSocketsKnown || request.localAny || isSameField(request, FIELD.LOCAL, response, FIELD.LOCAL);
  if (!isLocal) return false;
  if (
    request.remotePort === response.remotePort &&
    isSameField(request, FIELD.REMOTE, response, FIELD.REMOTE)
  )
    return true;
  return (
    request.has(FIELD_BITS.DIALED) &&
    request.dialedPort === response.remotePort &&
    isSameField(request, FIELD.DIALED, response, FIELD.REMOTE)
  );
}

/** Whether two requests were sent to the same server: the one that the program dialled, where it is known. */
export function isSameServer(a: Envelope, b: Envelope): boolean {
  const field = a.has(FIELD_BITS.DIALED) && b.has(FIELD_BITS.DIALED) ? FIELD.DIALED : FIELD.REMOTE;
  const isPort = field === FIELD.DIALED ? a.dialedPort === b.dialedPort : a.remotePort === b.remotePort;
  return isPort && isSameField(a, field, b, field);
}

/** Whether two requests went the same way. */
export function isSameWay(a: Envelope, b: Envelope): boolean {
  return (
    isSamePlace(a, b) &&
    (isSameSocket(a, b) || !hasSocket(a) || !hasSocket(b)) &&
    (a.localAny || b.localAny || isSameField(a, FIELD.LOCAL, b, FIELD.LOCAL)) &&
    a.remotePort === b.remotePort &&
    isSameField(a, FIELD.REMOTE, b, FIELD.REMOTE) &&
    (a.interface === b.interface || !a.has(FIELD_BITS.IPV6) || !needsZone(a.words, a.at + FIELD.REMOTE))
  );
}

export function isSameProcess(a: Owner | undefined, b: Owner | undefined): boolean {
  return a === b || (a?.pid === b?.pid && a?.startTime === b?.startTime);
}
