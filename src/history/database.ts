/** One SQLite database: a segment of the history, as a file or in memory. */

import { SCHEMA, VERSION } from './schema.ts';
import { DatabaseSync, type StatementSync } from './sqlite.ts';

export type Row = Readonly<Record<string, number | string | null>>;
export type Value = number | string | null;
export const NO_VALUES: readonly Value[] = [];

/** Bytes of the write-ahead log that stay when it was written back. */
const WAL_BYTES = 1024 * 1024;
const BUSY_MS = 2000;

/** Another version of whodns made it. */
export class VersionError extends Error {}

export class Database {
  readonly connection: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(connection: DatabaseSync) {
    this.connection = connection;
  }

  /** @param path `:memory:` or that of a file, which is there (safe-file.ts) and may be empty */
  static open(path: string): Database {
    const database = new Database(new DatabaseSync(path));
    return database.#ready(() => {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = ${WAL_BYTES}; PRAGMA temp_store = MEMORY;
        PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON`);
      if (database.#version() === 0) database.exec(`BEGIN; ${SCHEMA}; COMMIT`);
      database.#judge();
    });
  }

  /** For reading only, also while an agent writes to it. */
  static read(path: string): Database {
    const database = new Database(new DatabaseSync(path, { readOnly: true }));
    return database.#ready(() => {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
        PRAGMA cell_size_check = ON`);
      database.#judge();
    });
  }

  exec(sql: string): void {
    this.connection.exec(sql);
  }

  /** Prepared once. */
  statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.connection.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }

  all(sql: string, ...values: Value[]): Row[] {
    return this.statement(sql).all(...values) as Row[];
  }

  /** For a question that is asked once: the statement is not kept. */
  once(sql: string, values: readonly Value[] = []): Row[] {
    return this.connection.prepare(sql).all(...values) as Row[];
  }

  first(sql: string, ...values: Value[]): Row | undefined {
    return this.statement(sql).get(...values) as Row | undefined;
  }

  /** The one number that the question asks for; 0: there is none. */
  number(sql: string, ...values: Value[]): number {
    const row = this.first(sql, ...values);
    const [value] = row === undefined ? [] : Object.values(row);
    return typeof value === 'number' ? value : 0;
  }

  /** All or nothing. */
  transaction<T>(work: () => T): T {
    this.exec('BEGIN');
    try {
      const result = work();
      this.exec('COMMIT');
      return result;
    } catch (error) {
      // What failed may have ended the transaction by itself (disk full).
      if (this.connection.isTransaction !== false) this.#rollBack();
      throw error;
    }
  }

  /** Bytes of the database without its write-ahead log. */
  get bytes(): number {
    return this.number('PRAGMA page_count') * this.number('PRAGMA page_size');
  }

  close(): void {
    this.#statements.clear();
    try {
      this.connection.close();
    } catch {
      // was closed, or is beyond it
    }
  }

  #rollBack(): void {
    try {
      this.exec('ROLLBACK');
    } catch {
      // there is none any more
    }
  }

  #ready(work: () => void): this {
    try {
      work();
      return this;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #version(): number {
    return this.number('PRAGMA user_version');
  }

  #judge(): void {
    const version = this.#version();
    if (version !== VERSION) throw new VersionError(`is of version ${version}, this whodns reads ${VERSION}`);
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB: what is in the file is no database, or not a whole one. */
export function isDamage(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === 'number' && ((code & 0xff) === 11 || (code & 0xff) === 26);
}
