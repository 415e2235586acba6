/** Values of a filter as its fields take them. Each throws where the word is none. */
import { parseAddress } from '../lib/address.ts';
import { nearest } from '../lib/nearest.ts';
import {
  type FilterField,
  type FilterFieldDefinition,
  type FilterFieldKind,
  filterField,
} from '../tables/filter-fields.ts';
import { RCODES } from '../tables/rcodes.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';
import type { FilterValue } from './ast.ts';
import { FilterSyntaxError, type Token } from './lex.ts';

/** ns. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
};
const MAX_REGEX = 512;
const IPV4_PREFIX = 96;
/** What only engines that go back can do (RE2 syntax). */
const NOT_LINEAR = /\(\?(?:[=!]|<[=!])|\\[1-9]|\\k/;

/** What is expected in the place of a value, for errors. */
export function expectedValue(field: FilterField): string {
  const { kind, words = [] } = filterField(field) as FilterFieldDefinition;
  return kind === 'word' ? words.join(', ') : EXPECTED[kind];
}

const EXPECTED: Readonly<Record<Exclude<FilterFieldKind, 'word'>, string>> = {
  name: 'a domain name, in which * and ? match',
  domain: 'a domain name',
  text: 'a text, in which * and ? match',
  number: 'a whole number',
  duration: 'a time with its unit: 500us, 50ms, 2s',
  address: 'an address or a block of addresses: 10.0.0.53, 10.0.0.0/8, 2001:db8::/32',
  data: 'an address, a block of addresses or a text',
  boolean: 'true or false',
  rrtype: 'a type: A, AAAA, MX, TYPE65',
  rcode: 'a response code: NXDOMAIN, SERVFAIL, 3',
};

export function fieldValue(field: FilterField, token: Token): FilterValue {
  const { kind, words = [] } = filterField(field) as FilterFieldDefinition;
  const { text } = token;
  switch (kind) {
    case 'name':
      return textValue(withoutDot(text.toLowerCase()), token);
    case 'text':
      return textValue(text, token);
    case 'domain':
      return { kind, domain: domainOf(field, token) };
    case 'number':
      return { kind, number: /^\d{1,15}$/.test(text) ? Number(text) : refuse(field, token) };
    case 'duration':
      return { kind: 'number', number: durationOf(text) ?? refuse(field, token) };
    case 'address':
      return addressOf(text) ?? refuse(field, token);
    case 'data':
      return (token.kind === 'word' ? addressOf(text) : undefined) ?? textValue(text, token);
    case 'boolean':
      return {
        kind,
        boolean:
          /^(?:true|yes)$/i.test(text) || (/^(?:false|no)$/i.test(text) ? false : refuse(field, token)),
      };
    case 'rrtype':
      return { kind: 'number', number: listed(RR_TYPES, 'TYPE', 0xffff, field, token) };
    case 'rcode':
      return { kind: 'number', number: listed(RCODES, 'RCODE', 0xfff, field, token) };
    case 'word':
      return { kind: 'text', text: wordOf(words, field, token), isPattern: false };
  }
}

export function regexValue(token: Token): FilterValue {
  const { text: source, flags = '' } = token;
  const refuseRegex = (why: string): never => {
    throw new FilterSyntaxError(why, token);
  };
  if (source === '') return refuseRegex('the regular expression is empty');
  if (source.length > MAX_REGEX)
    return refuseRegex(`the regular expression is longer than ${MAX_REGEX} characters`);
  if (flags !== '' && flags !== 'i')
    return refuseRegex(`a regular expression takes the flag i only, not ${flags}`);
  if (NOT_LINEAR.test(source))
    return refuseRegex(
      'look-around and back-references are not possible: matching takes linear time (RE2 syntax)',
    );
  try {
    new RegExp(source, 'u');
  } catch (error) {
    return refuseRegex(`not a regular expression: ${(error as Error).message.replace(/^.*: /, '')}`);
  }
  return { kind: 'regex', source, ignoreCase: flags === 'i' };
}

/** Quoted, it is what it is: no character matches others. */
function textValue(text: string, { kind }: Token): FilterValue {
  const isPattern = kind === 'word' && /[*?]/.test(text);
  return { kind: 'text', text, isPattern };
}

function withoutDot(name: string): string {
  return name.length > 1 && name.endsWith('.') && !name.endsWith('\\.') ? name.slice(0, -1) : name;
}

function domainOf(field: FilterField, token: Token): string {
  const domain = withoutDot(token.text.toLowerCase().replace(/^\*\./, ''));
  const isName = domain === '.' || (domain.length <= 1004 && /^[^\s.]+(?:\.[^\s.]+)*$/.test(domain));
  if (token.kind === 'word' && /[*?]/.test(domain))
    throw new FilterSyntaxError(
      `domain takes no * or ?: it is all below the domain; name=${token.text} matches`,
      token,
    );
  return isName ? domain : refuse(field, token);
}

function durationOf(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|μs|ms|s|m)$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * (UNITS[match[2] ?? ''] ?? Number.NaN);
  return value <= Number.MAX_SAFE_INTEGER ? Math.round(value) : undefined;
}

function addressOf(text: string): FilterValue | undefined {
  const match = /^([0-9a-f.:]{2,45})(?:\/(\d{1,3}))?$/i.exec(text);
  const bytes = match === null ? undefined : parseAddress(match[1] ?? '');
  if (match === null || bytes === undefined) return undefined;
  const first = match[1]?.includes(':') === true ? 0 : IPV4_PREFIX;
  const prefix = match[2] === undefined ? 128 : first + Number(match[2]);
  if (prefix > 128) return undefined;
  return { kind: 'address', bytes: Array.from(bytes, (byte, i) => byte & maskOf(prefix, i)), prefix };
}

/** Of byte `i` of an address those bits that the prefix has. */
function maskOf(prefix: number, i: number): number {
  return (0xff00 >> Math.min(Math.max(prefix - i * 8, 0), 8)) & 0xff;
}

function listed(
  names: Readonly<Record<string, number>>,
  unlisted: string,
  most: number,
  field: FilterField,
  token: Token,
): number {
  const name = token.text.toUpperCase();
  if (Object.hasOwn(names, name)) return names[name] as number;
  const digits = new RegExp(`^(?:${unlisted})?(\\d{1,5})$`).exec(name)?.[1];
  const number = digits === undefined ? Number.NaN : Number(digits);
  return number <= most ? number : refuse(field, token, nearest(name, Object.keys(names)));
}

function wordOf(words: readonly string[], field: FilterField, token: Token): string {
  const word = token.text.toLowerCase();
  return words.includes(word) ? word : refuse(field, token, nearest(word, words));
}

function refuse(field: FilterField, token: Token, meant?: string): never {
  const hint = meant === undefined ? `expected ${expectedValue(field)}` : `did you mean ${meant}?`;
  throw new FilterSyntaxError(`"${token.text}" is nothing that ${field} can be: ${hint}`, token);
}
