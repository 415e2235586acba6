/** EDNS(0) of a lookup as attributes: the numbers of the request are those of few resolvers, options that are shown are rare. */
import type { Message } from '../dns/message.ts';
import type { LookupView } from '../lookup/view.ts';
import type { Edns } from '../model.ts';
import type { ProtobufWriter } from '../otlp/encode.ts';
import { EDNS_OPTIONS } from '../tables/edns.ts';
import { AttributeKey, attributeRun, KeptRun } from './attribute-writer.ts';
import { bounded } from './record-common.ts';

/** A power of two. Numbers that fall on the same slot drive each other out. */
const SLOTS = 64;
/** Bytes of the longest run: three keys of 20 characters, numbers, tags and lengths. */
const MAX_RUN = 128;
const MAX_ERRORS = 100;

const VERSION = new AttributeKey('whodns.edns.version');
const SIZE = new AttributeKey('whodns.edns.udp_size');
const DO = [attributeRun('whodns.edns.do', false), attributeRun('whodns.edns.do', true)] as const;
const CLIENT_SUBNET = new AttributeKey('whodns.edns.client_subnet');
const SUBNET_SCOPE = new AttributeKey('whodns.edns.client_subnet_scope');
const ERRORS = new AttributeKey('whodns.edns.errors');

/** Version, size and DO bit as bytes. */
class Numbers extends KeptRun {
  version = -1;
  udpSize = -1;
  dnssecOk = -1;
}

const slots = new Array<Numbers | undefined>(SLOTS).fill(undefined);

export function writeEdns(writer: ProtobufWriter, { request, answer, hasResponse }: LookupView): void {
  const { message } = request;
  const asked = subnetOf(message)?.clientSubnet;
  if (message.hasEdns) {
    writeNumbers(writer, message);
    if (asked !== undefined) CLIENT_SUBNET.text(writer, asked);
  }
  if (!hasResponse || !answer.message.hasEdns) return;
  const told = subnetOf(answer.message);
  // RFC 7871 section 7.3: an answer about another subnet than was asked for says nothing.
  if (told?.clientSubnetScope !== undefined && told.clientSubnet === asked)
    SUBNET_SCOPE.integer(writer, told.clientSubnetScope);
  if (hasOption(answer.message, EDNS_OPTIONS['Extended-DNS-Error'])) writeErrors(writer, answer.message);
}

function writeNumbers(writer: ProtobufWriter, { ednsVersion, ednsUdpSize, ednsDo }: Message): void {
  const slot = (ednsUdpSize ^ (ednsUdpSize >>> 6) ^ (ednsDo << 5) ^ ednsVersion) & (SLOTS - 1);
  const known = slots[slot] ?? new Numbers(MAX_RUN);
  if (known.udpSize === ednsUdpSize && known.dnssecOk === ednsDo && known.version === ednsVersion) {
    known.write(writer);
    return;
  }
  const start = writer.position;
  VERSION.integer(writer, ednsVersion);
  SIZE.integer(writer, ednsUdpSize);
  writer.raw(DO[ednsDo] as Uint8Array);
  known.keep(writer, start);
  known.version = ednsVersion;
  known.udpSize = ednsUdpSize;
  known.dnssecOk = ednsDo;
  slots[slot] = known;
}

function writeErrors(writer: ProtobufWriter, { edns }: Message): void {
  const errors = edns?.extendedErrors ?? [];
  if (errors.length === 0) return;
  const texts = errors.slice(0, MAX_ERRORS).map(({ code, text }) => bounded(`${code} ${text}`.trimEnd()));
  ERRORS.texts(writer, texts);
}

/** Most messages have none, and those are not decoded. */
function subnetOf(message: Message): Edns | undefined {
  return hasOption(message, EDNS_OPTIONS['edns-client-subnet']) ? message.edns : undefined;
}

function hasOption({ bytes, base, hasEdns, ednsStart, ednsEnd }: Message, code: number): boolean {
  if (!hasEdns) return false;
  const end = base + ednsEnd;
  for (let at = base + ednsStart; at + 4 <= end; ) {
    if ((((bytes[at] as number) << 8) | (bytes[at + 1] as number)) === code) return true;
    at += 4 + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
  }
  return false;
}
