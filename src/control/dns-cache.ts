/** `whodns cache get KEY` and `whodns cache list [DOMAIN]`: what the agent answers, and how it is shown. */
import {
  DataNotFound,
  type DnsCacheAnswer,
  KeyNotSupported,
  type NegativeAnswer,
} from '../dnscache/answer.ts';
import type { DnsCache, DnsCacheStats, DnsCacheTree } from '../dnscache/cache.ts';
import type { Learnt } from '../dnscache/learnt.ts';
import { parseScope } from '../dnscache/scope.ts';
import { EXIT, UserError } from '../lib/errors.ts';
import { forTerminal } from '../lib/escape.ts';
import { ControlError } from './answers.ts';

const MAX_LISTED = 1000;
/** Names and addresses shown of one tree in a table. */
const MAX_SHOWN = 4;
/** Of all realms. */
const MAX_LEARNT = 256;

/** `get` without an answer, as JSON; expected, so no failure of the route. */
export interface CacheFailure {
  readonly error: {
    readonly code: DataNotFound['code'] | KeyNotSupported['code'];
    readonly message: string;
    readonly expired?: boolean;
    readonly negative?: NegativeAnswer | undefined;
    readonly learnt?: readonly Learnt[];
  };
}

export type CacheAnswer = DnsCacheAnswer & { readonly learnt: readonly Learnt[] };

export interface CacheList {
  readonly stats: DnsCacheStats;
  /** The most recently used first, at most 1000. */
  readonly trees: readonly DnsCacheTree[];
}

/** @throws ControlError */
export function answerCache(
  cache: DnsCache | undefined,
  query: URLSearchParams,
): CacheAnswer | CacheFailure | CacheList {
  if (cache === undefined)
    throw new ControlError('unavailable', 'this agent keeps no DNS cache; start it with --dnscache enable');
  const key = query.get('key');
  switch (query.get('action')) {
    case 'get':
      if (key === null) throw new ControlError('bad-request', 'which key? whodns cache get KEY');
      return get(cache, key, query.get('scope') ?? 'host');
    case 'list':
      return { stats: cache.stats(), trees: cache.list(MAX_LISTED, key ?? '') };
    default:
      throw new ControlError('bad-request', 'whodns cache takes "get KEY" or "list [DOMAIN]"');
  }
}

function get(cache: DnsCache, key: string, scopeText: string): CacheAnswer | CacheFailure {
  const scope = parseScope(scopeText);
  if (scope === undefined)
    throw new ControlError('bad-request', 'the scope is host, netns=INODE, container=ID or pid=PID');
  try {
    return { ...cache.get(key, scope), learnt: cache.learnt(key, scope).slice(0, MAX_LEARNT) };
  } catch (error) {
    if (error instanceof KeyNotSupported) return { error: { code: error.code, message: error.message } };
    if (!(error instanceof DataNotFound)) throw error;
    const { code, message, expired, negative } = error;
    const learnt = cache.learnt(key, scope).slice(0, MAX_LEARNT);
    return { error: { code, message, expired, negative, learnt } };
  }
}

export function cacheExit(answer: unknown): number {
  const { error } = answer as Partial<CacheFailure>;
  if (error === undefined) return EXIT.ok;
  return error.code === 'KEY_NOT_SUPPORTED' ? EXIT.usage : EXIT.unavailable;
}

/** The answer for a terminal. @throws UserError: there is none */
export function cacheTable(answer: unknown): string {
  const given = answer as CacheAnswer | CacheFailure | CacheList;
  if ('error' in given) {
    const hint = (given.error.learnt ?? []).map((each) => forTerminal(learntText(each))).join('\n');
    throw new UserError(given.error.message, {
      exitCode: cacheExit(given),
      ...(hint === '' ? {} : { hint }),
    });
  }
  return 'trees' in given ? listTable(given) : answerTable(given);
}

function answerTable({ ip_addresses, dns_queries, dns_root, negative, learnt }: CacheAnswer): string {
  const rows = [
    ['question', dns_root],
    ...dns_queries.map((name, index) => [index === 0 ? 'names' : '', name]),
    ...ip_addresses.map((address, index) => [index === 0 ? 'addresses' : '', address]),
  ];
  if (negative !== undefined)
    rows.push(['negative', `${negative.name}: ${negative.rcode} for ${negative.types.join(', ')}`]);
  rows.push(...learnt.map((each, index) => [index === 0 ? 'learnt' : '', learntText(each)]));
  return lines(rows);
}

function learntText({ from, to, pid, networkNamespace, containerId, expiresAt }: Learnt): string {
  const left = secondsTo(expiresAt);
  const isGood = BigInt(expiresAt) > BigInt(Date.now()) * 1_000_000n;
  const who = [
    pid === undefined ? 'process unknown' : `pid ${pid}`,
    `netns ${networkNamespace}`,
    ...(containerId === undefined ? [] : [`container ${containerId.slice(0, 12)}`]),
  ];
  const until = isGood ? `${left} s left` : `expired ${-left} s ago`;
  return `${from} -> ${to} (${who.join(', ')}): ${until}`;
}

/** JSON has it as text. */
function secondsTo(time: bigint): bigint {
  return (BigInt(time) - BigInt(Date.now()) * 1_000_000n) / 1_000_000_000n;
}

function listTable({ trees, stats }: CacheList): string {
  const rows = trees.map(({ question, names, addresses, networkNamespace, containerId, expiresAt }) => [
    question,
    shortened([...names, ...addresses]),
    String(secondsTo(expiresAt)),
    String(networkNamespace),
    containerId?.slice(0, 12) ?? '-',
  ]);
  rows.unshift(['QUESTION', 'LEADS TO', 'TTL LEFT', 'NETNS', 'CONTAINER']);
  const more = trees.length < MAX_LISTED ? '' : `the ${MAX_LISTED} most recently used of ${stats.trees}\n`;
  return `${lines(rows)}${more}`;
}

function shortened(values: readonly string[]): string {
  if (values.length === 0) return '(nothing)';
  const shown = values.slice(0, MAX_SHOWN).join(' ');
  return values.length > MAX_SHOWN ? `${shown} and ${values.length - MAX_SHOWN} more` : shown;
}

function lines(rows: readonly (readonly string[])[]): string {
  const safe = rows.map((row) => row.map(forTerminal));
  const widths = (safe[0] ?? []).map((_, column) => Math.max(...safe.map((row) => row[column]?.length ?? 0)));
  return safe
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
