/** Patterns in which `*` is any characters, `?` one, and a backslash makes the next one plain. */

const ANY = Symbol('?');
type Piece = readonly (string | typeof ANY)[];

/** Whether a text matches as a whole. Text times pattern steps at most: each piece between stars is looked for from left to right. */
export function wildcard(pattern: string): (text: string) => boolean {
  const pieces = piecesOf(pattern);
  const first = pieces[0] as Piece;
  const last = pieces.at(-1) as Piece;
  const least = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return (text) => {
    if (text.length < least || !isAt(text, 0, first)) return false;
    if (pieces.length === 1) return text.length === first.length;
    const end = text.length - last.length;
    if (!isAt(text, end, last)) return false;
    let at = first.length;
    for (const piece of pieces.slice(1, -1)) {
      while (at + piece.length <= end && !isAt(text, at, piece)) at++;
      at += piece.length;
      if (at > end) return false;
    }
    return true;
  };
}

/** What stands between the stars, one more than there are of them. */
function piecesOf(pattern: string): Piece[] {
  const pieces: (string | typeof ANY)[][] = [[]];
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i] as string;
    if (character === '*') pieces.push([]);
    else if (character === '?') pieces.at(-1)?.push(ANY);
    else if (character === '\\' && /[*?\\]/.test(pattern[i + 1] ?? ''))
      pieces.at(-1)?.push(pattern[++i] as string);
    else pieces.at(-1)?.push(character);
  }
  return pieces;
}

function isAt(text: string, at: number, piece: Piece): boolean {
  for (let i = 0; i < piece.length; i++) if (piece[i] !== ANY && piece[i] !== text[at + i]) return false;
  return true;
}
