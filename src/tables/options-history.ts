/** What is kept on this host, and how it is searched: part of OPTIONS. */
import { resolve } from 'node:path';
import { bytes, duration } from '../lib/values.ts';
import { type Command, option } from './option.ts';

const CAPTURE: readonly Command[] = ['run', 'replay'];
export const DEFAULT_HISTORY = '/var/lib/whodns';
/** Nothing is written: the last 100 000 lookups. */
export const MEMORY_HISTORY = ':memory:';
const DAY = 86_400_000;

export const HISTORY_OPTIONS = {
  history: option<string | undefined>({
    flag: '--history [dir]',
    commands: [...CAPTURE, 'search'],
    env: ['WHODNS_HISTORY'],
    description: `keep lookups, connections and findings in this directory, for whodns search; without DIR ${DEFAULT_HISTORY}`,
    parse: directory,
    default: undefined,
    shownDefault: 'none is kept',
  }),
  historyBytes: option<number>({
    flag: '--history-bytes <bytes>',
    commands: CAPTURE,
    env: ['WHODNS_HISTORY_BYTES'],
    description: 'bytes of its files, 16M to 1024G; when it is full the oldest eighth goes',
    parse: bytes(16 * 1024 ** 2, 1024 ** 4),
    default: 256 * 1024 ** 2,
    shownDefault: '256M',
  }),
  historyAgeMs: option<number>({
    flag: '--history-age <duration>',
    commands: CAPTURE,
    env: ['WHODNS_HISTORY_AGE'],
    description: 'how long it is kept, 1m to 8760h; up to an eighth longer',
    parse: duration(60_000, 365 * DAY),
    default: 7 * DAY,
    shownDefault: '168h',
  }),
} as const;

function directory(text: string): { readonly value: string } | { readonly problem: string } {
  if (text.includes('\0')) return { problem: 'is not a path' };
  if (text === '' || text === 'true') return { value: DEFAULT_HISTORY };
  return { value: text === MEMORY_HISTORY ? text : resolve(text) };
}
