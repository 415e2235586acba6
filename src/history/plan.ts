/** A question's conditions as SQL for one segment: over lookups `l`, and where it is needed their questions `q` and processes `p`. */
import type { Filter } from '../filter/ast.ts';
import type { FilterPredicate } from '../filter/compile.ts';
import type { Matchers } from '../filter/predicate.ts';
import { canonicalAddress } from '../lib/address.ts';
import { rcodeNumber } from '../tables/rcodes.ts';
import { typeNumber } from '../tables/rrtypes.ts';
import type { Database, Row, Value } from './database.ts';
import { usageError } from './errors.ts';
import { filterSql } from './filter.ts';
import { NOT_FAILED, OUTCOMES, outcomeCode, reversed } from './schema.ts';
import type { Narrowing } from './types.ts';

/** More names or processes than this do not say which chunks to look at. */
const MAX_DRIVING = 50_000;
/** Rows of chunks for all of them: with more, most chunks have one. */
const MAX_CHUNK_ROWS = 20_000;
/** As many rows are tested between two turns of the loop. */
const ROWS_AT_ONCE = 5000;

export type NameMatcher = (name: string) => boolean;

/** A filter with its regular expressions compiled, and what it says of connections. */
export interface Expression {
  readonly filter: Filter;
  readonly matchers: Matchers;
  readonly predicate: FilterPredicate;
}

/** What is the same for all segments of a question. */
export interface Conditions extends Narrowing {
  /** Of `pattern`. */
  readonly matcher?: NameMatcher;
  /** Of `filter`. */
  readonly expression?: Expression;
}

let tables = 0;

/** Temporary tables are the question's own: `close` drops them. */
export class Plan {
  /** Behind `FROM lookups l`. */
  joins = '';
  /** Each is true of the lookups that are meant; `values` in the order of their question marks. */
  readonly conditions: string[] = [];
  readonly values: Value[] = [];
  /** Of connections and findings `c`: their processes. */
  readonly eventConditions: string[] = [];
  /** Chunks that can have such lookups, ascending; undefined: any. */
  chunks: readonly number[] | undefined;
  /** No lookup in this segment can be meant; and no process. */
  isEmpty = false;
  isEmptyOfProcesses = false;
  readonly #database: Database;
  readonly #tables: string[] = [];

  private constructor(database: Database) {
    this.#database = database;
  }

  static async make(database: Database, conditions: Conditions, turn: () => Promise<void>): Promise<Plan> {
    const plan = new Plan(database);
    try {
      plan.#processes(conditions);
      await plan.#questions(conditions, turn);
      await plan.#filter(conditions, turn);
      plan.#lookups(conditions);
      return plan;
    } catch (error) {
      plan.close();
      throw error;
    }
  }

  get where(): string {
    return ['l.id BETWEEN ? AND ?', ...this.conditions].join(' AND ');
  }

  close(): void {
    for (const table of this.#tables.splice(0)) this.#database.exec(`DROP TABLE IF EXISTS temp.${table}`);
  }

  #processes({ process, pid, processKey, user, container, pod }: Conditions): void {
    const sql: string[] = [];
    const values: Value[] = [];
    const add = (text: string, ...given: Value[]): void => {
      sql.push(text);
      values.push(...given);
    };
    if (process !== undefined) add(`executable ${like(process)}`, globOf(process));
    if (pid !== undefined) add('pid = ?', pid);
    if (processKey !== undefined) add('key = ?', processKey);
    if (user !== undefined)
      if (/^\d+$/.test(user)) add('(user_id = ? OR user = ?)', Number(user), user);
      else add(`user ${like(user)}`, globOf(user));
    if (container !== undefined) {
      const isId = /^[0-9a-f]{6,64}$/.test(container);
      if (isId) add(`(container = ? OR container_id GLOB ?)`, container, `${container}*`);
      else add(`container ${like(container)}`, globOf(container));
    }
    if (pod !== undefined) {
      const [name = '', namespace] = pod.split('/').reverse();
      add(`pod ${like(name)}`, globOf(name));
      if (namespace !== undefined) add(`namespace ${like(namespace)}`, globOf(namespace));
    }
    if (sql.length === 0) return;
    const table = this.#table(`SELECT id FROM processes WHERE ${sql.join(' AND ')}`, values);
    this.conditions.push(`l.process IN temp.${table}`);
    this.eventConditions.push(`c.process IN temp.${table}`);
    this.#drive('process', table);
  }

  /** Where names or an address are given, the questions are found first, and by their names the chunks. */
  async #questions(given: Conditions, turn: () => Promise<void>): Promise<void> {
    const sql: string[] = [];
    const values: Value[] = [];
    const add = (text: string, ...more: Value[]): void => {
      sql.push(text);
      values.push(...more);
    };
    const { name, suffix, address, matcher, type, rcode, server, failed } = given;
    let drives = false;
    if (name !== undefined) {
      add('q.name IN (SELECT id FROM names WHERE reversed = ?)', reversed(nameOf(name)));
      drives = true;
    }
    if (suffix !== undefined) {
      const below = suffix.startsWith('*.');
      const domain = reversed(nameOf(below ? suffix.slice(2) : suffix));
      const range = domain === '.' ? 'reversed > ?' : 'reversed > ? AND reversed < ?';
      const ends = domain === '.' ? ['.'] : [`${domain}.`, `${domain}/`];
      add(
        `q.name IN (SELECT id FROM names WHERE ${range}${below ? '' : ' UNION SELECT id FROM names WHERE reversed = ?'})`,
        ...ends,
        ...(below ? [] : [domain]),
      );
      drives = true;
    }
    if (matcher !== undefined) {
      const names = await this.#matching(
        'SELECT id, reversed FROM names',
        (row) => matcher(reversed(String(row['reversed']))),
        turn,
      );
      add(`q.name IN temp.${names}`);
      drives = true;
    }
    if (address !== undefined) {
      const text = addressOf(address);
      const resolved =
        'SELECT r.question FROM resolved r JOIN addresses a ON a.id = r.address WHERE a.address = ?';
      const isServer = this.#database.number('SELECT count(*) FROM servers WHERE address = ?', text) > 0;
      if (isServer)
        add(`(q.id IN (${resolved}) OR q.server IN (SELECT id FROM servers WHERE address = ?))`, text, text);
      else add(`q.id IN (${resolved})`, text);
      drives ||= !isServer;
    }
    if (type !== undefined) add('q.type = ?', typeOf(type));
    if (rcode !== undefined) add('q.result = ?', resultOf(rcode));
    if (server !== undefined)
      add('q.server IN (SELECT id FROM servers WHERE address = ?)', addressOf(server));
    if (failed !== undefined) add(`q.result ${failed ? 'NOT IN' : 'IN'} (${NOT_FAILED.join(', ')})`);
    if (sql.length === 0) return;
    if (!drives) {
      this.#join('questions q ON q.id = l.question');
      this.conditions.push(...sql);
      this.values.push(...values);
      return;
    }
    const table = this.#table(`SELECT q.id FROM questions q WHERE ${sql.join(' AND ')}`, values);
    this.conditions.push(`l.question IN temp.${table}`);
    const names = this.#table(`SELECT DISTINCT q.name FROM questions q WHERE q.id IN temp.${table}`, []);
    this.#drive('name', names);
  }

  #lookups({ since, until, minLatency }: Conditions): void {
    const add = (text: string, value: number | undefined): void => {
      if (value === undefined) return;
      this.conditions.push(text);
      this.values.push(value);
    };
    add('l.time >= ?', since);
    add('l.time < ?', until);
    add('l.duration >= ?', minLatency);
  }

  async #filter({ expression }: Conditions, turn: () => Promise<void>): Promise<void> {
    if (expression === undefined) return;
    this.#join('questions q ON q.id = l.question');
    const { filter, matchers } = expression;
    const sql = await filterSql(filter, matchers, {
      matching: (select, test) => this.#matching(select, test, turn),
      drive: (of, table) => this.#drive(of, table),
    });
    this.conditions.push(`(${sql})`);
  }

  /** @param select gives `id` and what is tested @returns a table of the ids of the rows that pass */
  async #matching(select: string, test: (row: Row) => boolean, turn: () => Promise<void>): Promise<string> {
    const table = this.#table('SELECT 0 AS id WHERE 0', []);
    const insert = this.#database.connection.prepare(`INSERT OR IGNORE INTO temp.${table}(id) VALUES (?)`);
    const read = this.#database.connection.prepare(
      `SELECT * FROM (${select}) WHERE id > ? ORDER BY id LIMIT ${ROWS_AT_ONCE}`,
    );
    for (let last = 0; ; ) {
      const rows = read.all(last) as Row[];
      for (const row of rows) if (test(row)) insert.run(row['id'] as number);
      const end = rows.at(-1);
      if (end === undefined || rows.length < ROWS_AT_ONCE) return table;
      last = end['id'] as number;
      await turn();
    }
  }

  #join(text: string): void {
    if (!this.joins.includes(text)) this.joins += ` JOIN ${text}`;
  }

  /** @returns the name of a table with the ids that the question gives */
  #table(sql: string, values: readonly Value[]): string {
    const table = `ids_${++tables}`;
    this.#database.exec(`CREATE TEMP TABLE ${table}(id INTEGER PRIMARY KEY)`);
    this.#tables.push(table);
    this.#database.connection.prepare(`INSERT OR IGNORE INTO temp.${table} ${sql}`).run(...values);
    return table;
  }

  #drive(of: 'name' | 'process', table: string): void {
    const count = this.#count(`SELECT 1 FROM temp.${table} LIMIT ${MAX_DRIVING + 1}`);
    if (count === 0) this.isEmpty = true;
    if (count === 0 && of === 'process') this.isEmptyOfProcesses = true;
    if (count === 0 || count > MAX_DRIVING) return;
    const rows = `SELECT chunk FROM ${of}_chunks WHERE ${of} IN temp.${table}`;
    if (this.#count(`${rows} LIMIT ${MAX_CHUNK_ROWS + 1}`) > MAX_CHUNK_ROWS) return;
    const found = this.#database
      .once(`SELECT DISTINCT chunk FROM (${rows}) ORDER BY chunk`)
      .map(({ chunk }) => chunk as number);
    const other = this.chunks === undefined ? undefined : new Set(this.chunks);
    this.chunks = other === undefined ? found : found.filter((chunk) => other.has(chunk));
  }

  #count(sql: string): number {
    return (this.#database.once(`SELECT count(*) AS n FROM (${sql})`)[0]?.['n'] ?? 0) as number;
  }
}

/** @throws UserError */
export function addressOf(text: string): string {
  const address = canonicalAddress(text);
  if (address === undefined) throw usageError(`"${text}" is not an IP address`);
  return address;
}

/** As names are kept. */
export function nameOf(text: string): string {
  const name = text.toLowerCase();
  return name.length > 1 && name.endsWith('.') && !name.endsWith('\\.') ? name.slice(0, -1) : name;
}

/** @throws UserError */
function typeOf(text: string): number {
  const type = typeNumber(text);
  if (type === undefined) throw usageError(`"${text}" is not a record type: A, MX, TYPE65`);
  return type;
}

/** @throws UserError */
function resultOf(text: string): number {
  const outcome = OUTCOMES.find((each) => each === text.toLowerCase());
  if (outcome !== undefined && outcome !== 'answered') return outcomeCode(outcome);
  const rcode = rcodeNumber(text);
  if (rcode === undefined)
    throw usageError(`"${text}" is neither a response code nor an outcome: NXDOMAIN, SERVFAIL, timeout`);
  return rcode;
}

function like(text: string): string {
  return text.includes('*') || text.includes('?') ? 'GLOB ?' : '= ?';
}

/** GLOB has character classes as well: a bracket stands for itself here. */
function globOf(text: string): string {
  return text.includes('*') || text.includes('?') ? text.replaceAll('[', '[[]') : text;
}

/** A text that a GLOB matches as it is. */
export function plainGlob(text: string): string {
  return text.replace(/[[*?]/g, '[$&]');
}
