/** What a key or a name of a message is looked up as. */
import { domainToASCII } from 'node:url';
import { canonicalAddress, formatIPv6 } from '../lib/address.ts';
import { KeyNotSupported } from './answer.ts';

/** 255 octets, each at most four characters (dns/name.ts). */
const MAX_CHARACTERS = 1020;
const DOT = 0x2e;
const V4_SUFFIX = '.in-addr.arpa';
const V6_SUFFIX = '.ip6.arpa';

export interface Key {
  readonly text: string;
  readonly isAddress: boolean;
}

/** Names compare without case (RFC 4343) and without the final dot; '' is the root, which is no name that leads anywhere. */
export function canonicalName(name: string): string {
  const isAbsolute = name.charCodeAt(name.length - 1) === DOT && name.charCodeAt(name.length - 2) !== 0x5c;
  return (isAbsolute ? name.slice(0, -1) : name).toLowerCase();
}

/** @throws KeyNotSupported */
export function parseKey(key: unknown): Key {
  if (typeof key !== 'string') throw new KeyNotSupported(`is of type ${typeof key}, not a string`);
  const trimmed = key.trim();
  if (trimmed.length > MAX_CHARACTERS) throw new KeyNotSupported('is longer than a domain name can be');
  const address = canonicalAddress(trimmed);
  if (address !== undefined) return { text: address, isAddress: true };
  const name = canonicalName(toAscii(trimmed));
  if (name === '') throw new KeyNotSupported('is empty');
  const reversed = addressOfReverseName(name);
  return reversed === undefined ? { text: name, isAddress: false } : { text: reversed, isAddress: true };
}

/** Names on the wire are ASCII: a name typed in another script is looked up as its punycode (UTS 46). */
function toAscii(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII is meant
  if (/^[\x00-\x7f]*$/.test(name)) return name;
  const ascii = domainToASCII(name);
  if (ascii === '') throw new KeyNotSupported('is not a domain name');
  return ascii;
}

/** The address that a canonical name under in-addr.arpa or ip6.arpa stands for, if it is a whole one (RFC 1035 section 3.5, RFC 3596 section 2.5). */
export function addressOfReverseName(name: string): string | undefined {
  if (!name.endsWith('.arpa')) return undefined;
  if (name.endsWith(V4_SUFFIX)) {
    const address = name.slice(0, -V4_SUFFIX.length).split('.').reverse().join('.');
    return canonicalAddress(address);
  }
  if (!name.endsWith(V6_SUFFIX)) return undefined;
  const nibbles = name.slice(0, -V6_SUFFIX.length).split('.').reverse().join('');
  if (name.length !== 63 + V6_SUFFIX.length || !/^[0-9a-f]{32}$/.test(nibbles)) return undefined;
  return canonicalAddress(formatIPv6(Buffer.from(nibbles, 'hex'), 0));
}
