/** Reads the module table of docs/architecture.md: any other import, a cycle, or a second user of what is one file's alone fails. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

/** One row of the table: its place is its rank. */
interface Module {
  readonly name: string;
  /** Modules above it that it sees nothing of. */
  readonly not: ReadonlySet<string>;
}

/** What may stand only in the named files. */
interface Only {
  readonly what: string;
  readonly pattern: RegExp;
  readonly files: string[];
}

/** What the table's column "alone with" speaks of. */
const PATTERNS: Readonly<Record<string, RegExp>> = {
  'process.env': /\bprocess\.env\b/,
  'process.exit': /\bprocess\.exit\b/,
  '@opentelemetry/*': /(?:from|import)\s*\(?\s*'@opentelemetry\//,
  createRequire: /createRequire|process\.dlopen/,
  'node:child_process': /node:child_process/,
  'files made or changed':
    /\b(?:writeFile(?:Sync)?|appendFile(?:Sync)?|createWriteStream|mkdir(?:Sync)?|O_CREAT|f?chmod(?:Sync)?|f?chown(?:Sync)?)\(|\bO_CREAT\b/,
};

function readTable(): { readonly modules: readonly Module[]; readonly only: readonly Only[] } {
  const page = readFileSync('docs/architecture.md', 'utf8');
  const modules: Module[] = [];
  const only = new Map<string, Only>();
  for (const row of page.split('## Modules')[1]?.split('\n## ')[0]?.split('\n') ?? []) {
    const [, first = '', , not = '', alone = ''] = row.split('|').map((cell) => cell.trim());
    const [place] = quoted(first);
    if (place === undefined) continue;
    modules.push({ name: place.replace(/\/$|\.ts$/, ''), not: new Set(quoted(not)) });
    for (const part of alone.split('; ').filter((text) => text !== '')) {
      const [what = '', files] = part.replaceAll('`', '').split(': ');
      const pattern = PATTERNS[what];
      assert.ok(pattern, `"${what}" of the table is not known to this test`);
      const rule = only.get(what) ?? { what, pattern, files: [] };
      only.set(what, rule);
      rule.files.push(...(files === undefined ? [place] : files.split(', ').map((file) => place + file)));
    }
  }
  return { modules, only: [...only.values()] };
}

/** The texts between backticks. */
function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
}

interface Source {
  readonly file: string;
  readonly module: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function moduleOf(file: string): string {
  return file.split('/')[1]?.replace(/\.ts$/, '') ?? '';
}

function readSources(): Source[] {
  return globSync('src/**/*.ts').map((file) => {
    const text = readFileSync(file, 'utf8');
    const imports = [...text.matchAll(/(?:from\s+|import\s+|import\()'(\.[^']+)'/g)].map((match) =>
      path.posix.join(path.posix.dirname(file), match[1] ?? ''),
    );
    return { file, module: moduleOf(file), text, imports };
  });
}

/** The broken rules, one line each. */
function violations(sources: readonly Source[]): string[] {
  const { modules, only } = readTable();
  const rank = new Map(modules.map(({ name }, place) => [name, place]));
  const found: string[] = [];
  for (const { file, module, text, imports } of sources) {
    const place = rank.get(module);
    if (place === undefined) found.push(`${file}: module "${module}" is not in the table`);
    for (const target of imports) {
      const other = moduleOf(target);
      if (place === undefined) continue;
      if ((rank.get(other) ?? Infinity) > place || modules[place]?.not.has(other)) {
        found.push(`${file}: ${module} must not import ${other} (${target})`);
      }
    }
    for (const { what, pattern, files } of only) {
      if (pattern.test(text) && !files.some((glob) => path.matchesGlob(file, `src/${glob}`)))
        found.push(`${file}: must not use ${what}`);
    }
  }
  return found;
}

/** Files that import each other in a circle, as one path. */
function cycle(sources: readonly Source[]): string[] | undefined {
  const imports = new Map(sources.map((source) => [source.file, source.imports]));
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const target of imports.get(file) ?? []) {
      const found = visit(target, [...trail, file]);
      if (found !== undefined) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const found = visit(file, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

describe('architecture', () => {
  const sources = readSources();
  it('has sources to look at', () => assert.ok(sources.length > 10));
  it('imports only upwards and keeps the "only" rules', () => assert.deepEqual(violations(sources), []));
  it('has no import cycle', () => assert.equal(cycle(sources), undefined));

  it('would notice: seeded violations are found', () => {
    const seeded: Source[] = [
      { file: 'src/dns/a.ts', module: 'dns', text: 'process.env', imports: ['src/sinks/b.ts'] },
      { file: 'src/sinks/b.ts', module: 'sinks', text: '', imports: ['src/dns/a.ts'] },
      { file: 'src/misc.ts', module: 'misc', text: "from '@opentelemetry/api'", imports: [] },
    ];
    assert.equal(violations(seeded).length, 4);
    assert.notEqual(cycle(seeded), undefined);
  });
});
