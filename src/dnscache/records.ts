/** Which records of an answer lead from one name to the next or to an address, and how long they may be believed. */
import { canonicalAddress } from '../lib/address.ts';
import type { DnsMessage, Lookup, Question, ResourceRecord } from '../model.ts';
import { CLASSES, OPCODES } from '../tables/classes.ts';
import { RCODES } from '../tables/rcodes.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';
import { canonicalName } from './key.ts';

/**
 * `name`: to another name that stands for the same thing or serves it (CNAME; SRV, MX, HTTPS, SVCB). `address`: A, AAAA and
 * the address hints of HTTPS and SVCB. `pointer`: PTR, which the owner of an address can say of it as he likes.
 */
export const LINK = { name: 0, address: 1, pointer: 2 } as const;
export type LinkKind = (typeof LINK)[keyof typeof LINK];

const SECOND = 1e9;
/** RFC 8767 section 4 recommends this cap; with it a mistaken or hostile TTL does no lasting harm. */
const MAX_TTL = 7 * 86_400;
/** RFC 2308 section 5: one to three hours are sensible, more than a day is not. */
const MAX_NEGATIVE_TTL = 3 * 3600;
/** The top bit of a class is another thing in multicast DNS (RFC 6762 section 10.2). */
const CLASS_BITS = 0x7fff;

/** Questions of one message that are looked at. */
const MAX_QUESTIONS = 100;
const NONE: readonly Question[] = [];

/** The questions of class IN that the answer is to; none of what is no QUERY, or no good answer. */
export function cachedQuestions({ request, response, asked = request.message }: Lookup): readonly Question[] {
  if (response === undefined || request.message.opcode > OPCODES.QUERY) return NONE;
  const { opcode, rcode } = response.message;
  if (opcode !== OPCODES.QUERY || (rcode !== RCODES.NOERROR && rcode !== RCODES.NXDOMAIN)) return NONE;
  const { questions } = asked;
  const isCached = (question: Question) => (question.class & CLASS_BITS) === CLASSES.IN;
  if (questions.length === 1 && isCached(questions[0] as Question)) return questions;
  return questions.slice(0, MAX_QUESTIONS).filter(isCached);
}

/** ns. RFC 2181 section 8: with the most significant bit set it is 0. */
export function lifetime({ ttl }: ResourceRecord): number {
  return ttl > 0x7fff_ffff ? 0 : Math.min(ttl, MAX_TTL) * SECOND;
}

/** Calls `link` for each thing that the record leads to. Targets are canonical; never '' (the root: RFC 7505, RFC 2782 "." is "none"). */
export function eachTarget(record: ResourceRecord, link: (kind: LinkKind, target: string) => void): void {
  if ((record.class & CLASS_BITS) !== CLASSES.IN) return;
  const { type, data } = record;
  // RFC 3597 form: not rendered or malformed
  if (data.startsWith('\\#')) return;
  switch (type) {
    case RR_TYPES.A:
      link(LINK.address, data);
      return;
    case RR_TYPES.AAAA:
      link(LINK.address, data.startsWith('::ffff:') ? (canonicalAddress(data) ?? data) : data);
      return;
    case RR_TYPES.CNAME:
      name(LINK.name, data, link);
      return;
    case RR_TYPES.PTR:
      name(LINK.pointer, data, link);
      return;
    case RR_TYPES.MX:
      name(LINK.name, field(data, 1), link);
      return;
    case RR_TYPES.SRV:
      name(LINK.name, field(data, 3), link);
      return;
    case RR_TYPES.HTTPS:
    case RR_TYPES.SVCB:
      service(data, link);
      return;
    default:
      return;
  }
}

type Linker = (kind: LinkKind, target: string) => void;

function name(kind: LinkKind, text: string, link: Linker): void {
  const target = canonicalName(text);
  if (target !== '') link(kind, target);
}

/** RFC 9460: `priority target params`; the target "." is the owner itself. */
function service(data: string, link: Linker): void {
  name(LINK.name, field(data, 1), link);
  for (const key of [' ipv4hint=', ' ipv6hint=']) {
    const at = data.indexOf(key);
    if (at < 0) continue;
    const end = data.indexOf(' ', at + key.length);
    const hints = data.slice(at + key.length, end < 0 ? undefined : end).split(',');
    for (const hint of hints) {
      const address = canonicalAddress(hint);
      if (address !== undefined) link(LINK.address, copy(address));
    }
  }
}

/** The field at `index` of fields separated by spaces: blanks in names are escaped. */
function field(data: string, index: number): string {
  return copy(data.split(' ', index + 1)[index] ?? '');
}

/** A piece of a string keeps the whole of it alive (V8's sliced strings); a copy does not. */
function copy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/**
 * ns that the answer's "there is nothing" may be kept: the lesser of the SOA's TTL and its MINIMUM (RFC 2308 section 5).
 * undefined: it is no such answer, or does not say for how long (no SOA of a zone that `denied` is in).
 */
export function negativeLifetime(message: DnsMessage, denied: string): number | undefined {
  if (message.truncated) return undefined;
  for (const record of message.authorities) {
    if (record.type !== RR_TYPES.SOA || (record.class & CLASS_BITS) !== CLASSES.IN) continue;
    const zone = canonicalName(record.name);
    if (zone !== '' && denied !== zone && !denied.endsWith(`.${zone}`)) continue;
    const minimum = Number(record.data.slice(record.data.lastIndexOf(' ') + 1));
    if (!Number.isInteger(minimum)) continue;
    return Math.min(lifetime(record), lifetime({ ...record, ttl: minimum }), MAX_NEGATIVE_TTL * SECOND);
  }
  return undefined;
}
