/** A filter's text as words, quoted texts, regular expressions and signs. */
import type { FilterProblem } from './ast.ts';

export interface Token {
  readonly kind: 'word' | 'quoted' | 'regex' | 'sign' | 'end';
  /** Of a quoted text or a regular expression without its quotes. */
  readonly text: string;
  /** Of a regular expression: `i` or nothing. */
  readonly flags?: string;
  readonly at: number;
  readonly end: number;
}

/** Thrown within src/filter only. */
export class FilterSyntaxError extends Error {
  readonly problem: FilterProblem;

  constructor(message: string, { at, end }: Pick<FilterProblem, 'at' | 'end'>) {
    super(message);
    this.problem = { message, at, end };
  }
}

const SIGNS = ['&&', '||', '==', '!=', '!~', '<=', '>=', '=', '~', '<', '>', '(', ')', ',', '!'];
/** What a word may hold: anything but blanks, signs and quotes. */
const WORD = /[^\s()=!<>~,"'&|]+/y;
const BLANKS = /\s*/y;

export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = skipBlanks(text, 0);
  while (at < text.length) {
    const token = tokenAt(text, at, tokens.at(-1));
    tokens.push(token);
    at = skipBlanks(text, token.end);
  }
  tokens.push({ kind: 'end', text: '', at: text.length, end: text.length });
  return tokens;
}

function skipBlanks(text: string, at: number): number {
  BLANKS.lastIndex = at;
  return at + (BLANKS.exec(text)?.[0].length ?? 0);
}

function tokenAt(text: string, at: number, before: Token | undefined): Token {
  const first = text[at] as string;
  if (first === '"' || first === "'") return quotedAt(text, at, first);
  if (first === '/' && before?.kind === 'sign' && before.text.endsWith('~')) return regexAt(text, at);
  const sign = SIGNS.find((each) => text.startsWith(each, at));
  if (sign !== undefined) return { kind: 'sign', text: sign, at, end: at + sign.length };
  WORD.lastIndex = at;
  const word = WORD.exec(text)?.[0];
  if (word === undefined) throw new FilterSyntaxError(`unexpected ${first}`, { at, end: at + 1 });
  return { kind: 'word', text: word, at, end: at + word.length };
}

/** A backslash takes the next character as it is: a quote or another backslash; before others it stays (`\.` of a domain name). */
function quotedAt(text: string, at: number, quote: string): Token {
  let inside = '';
  for (let i = at + 1; i < text.length; i++) {
    const character = text[i] as string;
    if (character === quote) return { kind: 'quoted', text: inside, at, end: i + 1 };
    const next = text[i + 1];
    if (character === '\\' && (next === quote || next === '\\')) {
      inside += next;
      i++;
    } else inside += character;
  }
  throw new FilterSyntaxError(`the quote ${quote} is not closed`, { at, end: text.length });
}

/** To the next slash that is neither escaped nor in a class of characters. */
function regexAt(text: string, at: number): Token {
  let isClass = false;
  for (let i = at + 1; i < text.length; i++) {
    const character = text[i];
    if (character === '\\') i++;
    else if (character === '[') isClass = true;
    else if (character === ']') isClass = false;
    else if (character === '/' && !isClass) {
      const source = text.slice(at + 1, i).replaceAll('\\/', '/');
      const flags = /^[a-z]*/.exec(text.slice(i + 1))?.[0] ?? '';
      return { kind: 'regex', text: source, flags, at, end: i + 1 + flags.length };
    }
  }
  throw new FilterSyntaxError('the regular expression is not closed: /.../', { at, end: text.length });
}
