/**
 * Writes dashboards/*.json from the boards; `--check` only compares and exits 1 when a file is stale, missing or left over.
 *
 *   node otel-config/grafana/dashboards.ts [--check]
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agent } from './boards/agent.ts';
import { latency } from './boards/latency.ts';
import { nxdomain } from './boards/nxdomain.ts';
import { overview } from './boards/overview.ts';
import { process as oneProcess } from './boards/process.ts';
import { workload } from './boards/workload.ts';
import { lint } from './lint.ts';
import { type Board, buildDashboard } from './panels.ts';

export const BOARDS: readonly Board[] = [overview, workload, oneProcess, latency, nxdomain, agent];
export const DIRECTORY = join(import.meta.dirname, 'dashboards');

/** File name to content of every dashboard; throws with all findings when one does not pass the linter. */
export function generate(): ReadonlyMap<string, string> {
  const problems = BOARDS.flatMap((board) => lint(board));
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return new Map(
    BOARDS.map((board) => [`${board.uid}.json`, `${JSON.stringify(buildDashboard(board), undefined, 2)}\n`]),
  );
}

/** Names of files that differ from what would be generated. */
export function stale(): string[] {
  const wanted = generate();
  const present = new Map(
    readdirSync(DIRECTORY).map((name) => [name, readFileSync(join(DIRECTORY, name), 'utf8')]),
  );
  const names = new Set([...wanted.keys(), ...present.keys()]);
  return [...names].filter((name) => wanted.get(name) !== present.get(name));
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const names = stale();
    for (const name of names) console.error(`${name}: not what otel-config/grafana/dashboards.ts generates`);
    process.exitCode = names.length === 0 ? 0 : 1;
  } else {
    mkdirSync(DIRECTORY, { recursive: true });
    for (const name of readdirSync(DIRECTORY)) rmSync(join(DIRECTORY, name));
    for (const [name, content] of generate()) writeFileSync(join(DIRECTORY, name), content);
  }
}
