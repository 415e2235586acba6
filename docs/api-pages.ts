/**
 * docs/api/README.md: what `import ... from 'whodns'` gives, made by TypeDoc of src/api/. TypeDoc needs an older TypeScript than the project
 * has, so both are installed apart, in build/api-tool, from the lock of docs/api-tool, when the page is to be made.
 *   node docs/api-pages.ts            makes it where its sources have changed
 *   node docs/api-pages.ts --check    says whether they have; needs nothing installed
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const PAGE = 'docs/api/README.md';
const TOOL = 'build/api-tool';
const SOURCES = [
  ...globSync('src/api/*.ts').sort(),
  'src/history/types.ts',
  'docs/api-tool/package-lock.json',
];

function digest(): string {
  const hash = createHash('sha256');
  for (const file of SOURCES) hash.update(file).update('\0').update(readFileSync(file));
  return hash.digest('hex');
}

function install(): void {
  mkdirSync(TOOL, { recursive: true });
  for (const file of ['package.json', 'package-lock.json'])
    copyFileSync(join('docs/api-tool', file), join(TOOL, file));
  execFileSync('npm', ['ci', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd: TOOL,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function make(): string {
  install();
  const directory = mkdtempSync(join(tmpdir(), 'whodns-api-'));
  try {
    const config = join(directory, 'tsconfig.json');
    const compilerOptions = { types: ['node'], typeRoots: [resolve('node_modules/@types')] };
    writeFileSync(
      config,
      JSON.stringify({
        extends: resolve('tsconfig.json'),
        compilerOptions,
        files: [resolve('src/api/index.ts')],
        include: [],
      }),
    );
    const options = {
      plugin: 'typedoc-plugin-markdown',
      tsconfig: config,
      entryPoints: resolve('src/api/index.ts'),
      out: join(directory, 'out'),
      basePath: resolve('.'),
      router: 'module',
      readme: 'none',
      logLevel: 'Error',
    };
    const flags = ['hidePageHeader', 'hideBreadcrumbs', 'disableSources', 'excludeExternals'].map(
      (flag) => `--${flag}`,
    );
    const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    execFileSync(process.execPath, ['node_modules/typedoc/bin/typedoc', ...given, ...flags], {
      cwd: TOOL,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return readFileSync(join(directory, 'out/README.md'), 'utf8');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const mark = `<!-- Made by docs/api-pages.ts (npm run fix). Sources: ${digest()} -->`;
const isFresh = existsSync(PAGE) && readFileSync(PAGE, 'utf8').startsWith(mark);
if (!isFresh && process.argv.includes('--check')) {
  console.error(`${PAGE} is stale: run npm run fix`);
  process.exitCode = 1;
} else if (!isFresh) {
  const text = make();
  mkdirSync('docs/api', { recursive: true });
  writeFileSync(PAGE, `${mark}\n\n${text.trimEnd()}\n`);
}
