/**
 * The page that draws panels: page/main.ts with Grafana's components, which are installed from their own lock file. They are 450 MB and
 * no part of the project's own installation.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { cachedProgram, run } from '../collector/program-cache.ts';

const PAGE = join(import.meta.dirname, 'page');

/** Directory with `node_modules`. */
export async function grafanaPackages(): Promise<string> {
  const files = ['package.json', 'package-lock.json'].map((name) => join(import.meta.dirname, name));
  const digest = createHash('sha256').update(Buffer.concat(files.map((file) => readFileSync(file))));
  return cachedProgram(`grafana-ui-${digest.digest('hex').slice(0, 8)}`, async (target) => {
    mkdirSync(target);
    for (const file of files) cpSync(file, join(target, file.slice(import.meta.dirname.length + 1)));
    await run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: target });
  });
}

/** Script and style sheet, as text. */
export async function pageBundle(): Promise<{ readonly script: string; readonly style: string }> {
  const packages = await grafanaPackages();
  const { outputFiles } = await build({
    entryPoints: [join(PAGE, 'main.ts')],
    bundle: true,
    write: false,
    outdir: 'page',
    format: 'esm',
    target: 'es2022',
    define: { 'process.env.NODE_ENV': '"production"' },
    loader: { '.svg': 'dataurl', '.ttf': 'dataurl', '.woff2': 'dataurl' },
    nodePaths: [join(packages, 'node_modules')],
    logLevel: 'error',
  });
  const textOf = (end: string) => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? '';
  return { script: textOf('.js'), style: textOf('.css') };
}

/** Licence of every package that is installed, as the lock file has it. */
export function licences(): ReadonlyMap<string, string> {
  const { packages } = JSON.parse(readFileSync(join(import.meta.dirname, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly license?: string }>>;
  };
  return new Map(
    Object.entries(packages)
      .filter(([path]) => path !== '')
      .map(([path, { license = '' }]) => [path, license]),
  );
}
