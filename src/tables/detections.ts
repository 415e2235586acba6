/**
 * The built-in detection rules as data: what each finds, how severe that is, its settings with their defaults and bounds.
 * `--detect`, `--detect-set` and docs/detections.md are made from it; src/detect/rules/ has the code, one file a rule.
 */
import { duration, integer, type Parsed, type Parser } from '../lib/values.ts';

export type FindingSeverity = 'info' | 'warn' | 'error';

/** A number is whole unless `step` is `fraction`; a duration is in milliseconds; a list grows with each value given. */
export type SettingDefinition =
  | NumberSetting
  | { readonly kind: 'list'; readonly default: readonly string[]; readonly description: string }
  | { readonly kind: 'file'; readonly default: string; readonly description: string };

export interface NumberSetting {
  readonly kind: 'count' | 'fraction' | 'duration';
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly description: string;
}

export interface RuleDefinition {
  readonly severity: FindingSeverity;
  readonly description: string;
  readonly settings: Readonly<Record<string, SettingDefinition>>;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const RULES = {
  tunnel: {
    severity: 'error',
    description:
      'Data carried in names or in TXT and NULL answers: one process asks for many long, ever new names below one registered domain.',
    settings: {
      window: time(5 * SECOND, SECOND, 10 * MINUTE, 'time over which the rates are taken'),
      rate: count(50, 1, 1_000_000, 'lookups a second below one registered domain'),
      distinct: fraction(0.8, 0, 1, 'share of names that are new in the window'),
      length: count(20, 1, 255, 'mean characters in front of the registered domain'),
      entropy: fraction(3, 0, 8, 'bits a character of what stands in front of it'),
      payload: count(
        4096,
        64,
        1_000_000_000,
        'bytes a second of TXT, NULL and private-type answers to new names',
      ),
      exclude: list([], 'domains that are not looked at, with all below'),
    },
  },
  'new-domain-connect': {
    severity: 'warn',
    description:
      'A registered domain that this workload never asked for before is resolved and connected to within seconds, by a workload that had settled.',
    settings: {
      learning: time(DAY, 0, 30 * DAY, 'how long a workload is watched before it can have settled'),
      'settled-domains': count(
        3,
        0,
        1000,
        'new domains in the last learning period above which it has not settled',
      ),
      within: time(10 * SECOND, 100, 10 * MINUTE, 'time from the answer to the connection'),
      exclude: list([], 'domains that are never new, with all below'),
    },
  },
  'non-cluster-domain': {
    severity: 'warn',
    description: 'A workload declared internal asks for a name outside the domains of the cluster.',
    settings: {
      internal: list(
        [],
        'who is internal: RESOURCE-ATTRIBUTE=VALUE, e.g. k8s.namespace.name=payments; any one suffices',
      ),
      domains: list(
        ['cluster.local', 'in-addr.arpa', 'ip6.arpa'],
        'domains of the cluster, with all below; given ones are added',
      ),
    },
  },
  'nxdomain-burst': {
    severity: 'warn',
    description:
      'Most lookups of a process fail with NXDOMAIN, many a second: generated domains or a misconfiguration, told apart by how the names look. What a search list makes fail does not count.',
    settings: {
      window: time(10 * SECOND, SECOND, 10 * MINUTE, 'time over which it is counted'),
      count: count(50, 2, 1_000_000, 'NXDOMAIN answers in it'),
      share: fraction(0.8, 0, 1, 'their share of all answers'),
      entropy: fraction(4.4, 0, 8, 'bits a character of all labels together from which names look generated'),
      exclude: list([], 'domains that are not looked at, with all below'),
    },
  },
  'unknown-binary': {
    severity: 'error',
    description:
      'A lookup by an executable that was deleted, lives in memory only, lies under a path that everyone can write to, was added to its container image, or is not on a list.',
    settings: {
      paths: list(
        ['/tmp', '/var/tmp', '/dev/shm', '/run/user', '/run/lock'],
        'directories where no executable should be; given ones are added',
      ),
      allow: list([], 'executables or directories that are never reported'),
      only: list([], 'executables or directories besides which everything is reported'),
    },
  },
  'rogue-resolver': {
    severity: 'warn',
    description:
      'A query to a name server that the resolv.conf of the process does not name, by a process that is no name server itself.',
    settings: {
      servers: list([], 'further addresses that may be asked'),
    },
  },
  'encrypted-dns': {
    severity: 'warn',
    description:
      'A connection to port 853 (DNS over TLS) or to a known DNS-over-HTTPS endpoint, past the configured resolver.',
    settings: {
      endpoints: {
        kind: 'file',
        default: '',
        description: 'list of DNS-over-HTTPS names and addresses in place of data/doh-endpoints.txt',
      },
      allow: list([], 'addresses that may be connected to'),
    },
  },
} as const satisfies Readonly<Record<string, RuleDefinition>>;

export type RuleName = keyof typeof RULES;

type ValueOf<S> = S extends { readonly kind: 'list' }
  ? readonly string[]
  : S extends { readonly kind: 'file' }
    ? string
    : number;
/** What the code of a rule gets. */
export type SettingsOf<Name extends RuleName> = {
  readonly [Key in keyof (typeof RULES)[Name]['settings']]: ValueOf<(typeof RULES)[Name]['settings'][Key]>;
};

/** `RULE.KEY=VALUE` taken apart. */
export interface GivenSetting {
  readonly rule: string;
  readonly key: string;
  readonly text: string;
}

/** Value of one setting; a list has one element. */
export function parseSetting(definition: SettingDefinition, text: string): Parsed<number | string> {
  if (definition.kind === 'list' || definition.kind === 'file') return plainText(text);
  return numberParser(definition)(text);
}

function numberParser({ kind, min, max }: NumberSetting): Parser<number> {
  if (kind === 'count') return integer(min, max);
  if (kind === 'duration') return duration(min, max);
  return (text) => {
    const value = /^\d{1,4}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? { value } : { problem: `is not a number from ${min} to ${max}` };
  };
}

function plainText(text: string): Parsed<string> {
  if (text === '' || text.length > 4096 || text.includes('\0')) return { problem: 'is empty or too long' };
  return { value: text };
}

function count(fallback: number, min: number, max: number, description: string): NumberSetting {
  return { kind: 'count', default: fallback, min, max, description };
}

function fraction(fallback: number, min: number, max: number, description: string): NumberSetting {
  return { kind: 'fraction', default: fallback, min, max, description };
}

function time(fallback: number, min: number, max: number, description: string): NumberSetting {
  return { kind: 'duration', default: fallback, min, max, description };
}

function list(fallback: readonly string[], description: string) {
  return { kind: 'list', default: fallback, description } as const;
}
