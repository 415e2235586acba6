/** Messages and lookups as the stages before give them, made from what a test states: the inverse of src/dns for a few types. */
import { Message } from '../../src/dns/message.ts';
import { parseAddress } from '../../src/lib/address.ts';
import { Envelope } from '../../src/lookup/envelope.ts';
import { EventView, LookupView } from '../../src/lookup/view.ts';
import type { DnsMessage, Edns, Lookup, Question, RawMessage, ResourceRecord } from '../../src/model.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';

export type MessageSpec = Partial<DnsMessage> & { readonly questions: readonly Question[] };

/** Bytes of a message. What `malformed` says is not made: give `bytes` of your own. */
export function messageBytes(spec: MessageSpec): Buffer {
  const flags =
    bit(spec.response, 0x8000) |
    ((spec.opcode ?? 0) << 11) |
    bit(spec.authoritative, 0x0400) |
    bit(spec.truncated, 0x0200) |
    bit(spec.recursionDesired, 0x0100) |
    bit(spec.recursionAvailable, 0x0080) |
    bit(spec.authenticData, 0x0020) |
    bit(spec.checkingDisabled, 0x0010) |
    ((spec.rcode ?? 0) & 15);
  const extended = (spec.rcode ?? 0) >> 4;
  const edns = spec.edns ?? (extended === 0 ? undefined : NO_EDNS);
  const { answers = [], authorities = [], additionals = [] } = spec;
  const opt = edns === undefined ? [] : [optBytes(edns, extended)];
  return Buffer.concat([
    u16(spec.id ?? 0, flags, spec.questionCount ?? spec.questions.length),
    u16(answers.length, authorities.length, additionals.length + opt.length),
    ...spec.questions.flatMap(({ name, type, class: of }) => [nameBytes(name), u16(type, of)]),
    ...[...answers, ...authorities, ...additionals].map(recordBytes),
    ...opt,
  ]);
}

const NO_EDNS: Pick<Edns, 'version' | 'udpSize' | 'do'> & Partial<Edns> = {
  version: 0,
  udpSize: 1232,
  do: false,
};

function bit(flag: boolean | undefined, value: number): number {
  return flag === true ? value : 0;
}

function u16(...values: number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >> 8, value & 255]));
}

function u32(value: number): Buffer {
  return u16(value >>> 16, value & 0xffff);
}

/** A name in presentation form, escapes included. */
export function nameBytes(name: string): Buffer {
  const parts: Buffer[] = [];
  if (name !== '.' && name !== '')
    for (const label of name.match(/(?:\\\d{3}|\\.|[^.\\])+/gs) ?? []) {
      const octets = unescaped(label);
      parts.push(Buffer.from([octets.length]), octets);
    }
  return Buffer.concat([...parts, Buffer.from([0])]);
}

function unescaped(text: string): Buffer {
  const bytes = Array.from(text.matchAll(/\\(\d{3})|\\(.)|([^\\])/gs), ([, decimal, escaped, plain]) =>
    decimal === undefined ? (escaped ?? plain ?? '').charCodeAt(0) : Number(decimal),
  );
  return Buffer.from(bytes);
}

function recordBytes({ name, type, class: of, ttl, data }: ResourceRecord): Buffer {
  const rdata = rdataBytes(type, data);
  return Buffer.concat([nameBytes(name), u16(type, of), u32(ttl), u16(rdata.length), rdata]);
}

function rdataBytes(type: number, data: string): Buffer {
  const generic = /^\\# \d+ ?([0-9a-f]*)$/i.exec(data);
  if (generic !== null) return Buffer.from(generic[1] ?? '', 'hex');
  const fields = data.split(' ');
  const field = (index: number): string => fields[index] ?? '';
  switch (type) {
    case RR_TYPES.A:
      return Buffer.from(parseAddress(data)?.subarray(12) ?? []);
    case RR_TYPES.AAAA:
      return Buffer.from(parseAddress(data) ?? []);
    case RR_TYPES.NS:
    case RR_TYPES.CNAME:
    case RR_TYPES.PTR:
    case RR_TYPES.DNAME:
      return nameBytes(data);
    case RR_TYPES.MX:
      return Buffer.concat([u16(Number(field(0))), nameBytes(field(1))]);
    case RR_TYPES.SRV:
      return Buffer.concat([u16(...fields.slice(0, 3).map(Number)), nameBytes(field(3))]);
    case RR_TYPES.SOA:
      return Buffer.concat([
        nameBytes(field(0)),
        nameBytes(field(1)),
        ...fields.slice(2).map((n) => u32(Number(n))),
      ]);
    case RR_TYPES.TXT:
      return Buffer.concat(
        (data.match(/"(?:\\.|[^"\\])*"/gs) ?? []).flatMap((quoted) => {
          const octets = unescaped(quoted.slice(1, -1));
          return [Buffer.from([octets.length]), octets];
        }),
      );
    case RR_TYPES.NULL: // RFC 1035 section 3.3.10: anything
      return Buffer.from(data, 'latin1');
    default:
      throw new Error(`no bytes for type ${type}: give the RFC 3597 form`);
  }
}

function optBytes(edns: typeof NO_EDNS, extended: number): Buffer {
  const options = (edns.options ?? []).map(({ code, data }) => ({ code, bytes: Buffer.from(data, 'hex') }));
  if (edns.clientSubnet !== undefined)
    options.push({
      code: 8,
      bytes: Buffer.from(subnetBytes(edns.clientSubnet, edns.clientSubnetScope ?? 0)),
    });
  for (const { code, text } of edns.extendedErrors ?? [])
    options.push({ code: 15, bytes: Buffer.concat([u16(code), Buffer.from(text)]) });
  const rdata = Buffer.concat(options.flatMap(({ code, bytes }) => [u16(code, bytes.length), bytes]));
  const flags = Buffer.from([extended, edns.version, edns.do ? 0x80 : 0, 0]);
  return Buffer.concat([Buffer.from([0]), u16(RR_TYPES.OPT, edns.udpSize), flags, u16(rdata.length), rdata]);
}

/** @param text `198.51.100.0/24` (RFC 7871) */
function subnetBytes(text: string, scope: number): Buffer {
  const [address = '', source = '0'] = text.split('/');
  const isV6 = address.includes(':');
  const whole = parseAddress(address) ?? new Uint8Array(16);
  const bytes = Buffer.from(whole.subarray(isV6 ? 0 : 12)).subarray(0, Math.ceil(Number(source) / 8));
  return Buffer.concat([u16(isV6 ? 2 : 1), Buffer.from([Number(source), scope]), bytes]);
}

/** Where a message was seen. */
export function envelopeOf(raw: Omit<RawMessage, 'payload'>): Envelope {
  return new Envelope().fill(raw);
}

export function messageOf(spec: MessageSpec, length?: number): Message {
  // Without an id: too short for a header.
  const bytes = messageBytes(spec).subarray(0, spec.id === -1 ? 1 : undefined);
  return new Message().parse(bytes, 0, bytes.length, length ?? bytes.length);
}

/** A lookup as a test states it, as the view that the pipeline hands over. */
export function viewOf(lookup: Lookup): LookupView {
  const part = ({ raw, message }: Lookup['request']) => new EventView(envelopeOf(raw), messageOf(message));
  const { request, response } = lookup;
  const view = new LookupView(
    lookup.process,
    part(request),
    response === undefined ? undefined : part(response),
  );
  view.hasResponse = response !== undefined;
  view.outcome = lookup.outcome;
  view.reason = lookup.reason;
  view.retries = lookup.retries;
  view.durationNs = lookup.duration === undefined ? -1 : Number(lookup.duration);
  view.search = lookup.search;
  view.conflictsWith = lookup.conflictsWith;
  return view;
}
