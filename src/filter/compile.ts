/**
 * AST -> predicate. What a lookup has as numbers is compared as numbers, names as the labels on the wire, addresses as words. A text is
 * made of a lookup only for patterns, regular expressions and answers as text. What is of the process alone is judged once for it.
 */
import type { LookupView } from '../lookup/view.ts';
import type { ConnectionEvent, ProcessIdentity } from '../model.ts';
import { filterField } from '../tables/filter-fields.ts';
import { type Comparison, type Filter, hasRegex } from './ast.ts';
import { connectionComparison } from './connection-fields.ts';
import { lookupComparison } from './lookup-fields.ts';
import type { Matchers, Predicate } from './predicate.ts';
import { isProcessField, processComparison } from './process-fields.ts';
import { compileRegex } from './regex.ts';

/** Judges what it is given at once: nothing of it is kept. */
export interface FilterPredicate {
  readonly lookup: Predicate<LookupView>;
  readonly connection: Predicate<ConnectionEvent>;
}

type Compare<T> = (comparison: Comparison, matchers: Matchers) => Predicate<T>;

/** @throws Error: a regular expression that cannot be; one line */
export async function compileFilter(filter: Filter): Promise<FilterPredicate> {
  const matchers = await allRegexes(filter);
  return {
    lookup: compile<LookupView>(filter, lookupComparison, matchers),
    connection: compile<ConnectionEvent>(filter, connectionComparison, matchers),
  };
}

/** Its regular expressions, compiled. @throws Error: one that cannot be; one line */
export async function allRegexes(filter: Filter): Promise<Matchers> {
  const matchers = new Map<Comparison, Predicate<string>>();
  if (hasRegex(filter)) await addRegexes(filter, matchers);
  return matchers;
}

async function addRegexes(filter: Filter, matchers: Map<Comparison, Predicate<string>>): Promise<void> {
  if (filter.kind === 'not') return addRegexes(filter.operand, matchers);
  if (filter.kind !== 'compare') {
    for (const operand of filter.operands) await addRegexes(operand, matchers);
    return;
  }
  const isName = filterField(filter.field).kind === 'name';
  for (const value of filter.values)
    if (value.kind === 'regex')
      matchers.set(filter, await compileRegex(isName ? { ...value, ignoreCase: true } : value));
}

function compile<T extends { readonly process: ProcessIdentity }>(
  filter: Filter,
  compare: Compare<T>,
  matchers: Matchers,
): Predicate<T> {
  const ofProcess = (each: Filter) =>
    each.kind === 'compare' ? processComparison(each, matchers) : undefined;
  return build<T>(filter, (each) => {
    if (isOfProcess(each)) return oncePerProcess(build(each, ofProcess));
    return each.kind === 'compare' ? compare(each, matchers) : undefined;
  });
}

/** @param leaf what becomes of a part that is not taken apart any further; of a comparison always */
function build<T>(filter: Filter, leaf: (filter: Filter) => Predicate<T> | undefined): Predicate<T> {
  const whole = leaf(filter);
  if (whole !== undefined || filter.kind === 'compare') return whole as Predicate<T>;
  if (filter.kind === 'not') {
    const operand = build(filter.operand, leaf);
    return (subject) => !operand(subject);
  }
  const operands = filter.operands.toSorted((a, b) => cost(a) - cost(b)).map((each) => build(each, leaf));
  const isAnd = filter.kind === 'and';
  return (subject) => {
    for (const operand of operands) if (operand(subject) !== isAnd) return !isAnd;
    return isAnd;
  };
}

/** What makes a text of the lookup comes after what does not. */
function cost(filter: Filter): number {
  if (filter.kind === 'not') return cost(filter.operand);
  if (filter.kind !== 'compare') return Math.max(...filter.operands.map(cost));
  if (isProcessField(filter.field)) return 0;
  if (filter.operator === '~') return 2;
  return filter.values.some((value) => value.kind === 'text' && filter.field !== 'outcome') ? 1 : 0;
}

function isOfProcess(filter: Filter): boolean {
  if (filter.kind === 'compare') return isProcessField(filter.field);
  return filter.kind === 'not' ? isOfProcess(filter.operand) : filter.operands.every(isOfProcess);
}

/** Identities are interned. */
function oncePerProcess<T extends { readonly process: ProcessIdentity }>(
  judge: Predicate<ProcessIdentity>,
): Predicate<T> {
  const known = new WeakMap<ProcessIdentity, boolean>();
  return ({ process }) => {
    let verdict = known.get(process);
    if (verdict === undefined) {
      verdict = judge(process);
      known.set(process, verdict);
    }
    return verdict;
  };
}
