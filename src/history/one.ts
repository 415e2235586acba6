/** One process, and one name. */
import { nameOf } from './plan.ts';
import { processOf } from './process-rows.ts';
import type { Segments } from './read.ts';
import type { Segment } from './rows.ts';
import { resultText } from './rows.ts';
import { search } from './search.ts';
import { eachLookup, type Group, Groups } from './top.ts';
import type {
  NameAnswer,
  NameAnswers,
  ProcessAnswer,
  StoredConnection,
  StoredFinding,
  StoredProcess,
  Window,
} from './types.ts';

const MAX_ROWS = 1000;
const MAX_PARENTS = 16;
const MAX_CHILDREN = 100;
const PROCESSES = 'SELECT p.*, r.json FROM processes p LEFT JOIN rests r ON r.id = p.rest';

export async function oneProcess(
  segments: Segments,
  key: string,
  window: Window = {},
): Promise<ProcessAnswer | undefined> {
  const process = latest(segments, `${PROCESSES} WHERE p.key = ? ORDER BY p.id DESC LIMIT 1`, key);
  if (process === undefined) return undefined;
  const names = new Groups('name');
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  await eachLookup(
    segments,
    { ...window, processKey: key, pid: process.pid },
    (question, asker, time, duration) => {
      first = Math.min(first, time);
      last = Math.max(last, time);
      names.of(question, asker)?.add(question, time, duration);
    },
  );
  const kinds = ['connection', 'finding'] as const;
  const narrowed = { ...window, processKey: key, pid: process.pid, limit: MAX_ROWS };
  const events = (await search(segments, { ...narrowed, kinds })).rows;
  for (const { time } of events) {
    first = Math.min(first, time);
    last = Math.max(last, time);
  }
  return {
    process,
    parents: parentsOf(segments, process),
    children: childrenOf(segments, process),
    firstSeen: Number.isFinite(first) ? first : (process.started ?? 0),
    lastSeen: last || (process.started ?? 0),
    names: names.sorted('count', MAX_ROWS).map(withFirst),
    connections: events.filter((row): row is StoredConnection => row.kind === 'connection'),
    findings: events.filter((row): row is StoredFinding => row.kind === 'finding'),
  };
}

export async function oneName(
  segments: Segments,
  text: string,
  window: Window = {},
): Promise<NameAnswer | undefined> {
  const name = nameOf(text);
  const processes = new Groups('process');
  const answers = new Map<string, Mutable<NameAnswers>>();
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  let domain = '';
  await eachLookup(segments, { ...window, name }, (question, process, time, duration, ttl) => {
    domain = question.domain;
    first = Math.min(first, time);
    last = Math.max(last, time);
    processes.of(question, process)?.add(question, time, duration);
    const { type } = question;
    const result = resultText(question.result);
    const key = `${type} ${result} ${question.answers.map(({ data }) => data).join(' ')}`;
    const known = answers.get(key);
    if (known === undefined) {
      if (answers.size < MAX_ROWS)
        answers.set(key, {
          type,
          result,
          answers: question.answers,
          firstSeen: time,
          lastSeen: time,
          count: 1,
          minTtl: ttl,
          maxTtl: ttl,
        });
      return;
    }
    known.count++;
    known.firstSeen = Math.min(known.firstSeen, time);
    known.lastSeen = Math.max(known.lastSeen, time);
    if (ttl === undefined) return;
    known.minTtl = Math.min(known.minTtl ?? ttl, ttl);
    known.maxTtl = Math.max(known.maxTtl ?? ttl, ttl);
  });
  if (!Number.isFinite(first)) return undefined;
  return {
    name,
    domain,
    firstSeen: first,
    lastSeen: last,
    processes: processes.sorted('count', MAX_ROWS).map((group) => group.row()),
    answers: [...answers.values()].sort((a, b) => b.lastSeen - a.lastSeen),
  };
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function withFirst(group: Group): ReturnType<Group['row']> & { readonly firstSeen: number } {
  return { ...group.row(), firstSeen: group.first };
}

/** A process id is used again: of those that had it the last one that began before its child. */
function parentsOf(segments: Segments, process: StoredProcess): readonly StoredProcess[] {
  const parents: StoredProcess[] = [];
  for (let child = process; parents.length < MAX_PARENTS && child.parentPid > 0; ) {
    const parent = latest(
      segments,
      `${PROCESSES} WHERE p.pid = ? AND (p.started IS NULL OR p.started <= ?) ORDER BY p.started DESC LIMIT 1`,
      child.parentPid,
      child.started ?? Number.MAX_SAFE_INTEGER,
    );
    if (parent === undefined || parents.some(({ key }) => key === parent.key)) break;
    parents.push(parent);
    child = parent;
  }
  return parents;
}

function childrenOf(segments: Segments, { pid, started }: StoredProcess): readonly StoredProcess[] {
  const children = new Map<string, StoredProcess>();
  if (pid === 0) return [];
  each(segments, (segment) => {
    const rows = segment.database.all(
      `${PROCESSES} WHERE p.parent_pid = ? AND (p.started IS NULL OR p.started >= ?) LIMIT ${MAX_CHILDREN}`,
      pid,
      started ?? 0,
    );
    for (const row of rows) {
      const child = processOf(row);
      if (children.size < MAX_CHILDREN) children.set(child.key, child);
    }
  });
  return [...children.values()];
}

function latest(segments: Segments, sql: string, ...values: (string | number)[]): StoredProcess | undefined {
  let found: StoredProcess | undefined;
  each(segments, (segment) => {
    const row = segment.database.first(sql, ...values);
    if (row !== undefined) found = processOf(row);
  });
  return found;
}

function each(segments: Segments, visit: (segment: Segment) => void): void {
  for (const segment of segments.all())
    try {
      visit(segment);
    } catch (error) {
      if (!segments.failed(segment, error)) throw error;
    }
}
