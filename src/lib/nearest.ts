/** What a mistyped word was probably meant to be. */

/** One mistake in so many characters is still a mistake, more is another word. */
const CHARACTERS_A_MISTAKE = 4;

/**
 * The candidate with the fewest changes (insert, delete, replace, swap of neighbours); undefined: none is near enough to be
 * meant.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const [ours, theirs] = differing(word.toLowerCase(), candidate.toLowerCase());
    const changes = distance(ours, theirs);
    const max = Math.max(1, Math.floor(ours.length / CHARACTERS_A_MISTAKE));
    if (changes > max || changes >= fewest) continue;
    best = candidate;
    fewest = changes;
  }
  return best;
}

/** Without the words that both begin with: `--include-rcode` and `--include-pods` have little in common. */
function differing(a: string, b: string): readonly [string, string] {
  let common = 0;
  for (let i = 0; i < a.length && a[i] === b[i]; i++) if (a[i] === '-' || a[i] === '_') common = i + 1;
  return [a.slice(common), b.slice(common)];
}

/** Optimal string alignment distance. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let min = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        min = Math.min(min, (before[j - 2] ?? 0) + 1);
      next.push(min);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
