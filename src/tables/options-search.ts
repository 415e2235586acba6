/** What is searched for: part of OPTIONS. */
import { boolean, duration, integer, oneOf, type Parsed } from '../lib/values.ts';
import { type Command, option } from './option.ts';

const SEARCH: readonly Command[] = ['search'];
const YEAR_MS = 365 * 86_400_000;
const MAX_LIMIT = 10_000;

export const SEARCH_HELP = `
WHAT is one of
  www.shop.example        this name                    203.0.113.66       an address: in an answer, of a server,
  '*.shop.example'        every name below                                of a connection
  'ad?-*.example'          * and ? match                203.0.113.66:443   connections to it; [2001:db8::1]:443
  /^ads?[0-9]/            names that it matches (RE2)

Examples:
  whodns search evil.example --since 10m           who asked for it, and what they connected to afterwards
  whodns search 203.0.113.66:443 --local-port 41215  a line of a firewall's log: process, name, age of the answer
  whodns search --process curl --failed            what failed for curl
  whodns search '*.internal' --format csv          for a spreadsheet
  whodns search --follow --rcode NXDOMAIN          as it comes

Exit codes: 0 something was found; 3 nothing was; 1 there is no history to search, or no right; 2 bad usage.`;

export const SEARCH_OPTIONS = {
  searchIn: option<string | undefined>({
    flag: '--in <file>',
    commands: SEARCH,
    description:
      'search this file: a capture (pcap, pcapng), or records (OTLP/JSON lines, as otlp-file:PATH writes); - is standard input',
    parse: text,
    default: undefined,
    shownDefault: 'the history',
  }),
  since: option<string | undefined>({
    flag: '--since <time>',
    commands: SEARCH,
    description: 'from then on: 10m (ago), 2d, 2026-01-31T09:25 (local), ...Z (UTC), Unix seconds',
    parse: time,
    default: undefined,
    shownDefault: 'all',
  }),
  until: option<string | undefined>({
    flag: '--until <time>',
    commands: SEARCH,
    description: 'up to then, as --since',
    parse: time,
    default: undefined,
    shownDefault: 'now',
  }),
  processName: option<string | undefined>({
    flag: '--process <name>',
    commands: SEARCH,
    description: 'name of the executable; * matches',
    parse: text,
    default: undefined,
  }),
  user: option<string | undefined>({
    flag: '--user <user>',
    commands: SEARCH,
    description: 'name or number of the user',
    parse: text,
    default: undefined,
  }),
  pod: option<string | undefined>({
    flag: '--pod <pod>',
    commands: SEARCH,
    description: 'POD or NAMESPACE/POD; * matches',
    parse: text,
    default: undefined,
  }),
  rcode: option<string | undefined>({
    flag: '--rcode <code>',
    commands: SEARCH,
    description: 'response code (NXDOMAIN), or how else it ended (timeout)',
    parse: text,
    default: undefined,
  }),
  questionType: option<string | undefined>({
    flag: '--type <type>',
    commands: SEARCH,
    description: 'type of the question: A, MX, TYPE65',
    parse: text,
    default: undefined,
  }),
  minLatencyMs: option<number | undefined>({
    flag: '--min-latency <duration>',
    commands: SEARCH,
    description: 'answers that took this long or longer: 50ms',
    parse: duration(0, YEAR_MS),
    default: undefined,
  }),
  localPort: option<number | undefined>({
    flag: '--local-port <port>',
    commands: SEARCH,
    description: 'of connections: the source port',
    parse: integer(1, 65_535),
    default: undefined,
  }),
  onlyFindings: option<boolean>({
    flag: '--findings',
    commands: SEARCH,
    description: 'what detectors found, in place of lookups (--process, --pid, --since narrow it)',
    parse: boolean,
    default: false,
  }),
  limit: option<number>({
    flag: '--limit <count>',
    short: '-n',
    commands: SEARCH,
    description: `rows at most, the newest; up to ${MAX_LIMIT}`,
    parse: integer(1, MAX_LIMIT),
    default: 100,
  }),
  follow: option<boolean>({
    flag: '--follow',
    short: '-f',
    commands: SEARCH,
    description: 'then what comes, until it is interrupted',
    parse: boolean,
    default: false,
  }),
  searchFormat: option<'table' | 'json' | 'csv'>({
    flag: '--format <format>',
    short: '-o',
    commands: SEARCH,
    description: 'table, json (one object a line), csv',
    parse: oneOf('table', 'json', 'csv'),
    default: 'table',
  }),
} as const;

function text(given: string): Parsed<string> {
  return given.trim() === '' ? { problem: 'is empty' } : { value: given };
}

function time(given: string): Parsed<string> {
  return timeOf(given, 0) === undefined
    ? { problem: 'is no time: 10m (ago), 2d, 2026-01-31T09:25, 2026-01-31T09:25:34Z, Unix seconds' }
    : { value: given };
}

/** @param now Unix ms @returns Unix µs; undefined: it is no time */
export function timeOf(given: string, now: number): number | undefined {
  const ago = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(given);
  if (ago !== null) {
    const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[ago[2] ?? ''] ?? 0;
    return Math.round((now - Number(ago[1]) * unit) * 1000);
  }
  if (/^\d{9,10}(?:\.\d{1,6})?$/.test(given)) return Math.round(Number(given) * 1e6);
  if (!/^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/.test(given))
    return undefined;
  const date = Date.parse(given.length === 10 ? `${given}T00:00` : given.replace(' ', 'T'));
  return Number.isNaN(date) ? undefined : date * 1000;
}
