/** Regular expressions of a filter, matched in linear time (RE2): who may look at others' names must not stop the agent by one. */
import type { FilterValue } from './ast.ts';

type Regex = Extract<FilterValue, { readonly kind: 'regex' }>;

/** Of a text as much is looked at; a name as text has at most 1004 characters. */
const MAX_TEXT = 4096;
/** Instructions: with a name's characters the most steps of one lookup, about 10 ms of them. */
const MAX_PROGRAM = 2000;
/** Characters of an error. */
const MAX_MESSAGE = 200;

/** Loads the engine. @throws Error: RE2 cannot do it, or it is too large; one line */
export async function compileRegex({ source, ignoreCase }: Regex): Promise<(text: string) => boolean> {
  const { RE2JS } = await import('re2js');
  let regex: ReturnType<typeof RE2JS.compile>;
  try {
    regex = RE2JS.compile(source, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  } catch (error) {
    // Of some errors it is all of the expression.
    throw new Error((error as Error).message.slice(0, MAX_MESSAGE), { cause: error });
  }
  if (regex.programSize() > MAX_PROGRAM) throw new Error('the regular expression is too large');
  return (text) => regex.test(text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text);
}
