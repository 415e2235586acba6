/** Rows of cells as lines for a terminal: columns as wide as their widest cell, two spaces between. */
import { displayWidth, padEnd } from '../lib/display-width.ts';

/**
 * @param rows cells that are safe for a terminal already
 * @param right columns that are flush right: numbers
 */
export function textTable(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => displayWidth(row[column] ?? ''))),
  );
  const cell = (text: string, column: number) => {
    const width = widths[column] ?? 0;
    return right.includes(column) ? ' '.repeat(width - displayWidth(text)) + text : padEnd(text, width);
  };
  return rows.map((row) => row.map(cell).join('  ').trimEnd());
}
