/** Conditions of the filter language, made by a click. */
import { OUTCOME_NAMES } from '../../tables/outcomes.ts';

type By = 'domain' | 'name' | 'server' | 'failure' | 'type' | 'process' | 'answer';

/** One comparison. @param value text of anyone: quoted where it has to be */
export function condition(by: By, value: string): string {
  if (by === 'failure')
    return OUTCOME_NAMES.some((each) => each === value) ? `outcome=${value}` : `rcode=${value}`;
  return `${by}=${quoted(value)}`;
}

/** Words need no quotes. In quotes a backslash makes the next character plain, `*` and `?` among them. */
function quoted(value: string): string {
  if (/^[\w.:-]+$/.test(value)) return value;
  return `"${value.replace(/["\\*?]/g, '\\$&')}"`;
}

/** Both must hold. */
export function narrowed(filter: string, more: string): string {
  if (filter.trim() === '') return more;
  if (filter.includes(more)) return filter;
  const left = /\bor\b/i.test(filter) ? `(${filter})` : filter;
  return `${left} and ${more}`;
}
