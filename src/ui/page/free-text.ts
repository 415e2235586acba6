/** What people type who know no filter language: a name, a part of one, an address. */
import { FILTER_FIELD_NAMES } from '../../tables/filter-fields.ts';

const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*)(?:\/\d{1,3})?$/i;
const NAME = /^[\w*?-]+(?:\.[\w*?-]+)*\.?$/;

/** The filter that is meant; text that is a filter stays as it is. */
export function filterOf(text: string): string {
  const typed = text.trim();
  if (ADDRESS.test(typed)) return `answer=${typed} or server=${typed}`;
  if (!NAME.test(typed) || FILTER_FIELD_NAMES.has(typed.toLowerCase())) return typed;
  const name = typed.replace(/\.$/, '');
  return /[*?]/.test(name) ? `name=${name}` : `name=*${name}*`;
}
