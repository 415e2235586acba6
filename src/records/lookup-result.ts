/** What a series says of the lookups in it, besides whose they are: as a number for each lookup, as attributes for a new series. */
import { FIELD_BITS } from '../lookup/fields.ts';
import type { LookupView } from '../lookup/view.ts';
import type { Attributes, AttributeValue, Outcome, ProcessIdentity } from '../model.ts';
import { OPCODES, opcodeName } from '../tables/classes.ts';
import { RCODES } from '../tables/rcodes.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';
import { errorName } from './lookup-attributes.ts';

const OUTCOMES: readonly Outcome[] = [
  'answered',
  'timeout',
  'sent',
  'unknown',
  'connection_refused',
  'host_unreachable',
  'network_unreachable',
];
/** Bits below the number of type and code: outcome, transport, error. */
const BITS = 5;
const TCP = 2;
const ERROR = 1;

/** Anyone can send any of 65 536 types and 4096 codes: those that IANA does not list share one value. */
const UNLISTED = '_OTHER';

/** Numbers of what IANA lists: 0 is that there is none, 1 what is not listed. */
class Listed {
  readonly names: readonly (string | undefined)[];
  readonly #numbers: Uint8Array;

  constructor(names: Readonly<Record<string, number>>, values: number) {
    this.names = [undefined, UNLISTED, ...Object.keys(names)];
    this.#numbers = new Uint8Array(values).fill(1);
    for (const [index, value] of Object.values(names).entries()) this.#numbers[value] = index + 2;
  }

  /** @param value -1: there is none */
  numberOf(value: number): number {
    return value < 0 ? 0 : (this.#numbers[value] as number);
  }

  nameOf(value: number): string | undefined {
    return this.names[this.numberOf(value)];
  }
}

const TYPES = new Listed(RR_TYPES, 0x1_0000);
const CODES = new Listed(RCODES, 0x1000);
/** Above every result. */
export const RESULTS = (TYPES.names.length * CODES.names.length) << BITS;

/** Of a QUERY. @param isError whether the record has an `error.type` */
export function resultOf(lookup: LookupView, isError: boolean): number {
  const { raw } = lookup.request;
  const type = TYPES.numberOf(lookup.asked.questionType);
  const code = CODES.numberOf(rcodeOf(lookup));
  const bits =
    (OUTCOMES.indexOf(lookup.outcome) << 2) | (raw.has(FIELD_BITS.TCP) ? TCP : 0) | (isError ? ERROR : 0);
  return ((type * CODES.names.length + code) << BITS) | bits;
}

/** The same for all lookups with one result. */
export function resultAttributes(lookup: LookupView, isError: boolean): Attributes {
  const { request, outcome, asked } = lookup;
  const { opcode } = request.message;
  const rcode = rcodeOf(lookup);
  return defined({
    'dns.op_code': opcode > OPCODES.QUERY ? opcodeLabel(opcode) : undefined,
    'dns.question.type': TYPES.nameOf(asked.questionType),
    'dns.response_code': CODES.nameOf(rcode),
    'error.type': isError ? (rcode < 0 ? outcome : errorName(rcode)) : undefined,
    'network.transport': request.raw.transport,
    'whodns.outcome': outcome === 'unknown' ? outcome : undefined,
  });
}

function opcodeLabel(opcode: number): string {
  const name = opcodeName(opcode);
  return name in OPCODES ? name : UNLISTED;
}

function rcodeOf({ hasResponse, answer }: LookupView): number {
  return hasResponse ? answer.message.rcode : -1;
}

function defined(attributes: Readonly<Record<string, AttributeValue | undefined>>): Attributes {
  return pick(attributes, Object.keys(attributes));
}

/** Without what a user says of his own containers: a series has no place to mark it. */
export function measuredOf({ resource, attribution }: ProcessIdentity, names: readonly string[]): Attributes {
  const isClaim = attribution === 'unverified';
  return pick(resource, isClaim ? names.filter((name) => !name.startsWith('container.')) : names);
}

/** The attributes of these names that there are. */
export function pick(
  from: Readonly<Record<string, AttributeValue | undefined>>,
  names: readonly string[],
): Attributes {
  const picked: Record<string, AttributeValue> = {};
  for (const name of names) {
    const value = from[name];
    if (value !== undefined && value !== '') picked[name] = value;
  }
  return picked;
}
