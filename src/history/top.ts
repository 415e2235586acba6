/** Who asks most, what is asked for most, who answers, what fails. */

import { Histogram } from './histogram.ts';
import type { Conditions } from './plan.ts';
import { lookupRows, overSegments, type Segments } from './read.ts';
import { numberOf, type QuestionRow, resultText } from './rows.ts';
import { Turns } from './turns.ts';
import type { StoredProcess, TopAnswer, TopBy, TopQuery, TopRow } from './types.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 1000;
/** Groups counted at once: of more than this those that are new are counted as one. */
const MAX_GROUPS = 100_000;
const MAX_NAMES = 100_000;
const OTHERS = '(others)';

/** What is summed of one row. */
export class Group {
  readonly key: string;
  readonly label: string;
  readonly process: StoredProcess | undefined;
  count = 0;
  failed = 0;
  first = Number.POSITIVE_INFINITY;
  readonly #durations = new Histogram();
  readonly #names = new Set<string>();

  constructor(key: string, label: string, process: StoredProcess | undefined) {
    this.key = key;
    this.label = label;
    this.process = process;
  }

  add(question: QuestionRow, time: number, duration: number | undefined): void {
    this.count++;
    if (question.failed) this.failed++;
    if (time < this.first) this.first = time;
    if (duration !== undefined) this.#durations.add(duration);
    if (this.#names.size < MAX_NAMES) this.#names.add(question.name);
  }

  row(): TopRow {
    const { key, label, process, count, failed } = this;
    return {
      key,
      label,
      process,
      count,
      failed,
      p50: this.#durations.percentile(0.5),
      p99: this.#durations.percentile(0.99),
      names: this.#names.size,
    };
  }
}

export class Groups {
  readonly #by: TopBy;
  readonly #groups = new Map<string, Group>();

  constructor(by: TopBy) {
    this.#by = by;
  }

  of(question: QuestionRow, process: StoredProcess): Group | undefined {
    switch (this.#by) {
      case 'process':
        return this.#group(process.key, process.executable || '?', process);
      case 'name':
        return this.#group(question.name, question.name);
      case 'domain':
        return this.#group(question.domain, question.domain);
      case 'server':
        return this.#group(question.server.address, question.server.address);
      case 'type':
        return this.#group(question.type, question.type);
      case 'failure': {
        const result = resultText(question.result);
        return question.failed ? this.#group(result, result) : undefined;
      }
    }
  }

  sorted(sort: TopQuery['sort'] = 'count', limit: number): readonly Group[] {
    const groups = [...this.#groups.values()];
    if (sort === 'count' || sort === 'failed')
      return groups.sort((a, b) => b[sort] - a[sort]).slice(0, limit);
    const rows = new Map(groups.map((group) => [group, group.row()[sort] ?? -1]));
    return groups.sort((a, b) => (rows.get(b) ?? -1) - (rows.get(a) ?? -1)).slice(0, limit);
  }

  #group(key: string, label: string, process?: StoredProcess): Group {
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    if (this.#groups.size >= MAX_GROUPS && key !== OTHERS) return this.#group(OTHERS, OTHERS);
    const made = new Group(key, label, process);
    this.#groups.set(key, made);
    return made;
  }
}

export async function top(segments: Segments, query: TopQuery & Conditions): Promise<TopAnswer> {
  const groups = new Groups(query.by);
  let count = 0;
  let failed = 0;
  const searchedTo = await eachLookup(segments, query, (question, process, time, duration) => {
    count++;
    if (question.failed) failed++;
    groups.of(question, process)?.add(question, time, duration);
  });
  const limit = Math.min(Math.max(Math.floor(query.limit ?? DEFAULT_LIMIT), 1), MAX_LIMIT);
  return { rows: groups.sorted(query.sort, limit).map((group) => group.row()), count, failed, searchedTo };
}

/** @returns where it had to stop, the time being over */
export async function eachLookup(
  segments: Segments,
  conditions: Conditions,
  visit: (
    question: QuestionRow,
    process: StoredProcess,
    time: number,
    duration: number | undefined,
    ttl: number | undefined,
    questionId: string,
  ) => void,
): Promise<number | undefined> {
  const turns = new Turns();
  let last: number | undefined;
  await overSegments(segments, conditions, turns, true, async (part) => {
    const { segment } = part;
    const columns = 'l.time, l.process, l.question, l.duration, l.ttl';
    for await (const rows of lookupRows(part, columns, '', turns, true, () => 1))
      for (const row of rows) {
        const question = row['question'] as number;
        const duration = typeof row['duration'] === 'number' ? row['duration'] : undefined;
        const ttl = typeof row['ttl'] === 'number' ? row['ttl'] : undefined;
        last = numberOf(row['time']);
        visit(
          segment.question(question),
          segment.process(row['process'] as number),
          last,
          duration,
          ttl,
          `${segment.number} ${question}`,
        );
      }
    return false;
  });
  return turns.isOver ? (last ?? Date.now() * 1000) : undefined;
}
