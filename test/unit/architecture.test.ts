/** The module table of docs/architecture.md as data: any other import, a cycle, or a second user of an "only" rule fails. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

/** In order: a module imports only itself and modules above it. */
const ORDER = [
  'lib',
  'model',
  'tables',
  'health',
  'dns',
  'lookup',
  'filter',
  'config',
  'wire',
  'streams',
  'capture',
  'inspector',
  'enrich',
  'visibility',
  'dnscache',
  'connections',
  'detect',
  'sinks',
  'control',
  'doctor',
  'pipeline',
  'agent',
  'cli',
  'main',
  'launch',
] as const;

/** Modules that see nothing of their neighbours although they stand below them. */
const NOT: Readonly<Record<string, readonly string[]>> = {
  dns: ['health'],
  filter: ['health'],
  config: ['dns', 'lookup'],
  wire: ['config', 'dns'],
  streams: ['config', 'wire', 'dns'],
  inspector: ['health', 'config', 'wire', 'dns', 'streams', 'capture'],
  enrich: ['wire', 'dns', 'streams', 'capture'],
  connections: ['config', 'wire', 'dns', 'streams', 'capture', 'visibility'],
  visibility: ['wire', 'dns', 'streams'],
  dnscache: ['wire', 'streams', 'capture', 'enrich', 'visibility'],
  detect: ['wire', 'streams', 'capture'],
  sinks: ['wire', 'streams', 'capture', 'enrich', 'connections', 'detect'],
  control: ['wire', 'dns', 'streams', 'capture', 'enrich', 'connections', 'detect', 'sinks'],
};

/** What only the named files may contain. */
const ONLY: readonly { readonly what: string; readonly pattern: RegExp; readonly files: RegExp }[] = [
  { what: 'process.env', pattern: /\bprocess\.env\b/, files: /^src\/main\.ts$/ },
  { what: 'process.exit', pattern: /\bprocess\.exit\b/, files: /^src\/main\.ts$/ },
  {
    what: '@opentelemetry/*',
    pattern: /from '@opentelemetry\//,
    files: /^src\/(sinks\/otlp-|config\/file)[\w-]*\.ts$/,
  },
  {
    what: 'the addon',
    pattern: /createRequire|process\.dlopen/,
    files: /^src\/(capture\/kernel|lib\/package-files)\.ts$/,
  },
  { what: 'node:child_process', pattern: /node:child_process/, files: /^src\/inspector\/channel\.ts$/ },
  {
    what: 'calls that make or change files',
    pattern:
      /\b(?:writeFile(?:Sync)?|appendFile(?:Sync)?|createWriteStream|mkdir(?:Sync)?|O_CREAT|f?chmod(?:Sync)?|f?chown(?:Sync)?)\(|\bO_CREAT\b/,
    files: /^src\/(lib\/(safe-(file|path)|extracted-files)|sinks\/spool-(lock|segment))\.ts$/,
  },
];

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
    const imports = [...text.matchAll(/(?:from|import)\s+'(\.[^']+)'/g)].map((match) =>
      path.posix.join(path.posix.dirname(file), match[1] ?? ''),
    );
    return { file, module: moduleOf(file), text, imports };
  });
}

/** The broken rules, one line each. */
function violations(sources: readonly Source[]): string[] {
  const found: string[] = [];
  for (const { file, module, text, imports } of sources) {
    const place = ORDER.indexOf(module as (typeof ORDER)[number]);
    if (place < 0) found.push(`${file}: module "${module}" is not in the table`);
    for (const target of imports) {
      const other = moduleOf(target);
      const otherPlace = ORDER.indexOf(other as (typeof ORDER)[number]);
      if (otherPlace > place || NOT[module]?.includes(other)) {
        found.push(`${file}: ${module} must not import ${other} (${target})`);
      }
    }
    for (const rule of ONLY) {
      if (rule.pattern.test(text) && !rule.files.test(file)) found.push(`${file}: must not use ${rule.what}`);
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
