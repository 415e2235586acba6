/**
 * src/ -> dist/: one bundle with all it needs from npm, in pieces that are loaded when they are wanted. `node packaging/bundle.ts`
 *
 *   main.js       the program: judges Node, then loads whodns.js
 *   dnscache.js, detect.js   what other programs import; types/ has their types
 *   NOTICES.txt   the licences of the packages in the bundle
 *
 * Names and lines stay as they are, so a stack trace can be read without a source map; the maps are made, and no package ships them.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile, type Plugin, transformSync } from 'esbuild';
import { notices, packagesOf } from './notices.ts';
import { ROOT } from './platforms.ts';

const DIST = join(ROOT, 'dist');
/** `engines` of package.json. */
const TARGET = 'node22.15';
/** Packages written for CommonJS call require() for what Node has built in. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);";

/**
 * `import` of node:http reads every property of it, and one of them loads Node's fetch: 35 ms that nothing here needs. The module's own
 * object does not.
 */
const plainHttp: Plugin = {
  name: 'plain-http',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?http$/ }, () => ({ path: 'http', namespace: 'plain-http' }));
    onLoad({ filter: /./, namespace: 'plain-http' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http')",
    }));
  },
};

/** The module form of this package loads `@grpc/grpc-js` by a require() of its own making, which cannot be followed; this form by a plain one. */
const ALIAS = {
  '@opentelemetry/otlp-grpc-exporter-base': join(
    ROOT,
    'node_modules/@opentelemetry/otlp-grpc-exporter-base/dist/index.cjs',
  ),
};

async function bundle(): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: {
      whodns: 'src/main.ts',
      dnscache: 'src/control/dns-cache-package.ts',
      detect: 'src/detect/detector.ts',
      'history-worker': 'src/history/worker.ts',
    },
    outdir: DIST,
    bundle: true,
    splitting: true,
    chunkNames: '[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: TARGET,
    banner: { js: REQUIRE },
    plugins: [plainHttp],
    alias: ALIAS,
    sourcemap: 'external',
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  return metafile;
}

/**
 * All in one script, for the single file: there is nothing beside it that it could load.
 * @param entry what it runs: the program, or one of its threads
 */
export async function bundleScript(outfile: string, entry = 'src/main.ts'): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: TARGET,
    // Node has none there, and src/lib/package-files.ts asks for none.
    define: { 'import.meta.url': 'undefined' },
    plugins: [plainHttp],
    legalComments: 'none',
    logLevel: 'warning',
  });
}

/** By itself, and for a Node that is too old. */
function launcher(): void {
  const source = readFileSync(join(ROOT, 'src/launch.ts'), 'utf8');
  const { code } = transformSync(source, { loader: 'ts', target: 'node14', format: 'esm' });
  const main = join(DIST, 'main.js');
  writeFileSync(main, `#!/usr/bin/env node\n${code.replace('./main.ts', './whodns.js')}`);
  chmodSync(main, 0o755);
}

if (import.meta.main) {
  rmSync(DIST, { recursive: true, force: true });
  const metafile = await bundle();
  launcher();
  execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', join(ROOT, 'src')], { stdio: 'inherit' });
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  writeFileSync(join(ROOT, 'build/bundled.json'), `${JSON.stringify(packagesOf(metafile), null, 1)}\n`);
  // Last: native/setup.sh takes it for the sign that all is there.
  writeFileSync(join(DIST, 'NOTICES.txt'), notices(packagesOf(metafile)));
}
