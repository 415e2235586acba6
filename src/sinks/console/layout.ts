/** Which columns a terminal of a given width shows, how wide each is, and how a row is put together. */
import { displayWidth, padEnd, padStart, shortenEnd, shortenMiddle } from '../../lib/display-width.ts';
import { type Cells, LIST_SEPARATOR, type Tone } from '../../records/cells.ts';

interface Column {
  readonly title: string;
  readonly min: number;
  readonly max: number;
  /** Share of the room that is left over; 0 = fixed width. */
  readonly weight: number;
  readonly align: 'left' | 'right';
  readonly shorten: (text: string, width: number) => string;
  readonly text: (cells: Cells) => string;
  readonly style: Style;
}

type Style = 'plain' | 'dim' | 'bold' | 'cyan' | 'tone';

export interface Layout {
  readonly columns: readonly { readonly column: Column; readonly width: number }[];
  readonly gap: string;
  /** false: no cell is shortened (the output is no terminal). */
  readonly shorten: boolean;
}

function column(title: string, min: number, max: number, weight: number, rest: Partial<Column>): Column {
  const defaults = { align: 'left', shorten: shortenEnd, style: 'plain', text: () => '' } as const;
  return { title, min, max, weight, ...defaults, ...rest };
}

const shortTime = column('TIME', 8, 8, 0, { style: 'dim', text: (c) => c.time.slice(0, 8) });
const time = column('TIME', 12, 12, 0, { style: 'dim', text: (c) => c.time });
const pid = column('PID', 7, 7, 0, { align: 'right', text: (c) => c.pid });
const processAndWorkload = column('PROCESS', 9, 30, 3, {
  style: 'cyan',
  text: (c) => (c.workload === '' ? c.process : `${c.process}@${c.workload}`),
});
const process = column('PROCESS', 12, 24, 2, { style: 'cyan', text: (c) => c.process });
const workload = column('CONTAINER/POD', 14, 36, 2, { shorten: shortenMiddle, text: (c) => c.workload });
const type = column('TYPE', 5, 5, 0, { text: (c) => c.type });
const name = column('NAME', 18, 48, 5, { style: 'bold', shorten: shortenMiddle, text: (c) => c.name });
const result = column('RESULT', 8, 8, 0, { style: 'tone', text: (c) => c.result });
const latency = column('LATENCY', 7, 7, 0, { align: 'right', text: (c) => c.latency });
const answers = column('ANSWERS', 15, 72, 4, { shorten: shortenList, text: (c) => c.answers });
const server = column('SERVER', 13, 26, 2, { style: 'dim', shorten: shortenMiddle, text: (c) => c.server });
/** Where there is no room for both: the answers of a lookup that went well, else what went wrong. */
const resultOrAnswers = column('RESULT', 15, 40, 3, {
  style: 'tone',
  shorten: shortenList,
  text: (c) =>
    c.tone === 'good' && c.answers !== ''
      ? c.answers
      : c.answers === ''
        ? c.result
        : `${c.result} ${c.answers}`,
});

const NARROW = [shortTime, pid, processAndWorkload, type, name, latency, resultOrAnswers];
const MEDIUM = [time, pid, processAndWorkload, type, name, result, latency, answers, server];
const WIDE = [time, pid, process, workload, type, name, result, latency, answers, server];

/** As many whole items of a list as fit, then how many more there are: half an address is no address. */
function shortenList(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  const items = text.split(LIST_SEPARATOR);
  for (let kept = items.length - 1; kept > 0; kept--) {
    const short = `${items.slice(0, kept).join(LIST_SEPARATOR)} +${items.length - kept}`;
    if (displayWidth(short) <= width) return short;
  }
  return shortenEnd(text, width);
}

/** Width of the columns where the output is no terminal; cells that are longer push the rest to the right. */
const NO_TERMINAL = 160;

/** @param width cells of the terminal; undefined = not a terminal */
export function layoutFor(width: number | undefined): Layout {
  const room = Math.max(width ?? NO_TERMINAL, 60);
  const columns = room < 104 ? NARROW : room < 150 ? MEDIUM : WIDE;
  const gap = room < 110 ? ' ' : '  ';
  const available = room - gap.length * (columns.length - 1);
  const widths = distribute(columns, available);
  return {
    columns: columns.map((each, i) => ({ column: each, width: widths[i] ?? each.min })),
    gap,
    shorten: width !== undefined,
  };
}

/** Each column its minimum; the rest by weight, one cell at a time, up to the maximum. */
function distribute(columns: readonly Column[], available: number): number[] {
  const widths = columns.map((each) => each.min);
  let left = available - widths.reduce((sum, width) => sum + width, 0);
  while (left > 0) {
    let neediest = -1;
    let min = Number.POSITIVE_INFINITY;
    columns.forEach((each, i) => {
      const extra = ((widths[i] ?? 0) - each.min) / each.weight;
      if (each.weight > 0 && (widths[i] ?? 0) < each.max && extra < min) {
        min = extra;
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
    .map(({ column: { title, align }, width }) =>
      align === 'right' ? padStart(title, width) : padEnd(title, width),
    )
    .join(layout.gap)
    .trimEnd();
  return color ? `${ESCAPE}1;2m${line}${RESET}` : line;
}

export function renderRow(cells: Cells, layout: Layout, color: boolean): string {
  let line = '';
  let pending = 0;
  for (const { column: each, width } of layout.columns) {
    const full = each.text(cells);
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
