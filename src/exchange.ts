/**
 * What makes an answer belong to a request, and one request a retransmission of another: pure functions on events.
 * The keys are hashes for looking up candidates; the comparisons decide.
 */
import type { DnsEvent, DnsMessage, Endpoint, Owner, Question } from './model.ts';

type Raw = DnsEvent['raw'];

/** Groups of mDNS (RFC 6762 section 3) and LLMNR (RFC 4795 section 2.4): whoever knows answers, from its own address. */
const MULTICAST = new Set(['224.0.0.251', 'ff02::fb', '224.0.0.252', 'ff02::1:3']);

/** Of this start of the program: names come from the network, nobody shall be able to aim for collisions. */
const SEED = (Math.random() * 0x1_0000_0000) | 0;

/** One round of MurmurHash3's finalizer over a 32-bit value. */
function mix(hash: number, value: number): number {
  const product = Math.imul(hash ^ value, 0x85ebca6b);
  return product ^ (product >>> 13);
}

/** Of name (ASCII case folded: RFC 1035 section 2.3.3, 0x20) and type of the first question; a seed if there is none. */
export function questionHash(message: DnsMessage): number {
  const question = message.questions[0];
  if (question === undefined) return SEED;
  let hash = mix(SEED, question.type + 1);
  const name = question.name;
  // `| 0x20` folds a few other characters too: harmless in a hash.
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ (name.charCodeAt(i) | 0x20), 0x01000193);
  return mix(hash, name.length);
}

/** Of what request and answer share whatever the question is. Addresses are compared, not hashed: NAT and multicast change them. */
export function exchangeKey(event: DnsEvent): number {
  const raw = event.raw;
  const place = mix(SEED ^ raw.networkNamespace, raw.transport === 'udp' ? 17 : 6);
  return mix(place, (event.message.id << 16) | raw.local.port);
}

/** Of the client's end of an exchange, in either direction: network namespace, transport, local port. */
export function wayKey(raw: Raw): number {
  const place = mix(SEED ^ raw.networkNamespace, raw.transport === 'udp' ? 17 : 6);
  return mix(place, raw.local.port);
}

/**
 * Of what an answer says: response code and answer records, in any order and without their TTLs, which differ between answers
 * of one server that mean the same.
 */
export function answerDigest({ rcode, answers }: DnsMessage): number {
  let sum = mix(SEED, rcode + 1);
  for (const { type, data } of answers) {
    let hash = mix(SEED, type);
    for (let i = 0; i < data.length; i++) hash = Math.imul(hash ^ data.charCodeAt(i), 0x01000193);
    sum = (sum + mix(hash, data.length)) | 0;
  }
  return sum;
}

export function answerKey(exchange: number, question: number): number {
  return mix(exchange, question);
}

/** Of the server's address and port. */
export function serverKey({ address, port }: Endpoint): number {
  let hash = anyServerKey({ address, port });
  for (let i = 0; i < address.length; i++) hash = Math.imul(hash ^ address.charCodeAt(i), 0x01000193);
  return mix(hash, address.length);
}

/** Of the port alone: whoever answered a multicast question. */
export function anyServerKey({ port }: Endpoint): number {
  return mix(SEED, port);
}

export function retryKey(event: DnsEvent, question: number): number {
  return mix(mix(question, event.raw.owner?.pid ?? 0), event.message.id);
}

export function isMulticast(raw: Raw): boolean {
  return MULTICAST.has(raw.remote.address);
}

/** Whether `response` came back on the way `request` went out. Says nothing of id and question. */
export function isOnSameWay(request: Raw, response: Raw): boolean {
  if (request.networkNamespace !== response.networkNamespace || request.transport !== response.transport)
    return false;
  if (request.local.port !== response.local.port) return false;
  const bothSocketsKnown = request.socket !== 0n && response.socket !== 0n;
  if (bothSocketsKnown && request.socket !== response.socket) return false;
  if (isMulticast(request)) return request.remote.port === response.remote.port;
  const isLocal = bothSocketsKnown || request.localAny || request.local.address === response.local.address;
  if (!isLocal) return false;
  return (
    isSameEndpoint(request.remote, response.remote) ||
    (request.dialed !== undefined && isSameEndpoint(request.dialed, response.remote))
  );
}

/** Whether two requests went the same way. */
export function isSameWay(a: Raw, b: Raw): boolean {
  return (
    a.networkNamespace === b.networkNamespace &&
    a.transport === b.transport &&
    a.local.port === b.local.port &&
    (a.socket === b.socket || a.socket === 0n || b.socket === 0n) &&
    (a.localAny || b.localAny || a.local.address === b.local.address) &&
    isSameEndpoint(a.remote, b.remote) &&
    a.zone === b.zone
  );
}

/** 2: same questions byte for byte; 1: same but for the case of letters; 0: others. `unicastBit`: ignore the top bit of the class (RFC 6762 section 5.4). */
export function questionMatch(a: DnsMessage, b: DnsMessage, unicastBit = false): 0 | 1 | 2 {
  if (a.questions.length !== b.questions.length) return 0;
  let match: 1 | 2 = 2;
  for (let i = 0; i < a.questions.length; i++) {
    const one = a.questions[i] as Question;
    const other = b.questions[i] as Question;
    const mask = unicastBit ? 0x7fff : 0xffff;
    if (one.type !== other.type || (one.class & mask) !== (other.class & mask)) return 0;
    if (one.name === other.name) continue;
    if (!isSameName(one.name, other.name)) return 0;
    match = 1;
  }
  return match;
}

/** RFC 6762 section 6: multicast answers carry no question; the records say what they answer. */
export function answersQuestion(response: DnsMessage, request: DnsMessage): boolean {
  const ANY = 255;
  return request.questions.some((question) =>
    response.answers.some(
      (answer) =>
        (question.type === answer.type || question.type === ANY) && isSameName(question.name, answer.name),
    ),
  );
}

export function isSameProcess(a: Owner | undefined, b: Owner | undefined): boolean {
  return a?.pid === b?.pid && a?.startTime === b?.startTime;
}

function isSameName(a: string, b: string): boolean {
  return a === b || (a.length === b.length && a.toLowerCase() === b.toLowerCase());
}

function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address;
}
