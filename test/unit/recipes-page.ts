/** docs/recipes.md as data. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/recipes.md'), 'utf8');

/** Each heading to the text below it. */
export const SECTIONS: ReadonlyMap<string, string> = new Map(
  PAGE.split(/^## /m)
    .slice(1)
    .map(
      (text) =>
        [
          text.slice(0, text.indexOf('\n')),
          text.slice(text.indexOf('\n')).replaceAll(/^\n+|\n+$/g, ''),
        ] as const,
    ),
);

/** The first block, unindented. @param own in place of what is the reader's own */
export function blockOf(text: string, own: string): string {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('    '));
  return lines
    .slice(0, end === -1 ? lines.length : end)
    .map((line) => line.slice(4).replaceAll(/<[^>]*>/g, own))
    .join('\n');
}

/** Variables of the first block, and those in the text. @param own in place of what is the reader's own */
export function variablesOf(text: string, own = 'x'): Readonly<Record<string, string>> {
  const pairs = [...text.matchAll(/\b(OTEL_[A-Z_]+)=("[^"]*"|(?:<[^>]*>|[^\s`<])+)/g)].map(
    ([, name = '', value = '']) => [name, value.replaceAll('"', '').replaceAll(/<[^>]*>/g, own)] as const,
  );
  return Object.fromEntries(pairs);
}
