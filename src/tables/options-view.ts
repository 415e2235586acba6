/** Which lookups are meant (docs/filters.md) and how the table shows them: part of OPTIONS. */
import { boolean, integer, type Parsed } from '../lib/values.ts';
import { type Command, option, repeatable } from './option.ts';
import { TABLE_COLUMNS, type TableColumn } from './table-columns.ts';

const RUN: readonly Command[] = ['run', 'search'];
const LOOKUPS: readonly Command[] = ['run', 'replay', 'search'];
const CAPTURE: readonly Command[] = ['run', 'replay'];

export const VIEW_OPTIONS = {
  filter: option<string | undefined>({
    flag: '--filter <expression>',
    commands: [...LOOKUPS, 'top'],
    env: ['WHODNS_FILTER'],
    description: "only lookups like 'rcode=NXDOMAIN and process=curl' (docs/filters.md)",
    parse: notEmpty,
    default: undefined,
    shownDefault: '',
  }),
  onlyFailed: option<boolean>({
    flag: '--failed',
    commands: LOOKUPS,
    description: 'only lookups without an answer, or with another code than NOERROR',
    parse: boolean,
    default: false,
  }),
  onlyPids: repeatable<number>({
    flag: '--pid <pid>',
    repeatable: true,
    commands: RUN,
    description: 'only this process; repeat or comma list',
    parse: integer(1, 4_194_304),
    default: [],
    shownDefault: '',
  }),
  onlyContainers: repeatable<string>({
    flag: '--container <name>',
    repeatable: true,
    commands: RUN,
    description: 'only containers of this name (* matches) or id; repeat or comma list',
    parse: notEmpty,
    default: [],
    shownDefault: '',
  }),
  onlyServers: repeatable<string>({
    flag: '--server <address>',
    repeatable: true,
    commands: LOOKUPS,
    description: 'only requests to this server, or to 10.0.0.0/8; repeat or comma list',
    parse: notEmpty,
    default: [],
    shownDefault: '',
  }),
  columns: repeatable<TableColumn>({
    flag: '--columns <names>',
    repeatable: true,
    commands: CAPTURE,
    env: ['WHODNS_COLUMNS'],
    description: `only these columns of the table, or +NAME in addition: ${TABLE_COLUMNS.join(', ')}`,
    parse: columnName,
    default: [],
    shownDefault: 'what fits the width',
  }),
  wide: option<boolean>({
    flag: '--wide',
    commands: CAPTURE,
    env: ['WHODNS_WIDE'],
    description: 'all columns of the table, nothing shortened',
    parse: boolean,
    default: false,
  }),
} as const;

function notEmpty(text: string): Parsed<string> {
  return text.trim() === '' ? { problem: 'is empty' } : { value: text };
}

function columnName(text: string): Parsed<TableColumn> {
  const name = text.toLowerCase().replace(/^\+/, '');
  const column = TABLE_COLUMNS.find((each) => each === name);
  if (column === undefined) return { problem: `is not one of ${TABLE_COLUMNS.join(', ')}` };
  return { value: (text.startsWith('+') ? `+${column}` : column) as TableColumn };
}
