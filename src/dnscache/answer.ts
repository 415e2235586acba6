/** What the cache answers, and the two ways in which it cannot. */

/** The names of the fields are those of the known data source of this kind (`tracee/dns`). */
export interface DnsCacheAnswer {
  /** Addresses that the key leads to, or the key itself. */
  readonly ip_addresses: readonly string[];
  /** Names that lead to the key, the key where it is a name, and the names it leads to, in this order. */
  readonly dns_queries: readonly string[];
  /** The question that it came from: the one answered last where there are several. */
  readonly dns_root: string;
  /** The last lookup of `dns_root` got two answers that differ; this is the first. */
  readonly conflicting?: true;
  /** The key leads to no address, and this is why. */
  readonly negative?: NegativeAnswer;
}

/** RFC 2308: the name does not exist, or not with these types. */
export interface NegativeAnswer {
  /** The name denied: the key, or the end of its chain of aliases. */
  readonly name: string;
  /** NOERROR: the name exists, but has no records of these types. */
  readonly rcode: 'NXDOMAIN' | 'NOERROR';
  /** Types asked for. */
  readonly types: readonly string[];
  readonly dns_root: string;
  /** Unix ns. */
  readonly answeredAt: bigint;
  readonly expiresAt: bigint;
}

/** Why a key has no answer. */
export interface NotFound {
  readonly found: false;
  /** It was answered, but everything that was said of it has expired. */
  readonly expired: boolean;
  /** It was asked, and the answer was that there is nothing. */
  readonly negative: NegativeAnswer | undefined;
}

/** Nothing (any more) is known of the key in this scope; with `negative` it is known that there is nothing. */
export class DataNotFound extends Error {
  readonly code = 'DATA_NOT_FOUND';
  readonly key: string;
  readonly expired: boolean;
  readonly negative: NegativeAnswer | undefined;

  constructor(key: string, reason: Omit<NotFound, 'found'>) {
    super(`${JSON.stringify(key)} ${describe(reason)}`);
    this.name = 'DataNotFound';
    this.key = key;
    this.expired = reason.expired;
    this.negative = reason.negative;
  }
}

/** The key is neither a domain name nor an address. */
export class KeyNotSupported extends Error {
  readonly code = 'KEY_NOT_SUPPORTED';

  constructor(problem: string) {
    super(`the key ${problem}`);
    this.name = 'KeyNotSupported';
  }
}

function describe({ negative, expired }: Omit<NotFound, 'found'>): string {
  if (negative?.rcode === 'NXDOMAIN') return 'does not exist (NXDOMAIN)';
  if (negative !== undefined) return `has no ${negative.types.join(', ')} records (NOERROR)`;
  return expired ? 'has expired' : 'is not in the cache';
}
