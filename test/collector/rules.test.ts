/** Rules and configuration of Prometheus by its own promtool: when each alert is raised, and when not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promtoolProgram } from '../backends/build.ts';

const PROMETHEUS = join(import.meta.dirname, '../../otel-config/prometheus');

for (const args of [
  ['check', 'config', 'prometheus.yml'],
  ['test', 'rules', 'rules/whodns.test.yml'],
]) {
  test(`promtool ${args.join(' ')}`, async () => {
    const result = spawnSync(await promtoolProgram(), args, { cwd: PROMETHEUS, encoding: 'utf8' });
    assert.equal(result.status, 0, result.stdout + result.stderr);
    assert.match(result.stdout, /SUCCESS/);
  });
}
