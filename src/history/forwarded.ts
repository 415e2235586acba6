/** The questions to a history, handed on to where it is kept: to a thread, over a socket, to another's answers. */
import type { HistoryQueries } from './types.ts';

/** All there are. */
export const QUESTIONS = [
  'search',
  'top',
  'count',
  'timeline',
  'edges',
  'process',
  'name',
  'status',
] as const satisfies readonly (keyof HistoryQueries)[];

/** @param ask what it resolves with is the answer of that question */
export function forwarded(
  ask: (question: keyof HistoryQueries, given: readonly unknown[]) => Promise<unknown>,
): HistoryQueries {
  const entries = QUESTIONS.map((question) => [question, (...given: unknown[]) => ask(question, given)]);
  return Object.fromEntries(entries) as HistoryQueries;
}

/** Asks a history the question of that name. */
export function askedOf(
  history: HistoryQueries,
  question: keyof HistoryQueries,
  given: readonly unknown[],
): Promise<unknown> {
  const call = history[question] as (...given: readonly unknown[]) => Promise<unknown>;
  return call.apply(history, [...given]);
}
