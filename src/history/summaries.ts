/** Rates over time, and who asked for what and got which address. */
import type { Conditions } from './plan.ts';
import { lookupRows, overSegments, type Segments } from './read.ts';
import { numberOf } from './rows.ts';
import { NOT_FAILED } from './schema.ts';
import { eachLookup } from './top.ts';
import { Turns } from './turns.ts';
import type { Edge, EdgesAnswer, EdgesQuery, TimelineAnswer, TimelineQuery } from './types.ts';

const DEFAULT_BUCKETS = 120;
const MAX_BUCKETS = 2000;
const DEFAULT_EDGES = 50;
const MAX_EDGES = 1000;
/** Pairs counted at once; what comes after is left out. */
const MAX_PAIRS = 100_000;

export async function timeline(
  segments: Segments,
  query: TimelineQuery & Conditions,
): Promise<TimelineAnswer> {
  const turns = new Turns();
  const [from, to] = extent(segments, query);
  const buckets = Math.min(Math.max(Math.floor(query.buckets ?? DEFAULT_BUCKETS), 1), MAX_BUCKETS);
  const width = Math.max(Math.ceil((to - from) / buckets), 1);
  const count = new Array<number>(buckets).fill(0);
  const failed = new Array<number>(buckets).fill(0);
  let searchedTo: number | undefined;
  const conditions = { ...query, since: from, until: to };
  await overSegments(segments, conditions, turns, true, async (part) => {
    const columns = `(l.time - ${from}) / ${width} AS bucket, count(*) AS count,
      sum((SELECT w.result FROM questions w WHERE w.id = l.question) NOT IN (${NOT_FAILED.join(', ')})) AS failed,
      min(l.time) AS time`;
    for await (const rows of lookupRows(part, columns, 'GROUP BY bucket', turns, true, () => 1))
      for (const row of rows) {
        const bucket = numberOf(row['bucket']);
        if (bucket < 0 || bucket >= buckets) continue;
        count[bucket] = (count[bucket] ?? 0) + numberOf(row['count']);
        failed[bucket] = (failed[bucket] ?? 0) + numberOf(row['failed']);
        searchedTo = numberOf(row['time']);
      }
    return false;
  });
  return { from, width, count, failed, searchedTo: turns.isOver ? (searchedTo ?? to) : undefined };
}

/** What of the window there is anything in. */
function extent(segments: Segments, { since, until }: Conditions): readonly [number, number] {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const segment of segments.all())
    try {
      const row = segment.database.first('SELECT min(first) AS first, max(last) AS last FROM chunks');
      if (typeof row?.['first'] === 'number') first = Math.min(first, row['first']);
      if (typeof row?.['last'] === 'number') last = Math.max(last, row['last'] + 1);
    } catch (error) {
      if (!segments.failed(segment, error)) throw error;
    }
  const end = until ?? (last === Number.NEGATIVE_INFINITY ? Date.now() * 1000 : last);
  const begin = since ?? (first === Number.POSITIVE_INFINITY ? end - 1 : first);
  return [Math.floor(Math.min(begin, end - 1)), Math.floor(end)];
}

export async function edges(segments: Segments, query: EdgesQuery & Conditions): Promise<EdgesAnswer> {
  const domains = new Edges();
  const addresses = new Edges();
  const searchedTo = await eachLookup(segments, query, (question, process) => {
    const executable = process.executable || '?';
    const { domain, failed } = question;
    domains.add(process.workload === '' ? executable : `${process.workload}/${executable}`, domain, failed);
    for (const { type, data } of question.answers)
      if (type === 'A' || type === 'AAAA') addresses.add(domain, data, failed);
  });
  const limit = Math.min(Math.max(Math.floor(query.limit ?? DEFAULT_EDGES), 1), MAX_EDGES);
  const kept = domains.busiest(limit);
  const shown = new Set(kept.map(({ to }) => to));
  return { domains: kept, addresses: addresses.busiest(limit, ({ from }) => shown.has(from)), searchedTo };
}

class Edges {
  readonly #edges = new Map<string, { from: string; to: string; count: number; failed: number }>();

  add(from: string, to: string, isFailed: boolean): void {
    const key = `${from}\0${to}`;
    let edge = this.#edges.get(key);
    if (edge === undefined) {
      if (this.#edges.size >= MAX_PAIRS) return;
      edge = { from, to, count: 0, failed: 0 };
      this.#edges.set(key, edge);
    }
    edge.count++;
    if (isFailed) edge.failed++;
  }

  busiest(limit: number, isShown: (edge: Edge) => boolean = () => true): readonly Edge[] {
    return [...this.#edges.values()]
      .filter(isShown)
      .sort((a, b) => b.count - a.count)
      .slice(0, limit);
  }
}
