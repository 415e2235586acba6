/** The DNS cache: part of OPTIONS. */
import { integer, type Parsed } from '../lib/values.ts';
import { type Command, option, repeatable } from './option.ts';

export const DEFAULT_TREES = 5000;
export const NODES_PER_TREE = 16;

/** What `--dnscache help` prints. */
export const DNS_CACHE_HELP = `--dnscache takes these words, as a comma list or repeated; any of the first three switches the cache on:
  enable     remember the names and addresses of the answers seen
  size=N     query trees (questions with all that their answers led to) remembered, the least recently used goes first (default: ${DEFAULT_TREES})
  nodes=N    questions, names and addresses in all of them (default: ${NODES_PER_TREE} times the size)
  none       switch it off again, whatever stands before
  help       this list
`;

export interface DnsCacheLimits {
  readonly trees: number;
  readonly nodes: number;
}

/** One word. */
export interface DnsCacheWord {
  readonly isOn: boolean;
  readonly limits: Partial<DnsCacheLimits>;
}

const NUMBERS = {
  'size=': { key: 'trees', parse: integer(1, 1_000_000) },
  'nodes=': { key: 'nodes', parse: integer(2, 10_000_000) },
} as const;

export const DNS_CACHE_OPTIONS = {
  dnsCache: repeatable<readonly DnsCacheWord[]>({
    flag: '--dnscache <words>',
    repeatable: true,
    commands: ['run'] satisfies Command[],
    env: ['WHODNS_DNSCACHE'],
    description: 'remember names and addresses of answers: enable, size=N, nodes=N; help prints the options',
    parse: words,
    default: undefined,
    shownDefault: 'none',
  }),
  scope: option<string | undefined>({
    flag: '--scope <scope>',
    commands: ['cache'],
    description: 'whose answers count: host, netns=INODE, container=ID, pid=PID',
    parse: (text) =>
      SCOPE.test(text) ? { value: text } : { problem: 'is not host, netns=INODE, container=ID or pid=PID' },
    default: undefined,
    shownDefault: 'host',
  }),
} as const;

/** An id may be cut to its first 12 digits, as runtimes show it. */
const SCOPE = /^(?:host|netns=\d{1,10}|container=[\w.-]{1,128}|pid=\d{1,10})$/;

function words(text: string): Parsed<readonly DnsCacheWord[]> {
  const found: DnsCacheWord[] = [];
  for (const part of text.split(',')) {
    const parsed = word(part.trim());
    if ('problem' in parsed) return parsed;
    found.push(parsed.value);
  }
  return { value: found };
}

function word(text: string): Parsed<DnsCacheWord> {
  if (text === 'enable' || text === 'none') return { value: { isOn: text === 'enable', limits: {} } };
  for (const [prefix, { key, parse }] of Object.entries(NUMBERS)) {
    if (!text.startsWith(prefix)) continue;
    const parsed = parse(text.slice(prefix.length));
    if ('problem' in parsed) return { problem: `${prefix.slice(0, -1)} ${parsed.problem}` };
    return { value: { isOn: true, limits: { [key]: parsed.value } } };
  }
  return { problem: 'is not made of enable, size=N, nodes=N; see --dnscache help' };
}

/** All words in order; undefined: no cache. */
export function dnsCacheLimits(
  given: readonly (readonly DnsCacheWord[])[] | undefined,
): DnsCacheLimits | undefined {
  let limits: Partial<DnsCacheLimits> | undefined;
  for (const { isOn, limits: more } of given?.flat() ?? [])
    limits = isOn ? { ...limits, ...more } : undefined;
  if (limits === undefined) return undefined;
  const trees = limits.trees ?? DEFAULT_TREES;
  return { trees, nodes: limits.nodes ?? trees * NODES_PER_TREE };
}
