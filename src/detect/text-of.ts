/** An error of someone else's code: anything may be thrown, and its text may throw again. */

const MAX_CHARACTERS = 500;
/** A text that V8 holds in pieces is put together to be cut. */
const LONGEST_TEXT = 4 * 1024 * 1024;

export function textOf(error: unknown): string {
  try {
    const text: unknown = error instanceof Error ? error.message : String(error);
    if (typeof text !== 'string' || text.length > LONGEST_TEXT) return 'something that cannot be shown';
    return text.slice(0, MAX_CHARACTERS);
  } catch {
    return 'something that cannot be shown';
  }
}
