/**
 * A filter's text -> AST, or what is wrong with it and where. Recursive descent over
 *
 *     or         = and { ("or" | "||") and }
 *     and        = not { ("and" | "&&") not }
 *     not        = ("not" | "!") not | "(" or ")" | comparison
 *     comparison = field [ operator value | ["not"] "in" "(" value { "," value } ")" ]
 *
 * Words in any case. A field alone is a boolean one. Bounds: MAX_TEXT, MAX_DEPTH, MAX_VALUES.
 */
import { nearest } from '../lib/nearest.ts';
import {
  FILTER_FIELD_NAMES,
  FILTER_FIELDS,
  type FilterField,
  type FilterFieldKind,
  filterField,
} from '../tables/filter-fields.ts';
import type { Comparison, Filter, FilterProblem, FilterValue } from './ast.ts';
import { FilterSyntaxError, type Token, tokensOf } from './lex.ts';
import { expectedValue, fieldValue, regexValue } from './values.ts';

/** Characters. */
export const MAX_TEXT = 4096;
/** Brackets and `not` in each other. */
export const MAX_DEPTH = 32;
/** Values in all. */
export const MAX_VALUES = 256;

const ORDERED: ReadonlySet<FilterFieldKind> = new Set(['number', 'duration']);
const MATCHED: ReadonlySet<FilterFieldKind> = new Set(['name', 'text', 'data']);

export function parseFilter(text: string): { readonly value: Filter } | { readonly problem: FilterProblem } {
  try {
    if (text.length > MAX_TEXT)
      throw new FilterSyntaxError(`longer than ${MAX_TEXT} characters`, { at: MAX_TEXT, end: text.length });
    return { value: new Parser(tokensOf(text)).parse() };
  } catch (error) {
    if (error instanceof FilterSyntaxError) return { problem: error.problem };
    throw error;
  }
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;
  #values = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): Filter {
    const filter = this.#or();
    if (this.#next.kind !== 'end') this.#unexpected('and, or, or the end');
    return filter;
  }

  get #next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #or(): Filter {
    return this.#list('or', '||', () => this.#list('and', '&&', () => this.#not()));
  }

  #list(kind: 'and' | 'or', sign: string, part: () => Filter): Filter {
    const first = part();
    const operands = [first];
    while (this.#take(sign) || this.#takeWord(kind)) operands.push(part());
    return operands.length === 1 ? first : { kind, operands };
  }

  #not(): Filter {
    if (this.#take('!') || this.#takeWord('not')) {
      const operand = this.#deeper(() => this.#not());
      return { kind: 'not', operand };
    }
    if (!this.#take('(')) return this.#comparison();
    const filter = this.#deeper(() => this.#or());
    this.#expect(')');
    return filter;
  }

  #deeper<T>(part: () => T): T {
    if (++this.#depth > MAX_DEPTH)
      throw new FilterSyntaxError(`more than ${MAX_DEPTH} brackets and nots in each other`, this.#next);
    const result = part();
    this.#depth--;
    return result;
  }

  #comparison(): Filter {
    const token = this.#next;
    if (token.kind !== 'word') this.#unexpected('a field such as name, process or rcode, not, or (');
    const field = FILTER_FIELD_NAMES.get(token.text.toLowerCase());
    if (field === undefined) throw new FilterSyntaxError(unknownField(token.text), token);
    this.#at++;
    if (this.#takeWord('in')) return this.#in(field);
    const isNotIn = isWord(this.#next, 'not') && isWord(this.#tokens[this.#at + 1], 'in');
    if (isNotIn) {
      this.#at += 2;
      return { kind: 'not', operand: this.#in(field) };
    }
    return this.#operator(field, token);
  }

  #operator(field: FilterField, name: Token): Filter {
    const { kind } = filterField(field);
    const sign = this.#next;
    const operator = sign.kind === 'sign' ? OPERATORS[sign.text] : undefined;
    if (operator === undefined) {
      if (kind === 'boolean')
        return { kind: 'compare', field, operator: '=', values: [{ kind: 'boolean', boolean: true }] };
      this.#unexpected(`${operatorsOf(kind)} after ${name.text}`);
    }
    const isOrder = operator !== '=' && operator !== '~';
    if ((isOrder && !ORDERED.has(kind)) || (operator === '~' && !MATCHED.has(kind)))
      throw new FilterSyntaxError(`${field} takes ${operatorsOf(kind)}, not ${sign.text}`, sign);
    this.#at++;
    const comparison: Comparison = {
      kind: 'compare',
      field,
      operator,
      values: [operator === '~' ? this.#regex() : this.#value(field)],
    };
    return sign.text.startsWith('!') ? { kind: 'not', operand: comparison } : comparison;
  }

  #in(field: FilterField): Comparison {
    this.#expect('(');
    const values = [this.#value(field)];
    while (this.#take(',')) values.push(this.#value(field));
    this.#expect(')', ', or )');
    return { kind: 'compare', field, operator: '=', values };
  }

  #value(field: FilterField): FilterValue {
    const token = this.#next;
    if (token.kind !== 'word' && token.kind !== 'quoted') this.#unexpected(expectedValue(field));
    this.#count();
    return fieldValue(field, token);
  }

  #regex(): FilterValue {
    const token = this.#next;
    if (token.kind === 'sign' || token.kind === 'end') this.#unexpected('a regular expression: /.../');
    this.#count();
    return regexValue(token);
  }

  #count(): void {
    if (++this.#values > MAX_VALUES)
      throw new FilterSyntaxError(`more than ${MAX_VALUES} values`, this.#next);
    this.#at++;
  }

  #take(sign: string): boolean {
    const isIt = this.#next.kind === 'sign' && this.#next.text === sign;
    if (isIt) this.#at++;
    return isIt;
  }

  #takeWord(word: string): boolean {
    const isIt = isWord(this.#next, word);
    if (isIt) this.#at++;
    return isIt;
  }

  #expect(sign: string, expected = sign): void {
    if (!this.#take(sign)) this.#unexpected(expected);
  }

  #unexpected(expected: string): never {
    const { kind, text } = this.#next;
    const found = kind === 'end' ? 'the filter ends here' : `"${text}"`;
    throw new FilterSyntaxError(`${found}: expected ${expected}`, this.#next);
  }
}

const OPERATORS: Readonly<Record<string, Comparison['operator']>> = {
  '=': '=',
  '==': '=',
  '!=': '=',
  '~': '~',
  '!~': '~',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

function operatorsOf(kind: FilterFieldKind): string {
  if (ORDERED.has(kind)) return '=, !=, <, <=, >, >= or in';
  return MATCHED.has(kind) ? '=, !=, ~, !~ or in' : '=, != or in';
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text.toLowerCase() === word;
}

function unknownField(word: string): string {
  const meant = nearest(word, FILTER_FIELD_NAMES.keys());
  if (meant !== undefined) return `"${word}" is no field: did you mean ${meant}?`;
  return `"${word}" is no field: expected one of ${Object.keys(FILTER_FIELDS).join(', ')}`;
}
