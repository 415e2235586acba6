/**
 * Writes dashboards/*.json and dashboards-victorialogs/*.json from the boards; `--check` only compares and exits 1 when a file is stale, missing or left over.
 *
 *   node otel-config/grafana/dashboards.ts [--check]
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agent } from './boards/agent.ts';
import { latency } from './boards/latency.ts';
import { nxdomain } from './boards/nxdomain.ts';
import { overview } from './boards/overview.ts';
import { process as oneProcess } from './boards/process.ts';
import { workload } from './boards/workload.ts';
import { buildDashboard, GRAFANA_STORES, OTHER_STORES, type Stores } from './build.ts';
import { lint } from './lint.ts';
import type { Board } from './panels.ts';

export const BOARDS: readonly Board[] = [overview, workload, oneProcess, latency, nxdomain, agent];
/** One directory for each set of stores. */
export const VARIANTS: Readonly<Record<string, Stores>> = {
  dashboards: GRAFANA_STORES,
  'dashboards-victorialogs': OTHER_STORES,
};

/** Path below this directory to content of every dashboard; throws with all findings when one does not pass the linter. */
export function generate(): ReadonlyMap<string, string> {
  const problems = BOARDS.flatMap((board) => lint(board, BOARDS));
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return new Map(
    Object.entries(VARIANTS).flatMap(([directory, stores]) =>
      BOARDS.map((board) => [
        join(directory, `${board.uid}.json`),
        `${JSON.stringify(buildDashboard(board, stores), undefined, 2)}\n`,
      ]),
    ),
  );
}

/** Paths of files that differ from what would be generated. */
export function stale(): string[] {
  const wanted = generate();
  const present = new Map(
    Object.keys(VARIANTS)
      .flatMap(filesOf)
      .map((path) => [path, readFileSync(join(import.meta.dirname, path), 'utf8')]),
  );
  const names = new Set([...wanted.keys(), ...present.keys()]);
  return [...names].filter((name) => wanted.get(name) !== present.get(name));
}

function filesOf(directory: string): string[] {
  const path = join(import.meta.dirname, directory);
  return existsSync(path) ? readdirSync(path).map((name) => join(directory, name)) : [];
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const names = stale();
    for (const name of names) console.error(`${name}: not what otel-config/grafana/dashboards.ts generates`);
    process.exitCode = names.length === 0 ? 0 : 1;
  } else {
    for (const directory of Object.keys(VARIANTS)) {
      mkdirSync(join(import.meta.dirname, directory), { recursive: true });
      for (const path of filesOf(directory)) rmSync(join(import.meta.dirname, path));
    }
    for (const [path, content] of generate()) writeFileSync(join(import.meta.dirname, path), content);
  }
}
