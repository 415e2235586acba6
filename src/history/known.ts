/** What is in a database already, remembered in a bounded map, and rows that are put there. Whoever only reads needs none of the rest. */
import type { Database, Value } from './database.ts';

/** Entries of each map; when it is full it begins again. */
const MAX_KNOWN = 65_536;

/** @returns the id of the row */
export function insert(database: Database, sql: string, ...values: Value[]): number {
  return Number(database.statement(sql).run(...values).lastInsertRowid);
}

export function keep<T>(map: Map<string, T>, key: string, value: T): T {
  if (map.size >= MAX_KNOWN) map.clear();
  map.set(key, value);
  return value;
}
