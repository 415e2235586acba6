/** Recipes of docs/recipes.md with the real agent and what they send to. Runs recipes-agent-inside.ts in namespaces. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { collectorProgram } from '../collector/build.ts';
import { RECIPES_MANIFEST, victoriaLogsProgram, victoriaMetricsProgram } from './build.ts';
import { clickHouseProgram } from './clickhouse.ts';
import { runInside } from './inside.ts';

test('from a lookup to VictoriaLogs and VictoriaMetrics, and to ClickHouse', {
  timeout: 240_000,
}, async () => {
  assert.equal(process.getuid?.(), 0, 'loading BPF programs and making namespaces needs root');
  // Built out here: there is no network inside.
  await Promise.all([
    collectorProgram(RECIPES_MANIFEST),
    victoriaLogsProgram(),
    victoriaMetricsProgram(),
    clickHouseProgram(),
  ]);
  runInside(join(import.meta.dirname, 'recipes-agent-inside.ts'), 'nameserver 127.0.0.1\n');
});
