/** What is wrong with a filter, for people: the place is marked below the text. */
import { forTerminal } from '../lib/escape.ts';
import type { FilterProblem } from './ast.ts';

/** Characters shown before and after the place. */
const AROUND = 40;

/** Three lines, safe for a terminal: the message, the text around the place, and what marks it. */
export function explainProblem(text: string, { message, at, end }: FilterProblem): string {
  const from = Math.max(0, at - AROUND);
  const before = forTerminal(text.slice(from, at));
  const shown = Math.min(end, at + AROUND);
  const wrong = forTerminal(text.slice(at, shown));
  const after = forTerminal(text.slice(shown, shown + AROUND));
  const mark = `${' '.repeat(before.length)}${'^'.repeat(Math.max(1, wrong.length))}`;
  return `${forTerminal(message)}\n  ${before}${wrong}${after}\n  ${mark}`;
}
