/**
 * A question's conditions as SQL for one segment: over lookups `l`, their questions `q` and processes `p`. Questions and processes are
 * few: those that are meant are found first, and by them the chunks of lookups that are to be looked through.
 */
import type { Filter } from '../filter/ast.ts';
import type { FilterPredicate } from '../filter/compile.ts';
import type { Matchers } from '../filter/predicate.ts';
import { canonicalAddress } from '../lib/address.ts';
import { rcodeNumber } from '../tables/rcodes.ts';
import { typeNumber } from '../tables/rrtypes.ts';
import { type Database, NO_VALUES, type Row, type Value } from './database.ts';
import { usageError } from './errors.ts';
import { conjunctsOf, type FilterTables, filterSql, minDurationOf, subjectOf } from './filter.ts';
import { matchingIds, matchingNames, type NameTest } from './matching.ts';
import { chunkBits, NOT_FAILED, OUTCOMES, outcomeCode, reversed } from './schema.ts';
import type { Turns } from './turns.ts';
import type { Narrowing } from './types.ts';

/** More questions or processes than this are not found first: most lookups are meant. */
const MAX_DRIVING = 50_000;
/** Of so many processes it is looked up which questions they asked. */
const MAX_ASKING = 1000;
/** Rows of chunks for all of them: with more, most chunks have one. */
const MAX_CHUNK_ROWS = 20_000;

/** A filter with its regular expressions compiled, and what it says of connections. */
export interface Expression {
  readonly filter: Filter;
  readonly matchers: Matchers;
  readonly predicate: FilterPredicate;
}

/** What is the same for all segments of a question. */
export interface Conditions extends Narrowing {
  /** Of `pattern`. */
  readonly matcher?: NameTest;
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
  readonly #turns: Turns;
  readonly #tables: string[] = [];
  /** Processes that are meant, where they are few. */
  #asking: string | undefined;
  /** Of the chunks that are wanted. */
  readonly #chunkParts = new Parts();
  readonly #filterTables: FilterTables = {
    matching: (select, test) => this.#matching(select, test),
    matchingNames: (key, test) => this.#matchingNames(key, test),
    values: (values) => this.#valuesTable(values),
    processes: (condition) => this.#table(`SELECT p.id FROM processes p WHERE ${condition}`),
  };

  private constructor(database: Database, turns: Turns) {
    this.#database = database;
    this.#turns = turns;
  }

  static async make(database: Database, conditions: Conditions, turns: Turns): Promise<Plan> {
    const plan = new Plan(database, turns);
    try {
      await plan.#processes(conditions);
      if (!plan.isEmpty) await plan.#questions(conditions);
      if (!plan.isEmpty) await plan.#lookups(conditions);
      if (!plan.isEmpty) plan.#findChunks();
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

  async #processes(given: Conditions): Promise<void> {
    const { process, pid, processKey, user, container, pod } = given;
    const parts = new Parts();
    if (process !== undefined) parts.add(`p.executable ${like(process)}`, globOf(process));
    if (pid !== undefined) parts.add('p.pid = ?', pid);
    if (processKey !== undefined) parts.add('p.key = ?', processKey);
    if (user !== undefined)
      if (/^\d+$/.test(user)) parts.add('(p.user_id = ? OR p.user = ?)', Number(user), user);
      else parts.add(`p.user ${like(user)}`, globOf(user));
    if (container !== undefined) {
      const isId = /^[0-9a-f]{6,64}$/.test(container);
      if (isId) parts.add(`(p.container = ? OR p.container_id GLOB ?)`, container, `${container}*`);
      else parts.add(`p.container ${like(container)}`, globOf(container));
    }
    if (pod !== undefined) {
      const [name = '', namespace] = pod.split('/').reverse();
      parts.add(`p.pod ${like(name)}`, globOf(name));
      if (namespace !== undefined) parts.add(`p.namespace ${like(namespace)}`, globOf(namespace));
    }
    await this.#addFilter(given, 'process', parts);
    if (parts.isEmpty) return;
    const table = this.#table(`SELECT p.id FROM processes p WHERE ${parts.sql}`, parts.values);
    this.conditions.push(`l.process IN temp.${table}`);
    this.eventConditions.push(`c.process IN temp.${table}`);
    this.isEmpty = this.isEmptyOfProcesses = !this.#hasMore(table, 0);
    if (!this.#hasMore(table, MAX_DRIVING)) this.#drive('process', `temp.${table}`);
    if (!this.#hasMore(table, MAX_ASKING)) this.#asking = table;
  }

  async #questions(given: Conditions): Promise<void> {
    const parts = new Parts();
    const { name, suffix, address, matcher, type, rcode, server, failed } = given;
    if (name !== undefined)
      parts.add('q.name IN (SELECT id FROM names WHERE reversed = ?)', reversed(nameOf(name)));
    if (suffix !== undefined) {
      const below = suffix.startsWith('*.');
      const domain = reversed(nameOf(below ? suffix.slice(2) : suffix));
      const range = domain === '.' ? 'reversed > ?' : 'reversed > ? AND reversed < ?';
      const ends = domain === '.' ? ['.'] : [`${domain}.`, `${domain}/`];
      parts.add(
        `q.name IN (SELECT id FROM names WHERE ${range}${below ? '' : ' UNION SELECT id FROM names WHERE reversed = ?'})`,
        ...ends,
        ...(below ? [] : [domain]),
      );
    }
    if (matcher !== undefined) parts.add(`q.name IN temp.${await this.#matchingNames(matcher, matcher)}`);
    if (address !== undefined) {
      const text = addressOf(address);
      const resolved =
        'SELECT r.question FROM resolved r JOIN addresses a ON a.id = r.address WHERE a.address = ?';
      const isServer = this.#database.number('SELECT count(*) FROM servers WHERE address = ?', text) > 0;
      if (isServer)
        parts.add(
          `(q.id IN (${resolved}) OR q.server IN (SELECT id FROM servers WHERE address = ?))`,
          text,
          text,
        );
      else parts.add(`q.id IN (${resolved})`, text);
    }
    if (type !== undefined) parts.add('q.type = ?', typeOf(type));
    if (rcode !== undefined) parts.add('q.result = ?', resultOf(rcode));
    if (server !== undefined)
      parts.add('q.server IN (SELECT id FROM servers WHERE address = ?)', addressOf(server));
    if (failed !== undefined) parts.add(`q.result ${failed ? 'NOT IN' : 'IN'} (${NOT_FAILED.join(', ')})`);
    await this.#addFilter(given, 'question', parts);
    if (parts.isEmpty) return;
    const few = `SELECT q.id FROM questions q WHERE ${parts.sql} LIMIT ${MAX_DRIVING + 1}`;
    const all = this.#table(few, parts.values);
    const isMost = this.#hasMore(all, MAX_DRIVING);
    const table = this.#asking === undefined || isMost ? all : this.#askedBy(this.#asking, all);
    this.isEmpty = !this.#hasMore(table, 0);
    if (isMost) {
      this.#joinQuestions();
      this.conditions.push(parts.sql);
      this.values.push(...parts.values);
      return;
    }
    this.conditions.push(`l.question IN temp.${table}`);
    this.#drive('name', `(SELECT DISTINCT q.name FROM questions q WHERE q.id IN temp.${table})`);
    const kinds = this.#database.once(
      `SELECT DISTINCT q.result, q.type, q.server FROM questions q WHERE q.id IN temp.${table}`,
    );
    for (const column of ['result', 'type', 'server'] as const) {
      const bits = kinds.reduce((sum, row) => sum | chunkBits(row[column]), 0);
      this.#chunkParts.add(`${column}s & ? <> 0`, bits);
    }
  }

  /** Of the questions those that the processes asked: either can be in every chunk, and both never in one lookup. */
  #askedBy(processes: string, questions: string): string {
    return this.#table(
      `SELECT question FROM asked WHERE process IN temp.${processes} AND +question IN temp.${questions}`,
    );
  }

  async #lookups(given: Conditions): Promise<void> {
    const { since, until, minLatency, expression } = given;
    const parts = new Parts();
    if (since !== undefined) {
      parts.add('l.time >= ?', since);
      this.#chunkParts.add('last >= ?', since);
    }
    if (until !== undefined) {
      parts.add('l.time < ?', until);
      this.#chunkParts.add('first < ?', until);
    }
    if (minLatency !== undefined) parts.add('l.duration >= ?', minLatency);
    const filters = expression === undefined ? [] : conjunctsOf(expression.filter);
    for (const min of [minLatency, ...filters.map(minDurationOf)])
      if (min !== undefined) this.#chunkParts.add('slowest >= ?', min);
    if (await this.#addFilter(given, 'lookup', parts)) this.#joinQuestions();
    if (parts.isEmpty) return;
    this.conditions.push(parts.sql);
    this.values.push(...parts.values);
  }

  /** The parts of the filter that are about this. @returns whether there are any */
  async #addFilter(
    { expression }: Conditions,
    subject: 'process' | 'question' | 'lookup',
    parts: Parts,
  ): Promise<boolean> {
    if (expression === undefined) return false;
    const filters = conjunctsOf(expression.filter).filter((each) => subjectOf(each) === subject);
    for (const filter of filters)
      parts.add(`(${await filterSql(filter, expression.matchers, this.#filterTables, subject)})`);
    return filters.length > 0;
  }

  async #matching(select: string, test: (row: Row) => boolean): Promise<string> {
    const table = this.#table();
    await matchingIds(this.#database, table, select, test, this.#turns);
    return table;
  }

  async #matchingNames(key: object, test: NameTest): Promise<string> {
    const table = this.#table();
    await matchingNames(this.#database, table, key, test, this.#turns);
    return table;
  }

  #joinQuestions(): void {
    this.joins = ' JOIN questions q ON q.id = l.question';
  }

  /** @returns the name of a table with the ids that the question gives */
  #table(sql?: string, values: readonly Value[] = NO_VALUES): string {
    const table = this.#newTable('id INTEGER PRIMARY KEY');
    if (sql !== undefined)
      this.#database.connection.prepare(`INSERT OR IGNORE INTO temp.${table} ${sql}`).run(...values);
    return table;
  }

  #valuesTable(values: readonly Value[]): string {
    const table = this.#newTable('id PRIMARY KEY');
    this.#database.connection
      .prepare(`INSERT OR IGNORE INTO temp.${table} SELECT value FROM json_each(?)`)
      .run(JSON.stringify(values));
    return table;
  }

  #newTable(columns: string): string {
    const table = `ids_${++tables}`;
    this.#database.exec(`CREATE TEMP TABLE ${table}(${columns})`);
    this.#tables.push(table);
    return table;
  }

  /** Only lookups of chunks with one of them are meant, where that leaves out any. @param ids what can stand behind IN */
  #drive(of: 'name' | 'process', ids: string): void {
    const rows = `SELECT chunk FROM ${of}_chunks WHERE ${of} IN ${ids}`;
    const count = this.#database.once(`SELECT count(*) AS n FROM (${rows} LIMIT ${MAX_CHUNK_ROWS + 1})`)[0]?.[
      'n'
    ];
    if (typeof count === 'number' && count <= MAX_CHUNK_ROWS) this.#chunkParts.add(`chunk IN (${rows})`);
  }

  #findChunks(): void {
    const { sql, values, isEmpty } = this.#chunkParts;
    if (isEmpty) return;
    const rows = this.#database.once(`SELECT chunk FROM chunks WHERE ${sql} ORDER BY chunk`, values);
    this.chunks = rows.map(({ chunk }) => chunk as number);
    this.isEmpty ||= rows.length === 0;
  }

  #hasMore(table: string, count: number): boolean {
    return this.#database.once(`SELECT 1 FROM temp.${table} LIMIT 1 OFFSET ${count}`).length > 0;
  }
}

/** Conditions that must all hold. */
class Parts {
  readonly #sql: string[] = [];
  readonly values: Value[] = [];

  add(sql: string, ...values: Value[]): void {
    this.#sql.push(sql);
    this.values.push(...values);
  }

  get isEmpty(): boolean {
    return this.#sql.length === 0;
  }

  get sql(): string {
    return this.#sql.join(' AND ');
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
