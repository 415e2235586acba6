/** Configuration files for the tests, written to a directory of their own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type Resolved, resolveConfig } from '../../src/config/config.ts';
import { loadConfigFile } from '../../src/config/file.ts';
import { UserError } from '../../src/lib/errors.ts';

export const directory = mkdtempSync(join(tmpdir(), 'whodns-config-'));
after(() => rmSync(directory, { recursive: true, force: true }));

export const PATH = join(directory, 'otel.yaml');

export function write(yaml: string, format = '1.1'): void {
  writeFileSync(PATH, `file_format: "${format}"\n${yaml}\n`);
}

type Answer = Resolved & { readonly notes: readonly string[] };

export function load(yaml: string, flags = {}, env = {}): Answer {
  write(yaml);
  const { settings, warnings } = loadConfigFile(PATH);
  return { ...resolveConfig('run', flags, env, settings), notes: warnings };
}

export function problem(use: () => unknown): string {
  try {
    use();
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    assert.equal(error.exitCode, 2);
    return error.message;
  }
  assert.fail('it was accepted');
}

export const logs = (exporter: string) => `logger_provider: {processors: [{batch: {exporter: ${exporter}}}]}`;
export const metrics = (reader: string) => `meter_provider: {readers: [{periodic: {${reader}}}]}`;
export const spans = (exporter: string) =>
  `tracer_provider: {processors: [{batch: {exporter: ${exporter}}}]}`;
