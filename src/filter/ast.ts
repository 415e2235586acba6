/**
 * A filter as data: what the parser gives, what becomes a predicate over lookups (compile.ts) and SQL over what is kept (history).
 *
 * Meaning: a comparison is true when the lookup has the field and any of its values equals any of `values` (several questions, several
 * answers, several values after `in`). What the lookup does not have is unknown, and a comparison with it is false; `not` turns that
 * round. `!=`, `not in` and `!~` are `not` of the comparison, so `process!=curl` is true of an unknown process. (In SQL: every
 * comparison yields 0 or 1, never NULL.)
 */
import type { FilterField } from '../tables/filter-fields.ts';

export type Filter =
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Filter[] }
  | { readonly kind: 'not'; readonly operand: Filter }
  | Comparison;

export interface Comparison {
  readonly kind: 'compare';
  readonly field: FilterField;
  /** `<` and the like take one `number`; `~` takes one `regex`. */
  readonly operator: '=' | '<' | '<=' | '>' | '>=' | '~';
  /** Never empty; several: any of them. */
  readonly values: readonly FilterValue[];
}

/** By the kind of the field (tables/filter-fields.ts). */
export type FilterValue =
  /** `name`, `text`, `data`, `word`. With `isPattern` `*` is any characters and `?` one, and `\` makes the next one plain. */
  | { readonly kind: 'text'; readonly text: string; readonly isPattern: boolean }
  /** `domain`: lower case, presentation form without the dot at the end; `.` is the root. */
  | { readonly kind: 'domain'; readonly domain: string }
  /** `number`; `duration` in ns; `rrtype` and `rcode` as on the wire. */
  | { readonly kind: 'number'; readonly number: number }
  /** `address` and `data`: the 16 bytes of the block's first address, IPv4 as ::ffff:a.b.c.d, and how many of 128 bits count. */
  | { readonly kind: 'address'; readonly bytes: readonly number[]; readonly prefix: number }
  | { readonly kind: 'boolean'; readonly boolean: boolean }
  /** Of RE2: linear in the text. Finds anywhere. */
  | { readonly kind: 'regex'; readonly source: string; readonly ignoreCase: boolean };

/** What is wrong with a filter, and where: characters of the text, `end` exclusive. */
export interface FilterProblem {
  readonly message: string;
  readonly at: number;
  readonly end: number;
}

/** Whether it matches with a regular expression anywhere. */
export function hasRegex(filter: Filter): boolean {
  if (filter.kind === 'compare') return filter.operator === '~';
  return filter.kind === 'not' ? hasRegex(filter.operand) : filter.operands.some(hasRegex);
}

/** All of them; undefined: there is none. */
export function allOf(filters: readonly Filter[]): Filter | undefined {
  const [first] = filters;
  return filters.length < 2 ? first : { kind: 'and', operands: filters };
}
