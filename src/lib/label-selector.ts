/**
 * Kubernetes label selectors (kubernetes.io/docs/concepts/overview/working-with-objects/labels): `app=web,tier!=db`,
 * `env in (a, b)`, `env notin (a)`, `team`, `!team`. The comma is "and".
 */
import type { Parsed } from './values.ts';

export type Labels = Readonly<Record<string, string>>;
export interface LabelSelector {
  readonly text: string;
  readonly requirements: readonly Requirement[];
}

interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'absent';
  readonly values: readonly string[];
}

/** Longest text read; requirements and values of one selector are bounded by it. */
const MAX_CHARACTERS = 4096;
/** apimachinery pkg/util/validation: a DNS prefix of at most 253 characters, a name of at most 63. */
const KEY =
  /^(?:(?=[^/]{1,253}\/)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

const SET = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const EQUALITY = /^([^\s=!]+)\s*(==|=|!=)\s*(\S*)$/;
const EXISTENCE = /^(!?)\s*(\S+)$/;

export function parseSelector(text: string): Parsed<LabelSelector> {
  if (text.length > MAX_CHARACTERS) return { problem: `is longer than ${MAX_CHARACTERS} characters` };
  const requirements: Requirement[] = [];
  for (const part of splitOutsideParentheses(text)) {
    const requirement = parseRequirement(part.trim());
    if (requirement === undefined)
      return { problem: 'is not a label selector such as app=web,tier in (a,b),!old' };
    requirements.push(requirement);
  }
  return { value: { text, requirements } };
}

/** A label that is not there is "not equal" and "not in", as in Kubernetes. */
export function matchesSelector(selector: LabelSelector, labels: Labels): boolean {
  return selector.requirements.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (operator === 'exists') return value !== undefined;
    if (operator === 'absent') return value === undefined;
    const isListed = value !== undefined && values.includes(value);
    return operator === 'in' ? isListed : !isListed;
  });
}

function parseRequirement(text: string): Requirement | undefined {
  const set = SET.exec(text);
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    return valid({ key: set[1] ?? '', operator: set[2] === 'in' ? 'in' : 'notin', values });
  }
  const equality = EQUALITY.exec(text);
  if (equality !== null) {
    const operator = equality[2] === '!=' ? 'notin' : 'in';
    return valid({ key: equality[1] ?? '', operator, values: [equality[3] ?? ''] });
  }
  const existence = EXISTENCE.exec(text);
  if (existence === null) return undefined;
  return valid({ key: existence[2] ?? '', operator: existence[1] === '!' ? 'absent' : 'exists', values: [] });
}

function valid(requirement: Requirement): Requirement | undefined {
  const isGood = KEY.test(requirement.key) && requirement.values.every((value) => VALUE.test(value));
  return isGood ? requirement : undefined;
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')') depth--;
    else if (text[i] === ',' && depth === 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
