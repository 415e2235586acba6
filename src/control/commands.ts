/** Commands that ask a running agent: one entry is a command of the command line. */

import { forTerminal, safeJson } from '../lib/escape.ts';
import type { ClientCommand } from '../tables/options.ts';
import { cacheExit, cacheTable } from './dns-cache.ts';
import { statsTable } from './stats-table.ts';
import { visibilityTable } from './visibility-table.ts';

export interface ControlCommand {
  readonly description: string;
  /** As commander takes them, `<action> [name]`; each given one becomes a query parameter of its name. */
  readonly arguments?: string;
  readonly route: string;
  /** The answer as a text for a terminal; JSON is printed as it came. */
  readonly table: (answer: unknown) => string;
  /** Exit code, 0 unless the answer says that there is nothing. */
  readonly exit?: (answer: unknown) => number;
}

export const COMMANDS: Readonly<Record<ClientCommand, ControlCommand>> = {
  cache: {
    description: 'the DNS cache of a running agent: get KEY (a name or an address), list [DOMAIN]',
    arguments: '<action> [key]',
    route: '/cache',
    table: cacheTable,
    exit: cacheExit,
  },
  status: {
    description:
      'who is captured on this node, and which level said so: asks a running agent (one with --control)',
    route: '/visibility',
    table: visibilityTable,
  },
  stats: {
    description: 'loss ledger and counters of a running agent (one with --control)',
    route: '/stats',
    table: statsTable,
  },
  ui: {
    description:
      'address of the page of a running agent (one with --ui), with its token: open it in a browser',
    route: '/ui',
    table: pageText,
  },
};

function pageText(answer: unknown): string {
  const { url = '', note } = (answer ?? {}) as { url?: string; note?: string };
  return [url, note].flatMap((line) => (line === undefined ? [] : `${forTerminal(line)}\n`)).join('');
}

/** What the command prints. */
export function show(command: ControlCommand, answer: unknown, format: 'table' | 'json'): string {
  return format === 'json' ? `${safeJson(answer)}\n` : command.table(answer);
}
