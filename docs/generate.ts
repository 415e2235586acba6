/** Writes the generated pages of docs/ from src/tables. `--check` fails when one is stale. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { OPTIONS, type Option, type RepeatableOption } from '../src/tables/options.ts';

const cell = (text: string) => text.replaceAll('|', '\\|');

function configuration(): string {
  const rows = (Object.values(OPTIONS) as (Option | RepeatableOption)[]).map((option) => {
    const flag = option.flag === undefined ? '' : `\`${option.flag}\``;
    const env = (option.env ?? []).map((name) => `\`${name}\``).join(', ');
    const shown = option.shownDefault ?? (option.fallback === undefined ? '' : String(option.fallback));
    return `| ${flag} | ${env} | ${cell(option.brief)} | ${cell(shown)} | ${option.commands.join(', ')} |`;
  });
  return [
    '# Configuration',
    '',
    'Generated from `src/tables/options.ts` by `npm run fix`.',
    '',
    'A flag wins over a variable, a variable over the default. A bad flag ends the command with exit code 2; a bad variable',
    'gives a warning and the default holds. All standard `OTEL_EXPORTER_OTLP_*` variables (endpoint, headers, certificates,',
    'compression, timeout) are honoured too.',
    '',
    '| flag | variables, first that is set wins | meaning | default | commands |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

const PAGES: Readonly<Record<string, () => string>> = { 'docs/configuration.md': configuration };

let stale = false;
for (const [file, render] of Object.entries(PAGES)) {
  const text = render();
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`${file} is stale: run npm run fix`);
    stale = true;
  } else {
    writeFileSync(file, text);
  }
}
if (stale) process.exitCode = 1;
