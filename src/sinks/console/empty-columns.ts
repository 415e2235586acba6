/** Columns that nothing stands in: they give their room to the others. */
import type { ProcessIdentity } from '../../model.ts';
import type { Cells } from '../../records/cells.ts';
import type { ColumnName } from '../../tables/table-columns.ts';
import { COLUMNS } from './columns.ts';

/** Rows that a column must have been empty in. */
const MIN_ROWS = 10;
/** What may be empty for long. Of most hosts no process is in a container: it is left out until one is. */
const MAY_BE_EMPTY = ['container', 'latency', 'answers', 'server'] as const satisfies readonly ColumnName[];

export class EmptyColumns {
  /** Not shown now. */
  readonly hidden = new Set<ColumnName>(['container']);
  /** Had content since they were last judged, and those that came back: they stay, so that the table does not jump. */
  readonly #filled = new Set<ColumnName>();
  readonly #kept = new Set<ColumnName>();
  #rows = 0;

  /** A row that is about to be shown. @returns whether a hidden column has to come back for it */
  saw(cells: Cells, process: ProcessIdentity): boolean {
    this.#rows++;
    let comesBack = false;
    for (const name of MAY_BE_EMPTY) {
      if (this.#kept.has(name) || COLUMNS[name].text(cells, process) === '') continue;
      this.#filled.add(name);
      if (!this.hidden.delete(name)) continue;
      this.#kept.add(name);
      comesBack = true;
    }
    return comesBack;
  }

  /** When the header is shown again. */
  judge(): void {
    if (this.#rows < MIN_ROWS) return;
    for (const name of MAY_BE_EMPTY)
      if (!this.#filled.has(name) && !this.#kept.has(name)) this.hidden.add(name);
    this.#rows = 0;
    this.#filled.clear();
  }
}
