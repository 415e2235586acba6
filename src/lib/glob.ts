/** Patterns with `*` (any characters but `/`), `**` (any characters) and `?` (one character but `/`). */

const MAX_CHARACTERS = 4096;

/** Linear in the text for each star: no regular expression that a hostile path could make slow. */
export function matchesGlob(pattern: string, text: string): boolean {
  if (text.length > MAX_CHARACTERS) return false;
  // Positions of the pattern that the text so far can have led to.
  let states = closure(pattern, new Set([0]));
  for (const character of text) {
    const next = new Set<number>();
    for (const at of states) {
      const symbol = pattern[at];
      if (symbol === undefined) continue;
      if (symbol === '*') {
        const isDouble = pattern[at + 1] === '*';
        if (isDouble || character !== '/') next.add(at);
      } else if (symbol === '?' ? character !== '/' : symbol === character) next.add(at + 1);
    }
    states = closure(pattern, next);
    if (states.size === 0) return false;
  }
  return states.has(pattern.length);
}

/** A star may also match nothing. */
function closure(pattern: string, states: Set<number>): Set<number> {
  for (const at of states) if (pattern[at] === '*') states.add(at + (pattern[at + 1] === '*' ? 2 : 1));
  return states;
}
