/** Registered domains, and domains with all below them. */
import { getDomain } from 'tldts';
import { hashOf } from './statistics.ts';

/** The name comes from a DNS message, not from a URL. */
const OPTIONS = {
  allowPrivateDomains: true,
  extractHostname: false,
  mixedInputs: false,
  validateHostname: false,
  detectIp: false,
} as const;

/** Names asked for again and again are looked up once: a slot each by a seeded hash, the last one stays. */
const SLOTS = 2048;
/** Longer names are hardly asked for twice. */
const LONGEST_REPEATED = 64;
const names = new Array<string>(SLOTS).fill('');
const domains = new Array<string>(SLOTS).fill('');

/** '' when the name is a public suffix itself or has no dot. @param name lower case */
export function registeredDomain(name: string): string {
  if (name.length > LONGEST_REPEATED) return getDomain(name, OPTIONS) ?? '';
  const slot = hashOf(name) & (SLOTS - 1);
  if (names[slot] === name) return domains[slot] as string;
  const domain = getDomain(name, OPTIONS) ?? '';
  names[slot] = name;
  domains[slot] = domain;
  return domain;
}

/** Reverse look-ups, and what else stands below `arpa` (RFC 3172). */
export function isArpa(name: string): boolean {
  return name.endsWith('.arpa');
}

/** A set of domains, each with all names below it. */
export class Domains {
  readonly #names: ReadonlySet<string>;

  constructor(names: readonly string[]) {
    this.#names = new Set(names.map((name) => name.toLowerCase().replace(/^\*?\.|\.$/g, '')));
  }

  /** @param name lower case, no trailing dot */
  has(name: string): boolean {
    if (this.#names.size === 0) return false;
    if (this.#names.has(name)) return true;
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
      if (this.#names.has(name.slice(dot + 1))) return true;
    return false;
  }
}
