/** A question goes over the segments one after the other, in pieces, until it has enough or its time is over. */
import { UserError } from '../lib/errors.ts';
import type { Row } from './database.ts';
import { type Conditions, Plan } from './plan.ts';
import type { Segment, Span } from './rows.ts';
import { OutOfTime, type Turns } from './turns.ts';

/** What there is to read, the oldest segment first. */
export interface Segments {
  /** Opened; a segment that is damaged is left out and told. */
  all(): readonly Segment[];
  /** What the error of a segment says of it: set aside, or told. @returns whether it was that: then the question goes on without */
  failed(segment: Segment, error: unknown): boolean;
}

/** One segment with what of it is asked for. */
export interface Part {
  readonly segment: Segment;
  readonly plan: Plan;
  /** undefined: no lookups of it are meant. */
  readonly span: Span | undefined;
}

/**
 * @param visit of each segment; true: enough
 * @param fromId only ids from it on @param toId and to it
 */
export async function overSegments(
  segments: Segments,
  conditions: Conditions,
  turns: Turns,
  isNewestFirst: boolean,
  visit: (part: Part) => Promise<boolean>,
  fromId = 0,
  toId = Number.MAX_SAFE_INTEGER,
): Promise<void> {
  const all = [...segments.all()];
  if (isNewestFirst) all.reverse();
  for (const segment of all) {
    if (turns.isOver) return;
    let plan: Plan | undefined;
    try {
      const span = cut(
        segment.span(conditions.since, conditions.until),
        fromId - segment.base,
        toId - segment.base,
      );
      plan = await Plan.make(segment.database, conditions, turns);
      if (await visit({ segment, plan, span: plan.isEmpty ? undefined : span })) return;
    } catch (error) {
      if (error instanceof OutOfTime) return;
      if (error instanceof UserError || !segments.failed(segment, error)) throw error;
    } finally {
      closePlan(plan);
    }
  }
}

/** Rows of the lookups that are meant, piece by piece. @param rest what stands behind WHERE; with `LIMIT ?` it is `limit` */
export async function* lookupRows(
  { segment, plan, span }: Part,
  columns: string,
  rest: string,
  turns: Turns,
  isNewestFirst: boolean,
  limit: () => number,
): AsyncGenerator<readonly Row[]> {
  if (span === undefined) return;
  const sql = `SELECT ${columns} FROM lookups l${plan.joins} WHERE ${plan.where} ${rest}`;
  const statement = segment.database.connection.prepare(sql);
  for (const { low, high } of segment.parts(span, plan, isNewestFirst)) {
    const most = limit();
    if (most <= 0) return;
    yield statement.all(low, high, ...plan.values, ...(rest.includes('LIMIT ?') ? [most] : [])) as Row[];
    if (turns.isOver) return;
    await turns.take();
  }
}

function cut(span: Span | undefined, from: number, to: number): Span | undefined {
  if (span === undefined || from > span.high || to < span.low) return undefined;
  return { low: Math.max(span.low, from), high: Math.min(span.high, to) };
}

function closePlan(plan: Plan | undefined): void {
  try {
    plan?.close();
  } catch {
    // with its segment
  }
}
