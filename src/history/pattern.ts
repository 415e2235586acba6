/** Names by a regular expression. One that takes for ever (a ReDoS) is ended: it runs with a deadline of V8's own. */
import { createContext, Script } from 'node:vm';
import { usageError } from './errors.ts';
import type { NameMatcher } from './plan.ts';

/** ms for all names of a question. */
const PATTERN_MS = 1000;
const MAX_PATTERN = 512;

/** @throws UserError: it does not compile */
export function nameMatcher(pattern: string): NameMatcher {
  if (pattern.length > MAX_PATTERN)
    throw usageError(`a regular expression of more than ${MAX_PATTERN} characters`);
  try {
    new RegExp(pattern, 'iu');
  } catch (error) {
    throw usageError(`not a regular expression: ${(error as Error).message.replace(/^.*: /, '')}`);
  }
  const context = createContext({ pattern, names: [] as readonly string[] });
  const script = new Script("regex ??= new RegExp(pattern, 'iu'); names.map((name) => regex.test(name))");
  new Script('var regex').runInContext(context);
  let left = PATTERN_MS;
  return (names) => {
    const begin = performance.now();
    context['names'] = names;
    try {
      return script.runInContext(context, { timeout: Math.max(Math.floor(left), 1) }) as readonly boolean[];
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      throw usageError(`the regular expression took longer than ${PATTERN_MS / 1000} s`);
    } finally {
      left -= performance.now() - begin;
    }
  };
}
