/** Which columns a terminal of a given width shows, how wide each is, and how a row is put together. */
import { displayWidth, padEnd, padStart } from '../../lib/display-width.ts';
import type { ProcessIdentity } from '../../model.ts';
import type { Cells, Tone } from '../../records/cells.ts';
import { type ColumnName, TABLE_COLUMNS, type TableColumn } from '../../tables/table-columns.ts';
import { COLUMNS, type Column, columnsFor, type Style } from './columns.ts';

export interface Layout {
  readonly columns: readonly { readonly column: Column; readonly width: number }[];
  readonly gap: string;
  /** false: no cell is shortened. */
  readonly shorten: boolean;
}

export interface LayoutOptions {
  /** Cells of the terminal; undefined: it is none. */
  readonly width: number | undefined;
  /** What `--columns` asks for; none: what fits. */
  readonly columns?: readonly TableColumn[];
  /** Everything in full. */
  readonly wide?: boolean;
  /** Columns without content: their room goes to the others. Those asked for stay. */
  readonly empty?: ReadonlySet<ColumnName>;
}

/** Width of the columns where the output is no terminal; cells that are longer push the rest to the right. */
const NO_TERMINAL = 160;
const WIDE = 200;
const LEAST = 60;
/** No column is narrower, however many are asked for. */
const NARROWEST = 5;

export function layoutFor({ width, columns = [], wide = false, empty }: LayoutOptions): Layout {
  const room = Math.max(width ?? NO_TERMINAL, wide ? WIDE : LEAST);
  const added = columns.flatMap((each) => (each.startsWith('+') ? [each.slice(1) as ColumnName] : []));
  const only = columns.flatMap((each) => (each.startsWith('+') ? [] : [each as ColumnName]));
  const usual = (wide ? TABLE_COLUMNS.map((each) => COLUMNS[each]) : columnsFor(room)).filter(
    (column) => !empty?.has(column.name) || added.includes(column.name),
  );
  const shown =
    only.length > 0
      ? [...new Set([...only, ...added])].map((each) => COLUMNS[each])
      : withAdded(usual, added);
  const gap = room < 110 ? ' ' : '  ';
  const available = room - gap.length * (shown.length - 1);
  const widths = distribute(shown, available);
  return {
    columns: shown.map((column, i) => ({ column, width: widths[i] ?? column.min })),
    gap,
    shorten: width !== undefined && !wide,
  };
}

/** Each in its usual place. */
function withAdded(usual: readonly Column[], added: readonly ColumnName[]): Column[] {
  const columns = [...usual];
  for (const name of new Set(added)) {
    if (columns.some((column) => column.name === name)) continue;
    const place = TABLE_COLUMNS.indexOf(name);
    const before = columns.findIndex((column) => TABLE_COLUMNS.indexOf(column.name) > place);
    columns.splice(before < 0 ? columns.length : before, 0, COLUMNS[name]);
  }
  return columns;
}

/** Each column its minimum, or less where that is too much; the rest by weight, one cell at a time, up to the maximum. */
function distribute(columns: readonly Column[], available: number): number[] {
  const widths = columns.map((each) => each.min);
  let left = available - widths.reduce((sum, width) => sum + width, 0);
  while (left < 0) {
    const widest = widths.reduce(
      (found, width, i) => (columns[i]?.weight !== 0 && width > (widths[found] ?? 0) ? i : found),
      widths.findIndex((_, i) => columns[i]?.weight !== 0),
    );
    if (widest < 0 || (widths[widest] ?? 0) <= NARROWEST) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    left++;
  }
  while (left > 0) {
    let neediest = -1;
    let fewest = Number.POSITIVE_INFINITY;
    columns.forEach((each, i) => {
      const extra = ((widths[i] ?? 0) - each.min) / each.weight;
      if (each.weight > 0 && (widths[i] ?? 0) < each.max && extra < fewest) {
        fewest = extra;
        neediest = i;
      }
    });
    if (neediest < 0) break;
    widths[neediest] = (widths[neediest] ?? 0) + 1;
    left--;
  }
  return widths;
}

export function renderHeader(layout: Layout, color: boolean): string {
  const line = layout.columns
    .map(({ column: { title, align }, width }) => {
      const shown = title.slice(0, Math.max(width, NARROWEST));
      return align === 'right' ? padStart(shown, width) : padEnd(shown, width);
    })
    .join(layout.gap)
    .trimEnd();
  return color ? `${ESCAPE}1;2m${line}${RESET}` : line;
}

export function renderRow(cells: Cells, process: ProcessIdentity, layout: Layout, color: boolean): string {
  let line = '';
  let pending = 0;
  for (const { column: each, width } of layout.columns) {
    const full = each.text(cells, process);
    const text = layout.shorten ? each.shorten(full, width) : full;
    const missing = Math.max(0, width - displayWidth(text));
    const before = pending + (each.align === 'right' ? missing : 0);
    // Blanks are written only once something follows them: no line ends in blanks.
    if (text !== '') line += ' '.repeat(before) + (color ? paint(text, each.style, cells.tone) : text);
    pending = (text === '' ? pending + width : each.align === 'right' ? 0 : missing) + layout.gap.length;
  }
  return line;
}

const ESCAPE = '\x1b[';
const RESET = `${ESCAPE}0m`;
const TONES: Readonly<Record<Tone, string>> = { good: '32', notice: '33', bad: '1;31', plain: '' };
const STYLES: Readonly<Record<Exclude<Style, 'tone'>, string>> = {
  plain: '',
  dim: '2',
  bold: '1',
  cyan: '36',
};

function paint(text: string, style: Style, tone: Tone): string {
  const codes = style === 'tone' ? TONES[tone] : STYLES[style];
  return codes === '' ? text : `${ESCAPE}${codes}m${text}${RESET}`;
}
