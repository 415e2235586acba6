/** Rows of a segment that a test of ours holds for, in pieces that leave others their turn. */
import type { Database, Row } from './database.ts';
import { reversed } from './schema.ts';
import type { Turns } from './turns.ts';

export type NameTest = (name: string) => boolean;

/** As many rows are tested between two turns of the loop. */
const ROWS_AT_ONCE = 5000;
/** Characters of the names whose result is remembered of one test: segments have most of them in common. Names are of strangers. */
const MAX_REMEMBERED = 4_000_000;

interface Remembered {
  readonly results: Map<string, boolean>;
  /** Characters. */
  room: number;
}

const remembered = new WeakMap<object, Remembered>();

/** @param table takes the ids @param select gives `id` and what is tested @throws OutOfTime */
export async function matchingIds(
  database: Database,
  table: string,
  select: string,
  test: (row: Row) => boolean,
  turns: Turns,
): Promise<void> {
  const insert = database.connection.prepare(`INSERT OR IGNORE INTO temp.${table}(id) VALUES (?)`);
  const read = database.connection.prepare(
    `SELECT * FROM (${select}) WHERE id > ? ORDER BY id LIMIT ${ROWS_AT_ONCE}`,
  );
  for (let last = 0; ; ) {
    const rows = read.all(last) as Row[];
    for (const row of rows) if (test(row)) insert.run(row['id'] as number);
    const end = rows.at(-1);
    if (end === undefined || rows.length < ROWS_AT_ONCE) return;
    last = end['id'] as number;
    await turns.takeInTime();
  }
}

/**
 * Ids of the names that a test holds for. There are many names: they come and go as one text for all of a piece, an object for each
 * row takes five times as long.
 * @param key of the test, which is the same for all segments of one question
 * @throws OutOfTime
 */
export async function matchingNames(
  database: Database,
  table: string,
  key: object,
  test: NameTest,
  turns: Turns,
): Promise<void> {
  const known = remembered.get(key) ?? { results: new Map(), room: MAX_REMEMBERED };
  remembered.set(key, known);
  const insert = database.connection.prepare(
    `INSERT OR IGNORE INTO temp.${table}(id) SELECT value FROM json_each(?)`,
  );
  const read =
    database.connection.prepare(`SELECT json_group_array(id) AS ids, json_group_array(reversed) AS names
    FROM (SELECT id, reversed FROM names WHERE id > ? ORDER BY id LIMIT ${ROWS_AT_ONCE})`);
  for (let last = 0; ; ) {
    const row = read.get(last);
    const ids = JSON.parse(String(row?.['ids'])) as number[];
    const names = JSON.parse(String(row?.['names'])) as unknown[];
    const passed = ids.filter((_, i) => passes(String(names[i])));
    if (passed.length > 0) insert.run(JSON.stringify(passed));
    const end = ids.at(-1);
    if (end === undefined || ids.length < ROWS_AT_ONCE) return;
    last = end;
    await turns.takeInTime();
  }

  function passes(name: string): boolean {
    const before = known.results.get(name);
    if (before !== undefined) return before;
    const result = test(reversed(name));
    if (name.length <= known.room) {
      known.results.set(name, result);
      known.room -= name.length;
    }
    return result;
  }
}
