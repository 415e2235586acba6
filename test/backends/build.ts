/**
 * The backends: VictoriaLogs, VictoriaMetrics and Jaeger built from their Go modules, Prometheus and promtool out of Debian's package, ClickHouse out of
 * npm's.
 * `node test/backends/build.ts` makes all of them and prints their paths.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { collectorProgram } from '../collector/build.ts';
import { cachedProgram, debianProgram, GO_ENVIRONMENT, run } from '../collector/program-cache.ts';
import { clickHouseProgram } from './clickhouse.ts';

/**
 * Binaries that the user has, by the variables LOKI, TEMPO and GRAFANA. They are AGPL-3.0: this project does not build them.
 */
export const OWN = { loki: process.env.LOKI, tempo: process.env.TEMPO, grafana: process.env.GRAFANA };

/** The manifest of a collector with exporters that otel-config/builder.yaml has not. */
export const RECIPES_MANIFEST = join(import.meta.dirname, 'recipes-builder.yaml');

export const victoriaLogsProgram = (): Promise<string> => goProgram('victoria-logs');
export const victoriaMetricsProgram = (): Promise<string> => goProgram('victoria-metrics');
export const composeProgram = (): Promise<string> => goProgram('compose');
export const jaegerProgram = (): Promise<string> => goProgram('jaeger');
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

/** Go programs by module version. All are under Apache-2.0. */
const GO_PROGRAMS = {
  'victoria-logs': 'github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@v1.52.2',
  'victoria-metrics': 'github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.151.0',
  // The module's v1.76.0 is Jaeger 2.13: its 2.x tags are no valid Go versions (no /v2 in the path).
  jaeger: 'github.com/jaegertracing/jaeger/cmd/jaeger@v1.76.0',
  // Loads and prints a compose file: what `docker compose config` calls.
  compose: 'github.com/compose-spec/compose-go/v2/cmd@v2.16.2',
} as const;

/** In a module of its own: `go install` refuses a program whose module has `replace` lines. */
async function goProgram(name: keyof typeof GO_PROGRAMS): Promise<string> {
  const [path, version] = GO_PROGRAMS[name].split('@') as [string, string];
  return cachedProgram(`${name}-${version}`, async (target) => {
    const cwd = mkdtempSync(join(tmpdir(), `whodns-${name}-`));
    try {
      const options = { cwd, env: GO_ENVIRONMENT };
      await run(['go', 'mod', 'init', `whodns.test/${name}`], options);
      await run(['go', 'get', `${path}@${version}`], options);
      await run(['go', 'build', '-trimpath', '-ldflags=-s -w', '-o', target, path], options);
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  });
}

if (import.meta.main) {
  for (const program of [
    prometheusProgram,
    promtoolProgram,
    victoriaLogsProgram,
    victoriaMetricsProgram,
    jaegerProgram,
    composeProgram,
    sampleApplication,
    clickHouseProgram,
    () => collectorProgram(RECIPES_MANIFEST),
  ]) {
    const started = performance.now();
    console.log(`${await program()} (${((performance.now() - started) / 1000).toFixed(0)} s)`);
  }
}
