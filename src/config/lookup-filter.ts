/** `--filter` and its short forms as one filter. */
import { allOf, type Filter } from '../filter/ast.ts';
import { explainProblem } from '../filter/explain.ts';
import { parseComparison, parseFilter } from '../filter/parse.ts';
import type { FilterField } from '../tables/filter-fields.ts';

export interface FilterSettings {
  readonly filter: string | undefined;
  readonly onlyFailed: boolean;
  readonly onlyPids: readonly number[];
  readonly onlyContainers: readonly string[];
  readonly onlyServers: readonly string[];
}

export interface FilterSyntaxProblem {
  readonly key: keyof FilterSettings;
  /** Of `key` what is wrong: the whole text. */
  readonly text: string;
  readonly message: string;
  /** The message with the place marked below the text; several lines. */
  readonly explained: string;
}

/** What is wrong is left out, so that the rest holds. undefined: there is no filter. */
export function lookupFilterOf(settings: FilterSettings): {
  readonly filter: Filter | undefined;
  readonly problems: readonly FilterSyntaxProblem[];
} {
  const filters: Filter[] = [];
  const problems: FilterSyntaxProblem[] = [];
  const take = (key: keyof FilterSettings, text: string, parsed: ReturnType<typeof parseFilter>) => {
    if ('value' in parsed) filters.push(parsed.value);
    else {
      const { message } = parsed.problem;
      problems.push({ key, text, message, explained: explainProblem(text, parsed.problem) });
    }
  };
  const takeValues = (key: keyof FilterSettings, field: FilterField, texts: readonly string[]) => {
    if (texts.length > 0) take(key, texts.join(','), parseComparison(field, texts));
  };
  if (settings.filter !== undefined) take('filter', settings.filter, parseFilter(settings.filter));
  if (settings.onlyFailed) takeValues('onlyFailed', 'failed', ['true']);
  takeValues('onlyPids', 'pid', settings.onlyPids.map(String));
  takeValues('onlyContainers', 'container', settings.onlyContainers);
  takeValues('onlyServers', 'server', settings.onlyServers);
  return { filter: allOf(filters), problems };
}
