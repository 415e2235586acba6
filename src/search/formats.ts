/** What was found as a table, as JSON lines or as CSV. */

import { textTable } from '../control/text-table.ts';
import type { SearchAnswer, StoredRow } from '../history/types.ts';
import { forTerminal, safeJson } from '../lib/escape.ts';
import { COLUMNS, connectedText, textsOf } from './rows.ts';

/** Turns the rows of one answer into text; keeps in mind what it said before (`--follow`). */
export type Formatter = (answer: Pick<SearchAnswer, 'connected'>, rows: readonly StoredRow[]) => string;

const MAX_CELL = 512;
/** What a spreadsheet takes for a formula (OWASP, CSV injection). */
const FORMULA = /^[\s]*[=+\-@\t\r]/;

export function formatter(format: 'table' | 'json' | 'csv'): Formatter {
  if (format === 'json') return (answer, rows) => rows.map((row) => `${jsonLine(answer, row)}\n`).join('');
  return format === 'csv' ? csv() : table();
}

function jsonLine({ connected }: Pick<SearchAnswer, 'connected'>, row: StoredRow): string {
  const after = connected[row.id] ?? [];
  return safeJson(
    after.length === 0
      ? row
      : { ...row, connected: after.map(({ process: _, ...connection }) => connection) },
  );
}

function table(): Formatter {
  let isFirst = true;
  return ({ connected }, rows) => {
    if (rows.length === 0) return '';
    const cells = rows.map((row) => {
      const texts = textsOf(row);
      return COLUMNS.map((column) => safe(texts[column]));
    });
    // A column without anything gives its room to the others.
    const used = COLUMNS.map((_, column) => cells.some((row) => row[column] !== ''));
    const kept = (row: readonly string[]): string[] => row.filter((_, column) => used[column]);
    const head = COLUMNS.map((column) => (column === 'container' ? 'CONTAINER/POD' : column.toUpperCase()));
    const right = kept([...COLUMNS]).flatMap((column, index) =>
      column === 'pid' || column === 'latency' ? [index] : [],
    );
    const [header = '', ...lines] = textTable([kept(head), ...cells.map(kept)], right);
    const told = lines.flatMap((line, index) => {
      const row = rows[index] as StoredRow;
      return [line, ...(connected[row.id] ?? []).map((each) => `    ${safe(connectedText(each, row.time))}`)];
    });
    const shown = isFirst ? [header, ...told] : told;
    isFirst = false;
    return `${shown.join('\n')}\n`;
  };
}

function csv(): Formatter {
  let isFirst = true;
  return ({ connected }, rows) => {
    const lines = rows.map((row) => {
      const texts = textsOf(row);
      const after = (connected[row.id] ?? []).map((each) => connectedText(each, row.time)).join('; ');
      return [...COLUMNS.map((column) => texts[column]), after].map(csvCell).join(',');
    });
    const head = isFirst ? [[...COLUMNS, 'connected'].join(',')] : [];
    isFirst = false;
    return [...head, ...lines].map((line) => `${line}\r\n`).join('');
  };
}

/** RFC 4180; a formula becomes text. */
export function csvCell(text: string): string {
  const plain = forTerminal(text);
  const inert = FORMULA.test(plain) ? `'${plain}` : plain;
  return /[",\r\n;']/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

function safe(text: string): string {
  return forTerminal(text.length > MAX_CELL ? `${text.slice(0, MAX_CELL).toWellFormed()}...` : text);
}
