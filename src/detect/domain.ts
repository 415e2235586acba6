/** Registered domains, and domains with all below them. */
import { getDomain } from 'tldts';

/** The name comes from a DNS message, not from a URL. */
const OPTIONS = {
  allowPrivateDomains: true,
  extractHostname: false,
  mixedInputs: false,
  validateHostname: false,
  detectIp: false,
} as const;

/** '' when the name is a public suffix itself or has no dot. @param name lower case */
export function registeredDomain(name: string): string {
  return getDomain(name, OPTIONS) ?? '';
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
