/**
 * The backends: Loki and Tempo built from their Go modules, Prometheus and promtool out of Debian's package.
 * `node test/backends/build.ts` makes all of them and prints their paths.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { cachedProgram, debianProgram, GO_ENVIRONMENT, run } from '../collector/program-cache.ts';

const MODULES = join(import.meta.dirname, 'modules');

export const lokiProgram = (): Promise<string> => goProgram('loki', 'github.com/grafana/loki/v3');
export const tempoProgram = (): Promise<string> => goProgram('tempo', 'github.com/grafana/tempo');
export const prometheusProgram = (): Promise<string> => debianProgram('prometheus', 'prometheus');
export const promtoolProgram = (): Promise<string> => debianProgram('prometheus', 'promtool');

/** Directory with the shipped sample application and its dependencies, installed from its lock file. */
export async function sampleApplication(): Promise<string> {
  const source = join(import.meta.dirname, '../../otel-config/sample-application');
  const files = ['package.json', 'package-lock.json', 'server.cjs', 'tracing.cjs'].map((name) =>
    join(source, name),
  );
  const content = files.map((file) => readFileSync(file));
  const digest = createHash('sha256').update(Buffer.concat(content)).digest('hex').slice(0, 8);
  return cachedProgram(`sample-application-${digest}`, async (target) => {
    mkdirSync(target);
    for (const file of files) cpSync(file, join(target, basename(file)));
    await run(['npm', 'ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: target });
  });
}

/** Builds `<module>/cmd/<name>` with the versions and replacements of modules/<name>/go.mod. */
async function goProgram(name: string, module: string): Promise<string> {
  const source = join(MODULES, name);
  const version = readFileSync(join(source, 'go.mod'), 'utf8').match(/^require \S+ (v\S+)$/m)?.[1];
  if (version === undefined) throw new Error(`${source}/go.mod: no required version`);
  return cachedProgram(`${name}-${version}`, async (target) => {
    const directory = mkdtempSync(join(tmpdir(), `whodns-${name}-`));
    try {
      cpSync(source, directory, { recursive: true });
      await useOwnSums(directory, `${module}@${version}`);
      await run(
        ['go', 'build', '-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', target, `${module}/cmd/${name}`],
        { cwd: directory, env: GO_ENVIRONMENT },
      );
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

/** The checksums the module itself ships (its zip is verified first), so that the build uses what its authors used. */
async function useOwnSums(directory: string, moduleVersion: string): Promise<void> {
  const text = await run(['go', 'mod', 'download', '-json', moduleVersion], {
    cwd: directory,
    env: GO_ENVIRONMENT,
  });
  const { Dir } = JSON.parse(text) as { readonly Dir: string };
  appendFileSync(join(directory, 'go.sum'), readFileSync(join(Dir, 'go.sum'), 'utf8'));
}

if (import.meta.main) {
  for (const program of [prometheusProgram, promtoolProgram, lokiProgram, tempoProgram, sampleApplication]) {
    const started = performance.now();
    console.log(`${await program()} (${((performance.now() - started) / 1000).toFixed(0)} s)`);
  }
}
