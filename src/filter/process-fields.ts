/** Fields of a filter that are of the process alone. */
import type { ProcessIdentity } from '../model.ts';
import { type FilterField, type FilterFieldDefinition, filterField } from '../tables/filter-fields.ts';
import type { Comparison } from './ast.ts';
import { type Matchers, numberTest, type Predicate, textTest } from './predicate.ts';

/** Digits of a container's id that stand for it, as its runtime shows it. */
const SHORT_ID = 12;

export function isProcessField(field: FilterField): boolean {
  return field === 'pid' || definition(field).attributes !== undefined;
}

/** Of its process: any of them will do. Empty: the field is no attribute. */
export function processAttributes(field: FilterField): readonly string[] {
  return definition(field).attributes ?? [];
}

export function processComparison(comparison: Comparison, matchers: Matchers): Predicate<ProcessIdentity> {
  const { field } = comparison;
  const { kind, attributes = [] } = definition(field);
  if (kind === 'number') {
    const test = numberTest(comparison);
    if (field === 'pid') return ({ pid, attribution }) => attribution !== 'none' && test(pid);
    return ({ resource }) =>
      attributes.some((name) => {
        const value = resource[name];
        return typeof value === 'number' && test(value);
      });
  }
  const test = textTest(comparison, matchers);
  const ids = field === 'container' ? shortIds(comparison) : [];
  return ({ resource }) => {
    for (const name of attributes) {
      const value = resource[name];
      if (
        Array.isArray(value)
          ? value.some((each) => test(String(each)))
          : value !== undefined && test(String(value))
      )
        return true;
    }
    return ids.length > 0 && ids.some((id) => String(resource['container.id'] ?? '').startsWith(id));
  };
}

function shortIds({ values, operator }: Comparison): string[] {
  if (operator !== '=') return [];
  return values.flatMap((value) =>
    value.kind === 'text' && value.text.length >= SHORT_ID && /^[0-9a-f]+$/.test(value.text)
      ? [value.text]
      : [],
  );
}

function definition(field: FilterField): FilterFieldDefinition {
  return filterField(field);
}
