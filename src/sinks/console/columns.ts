/** The columns of the table: what each shows, and how wide it wants to be. */
import { displayWidth, shortenEnd, shortenMiddle } from '../../lib/display-width.ts';
import type { ProcessIdentity } from '../../model.ts';
import { type Cells, LIST_SEPARATOR, processText } from '../../records/cells.ts';
import type { ColumnName } from '../../tables/table-columns.ts';

export interface Column {
  readonly name: ColumnName;
  readonly title: string;
  readonly min: number;
  readonly max: number;
  /** Share of the room that is left over; 0 = fixed width. */
  readonly weight: number;
  readonly align: 'left' | 'right';
  readonly shorten: (text: string, width: number) => string;
  readonly text: (cells: Cells, process: ProcessIdentity) => string;
  readonly style: Style;
}

export type Style = 'plain' | 'dim' | 'bold' | 'cyan' | 'tone';

function column(name: ColumnName, min: number, max: number, weight: number, rest: Partial<Column>): Column {
  const defaults = { align: 'left', shorten: shortenEnd, style: 'plain', text: () => '' } as const;
  return { name, title: name.toUpperCase(), min, max, weight, ...defaults, ...rest };
}

const fromResource = (attribute: string) => (_: Cells, process: ProcessIdentity) =>
  processText(process, attribute);

export const COLUMNS: Readonly<Record<ColumnName, Column>> = {
  time: column('time', 12, 12, 0, { style: 'dim', text: (c) => c.time }),
  pid: column('pid', 7, 7, 0, { align: 'right', text: (c) => c.pid }),
  process: column('process', 12, 24, 2, { style: 'cyan', text: (c) => c.process }),
  user: column('user', 8, 16, 1, {
    text: (_, process) =>
      processText(process, 'process.user.name') || processText(process, 'process.user.id'),
  }),
  parent: column('parent', 8, 15, 1, { text: fromResource('whodns.process.parent.executable.name') }),
  command: column('command', 12, 60, 3, {
    text: (_, process) =>
      processText(process, 'process.command_args') || processText(process, 'process.command'),
  }),
  container: column('container', 14, 36, 2, {
    title: 'CONTAINER/POD',
    shorten: shortenMiddle,
    text: (c) => c.workload,
  }),
  type: column('type', 5, 5, 0, { text: (c) => c.type }),
  // What the others leave goes to names.
  name: column('name', 18, Number.POSITIVE_INFINITY, 5, {
    style: 'bold',
    shorten: shortenMiddle,
    text: (c) => c.name,
  }),
  result: column('result', 8, 8, 0, { style: 'tone', text: (c) => c.result }),
  latency: column('latency', 7, 7, 0, { align: 'right', text: (c) => c.latency }),
  answers: column('answers', 15, 72, 4, { shorten: shortenList, text: (c) => c.answers }),
  server: column('server', 13, 26, 2, { style: 'dim', shorten: shortenMiddle, text: (c) => c.server }),
};

const { time, pid, process, container, type, name, result, latency, answers, server } = COLUMNS;
const shortTime: Column = { ...time, min: 8, max: 8, text: (c) => c.time.slice(0, 8) };
const processAndWorkload: Column = {
  ...process,
  min: 9,
  max: 30,
  weight: 3,
  text: (c) => (c.workload === '' ? c.process : `${c.process}@${c.workload}`),
};
/** Where there is no room for both: the answers of a lookup that went well, else what went wrong. */
const resultOrAnswers: Column = {
  ...result,
  min: 15,
  max: 40,
  weight: 3,
  shorten: shortenList,
  text: (c) =>
    c.tone === 'good' && c.answers !== ''
      ? c.answers
      : c.answers === ''
        ? c.result
        : `${c.result} ${c.answers}`,
};

/** What a terminal of so many cells shows. */
export function columnsFor(width: number): readonly Column[] {
  if (width < 104) return [shortTime, pid, processAndWorkload, type, name, latency, resultOrAnswers];
  if (width < 150) return [time, pid, processAndWorkload, type, name, result, latency, answers, server];
  return [time, pid, process, container, type, name, result, latency, answers, server];
}

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
