/** Every shipped file is accepted by the real collector's `validate`, alone where it can stand alone and combined. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { collectorProgram, collectorVersion } from './build.ts';
import { CONFIGURATIONS, configArguments } from './collector.ts';

const INPUTS = ['agent', 'gateway'];
const OUTPUTS = ['otlp', 'loki', 'tempo', 'prometheus', 'victorialogs', 'jaeger'];
const MODIFIERS = ['redact'];
/** Their exporters are not in builder.yaml: test/backends/ has another collector. */
const ELSEWHERE = ['clickhouse'];
/** Only after agent.yaml. */
const AGENT_MODIFIERS = ['file', 'kubernetes'];

const COMBINATIONS: readonly (readonly string[])[] = [
  ...INPUTS.map((input) => [input]),
  ...INPUTS.flatMap((input) => [...OUTPUTS, ...MODIFIERS].map((part) => [input, part])),
  ...AGENT_MODIFIERS.map((modifier) => ['agent', modifier]),
  ['agent', 'file', 'kubernetes', 'redact', ...OUTPUTS],
  ['gateway', 'redact', ...OUTPUTS],
];

let program = '';
before(async () => {
  program = await collectorProgram();
});

function validate(
  names: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { status: number | null; output: string } {
  const result = spawnSync(program, ['validate', ...configArguments(names)], {
    encoding: 'utf8',
    env: { ...process.env, KUBE_NODE_NAME: 'node', ...env },
  });
  return { status: result.status, output: result.stdout + result.stderr };
}

for (const names of COMBINATIONS) {
  test(`valid: ${names.join(' + ')}`, () => {
    const { status, output } = validate(names);
    assert.equal(status, 0, output);
    assert.doesNotMatch(
      output,
      /deprecated/i,
      'a component name of before 2026, or an option on its way out',
    );
  });
}

test('every shipped file is in a combination', () => {
  const shipped = readdirSync(CONFIGURATIONS)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length));
  assert.deepEqual(
    shipped.sort(),
    [...INPUTS, ...OUTPUTS, ...MODIFIERS, ...AGENT_MODIFIERS, ...ELSEWHERE].sort(),
  );
});

test('every shipped file states its minimum version', () => {
  for (const name of readdirSync(CONFIGURATIONS).filter((file) => file.endsWith('.yaml'))) {
    assert.match(readFileSync(join(CONFIGURATIONS, name), 'utf8'), /Minimum version: .*v0\.\d+\.0/, name);
  }
});

test('redact with a salt is valid', () => {
  assert.equal(validate(['agent', 'redact', 'loki'], { WHODNS_REDACT_SALT: '0f' }).status, 0);
});

test('validate does find mistakes', () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-validate-'));
  try {
    const wrong = join(directory, 'wrong.yaml');
    writeFileSync(wrong, 'exporters:\n  otlp_http/loki:\n    endpiont: http://localhost\n');
    const { status, output } = validate(['agent', 'loki', wrong]);
    assert.notEqual(status, 0);
    assert.match(output, /endpiont/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('the manifest pins one version', () => {
  const manifest = readFileSync(join(CONFIGURATIONS, '../builder.yaml'), 'utf8');
  const versions = [...manifest.matchAll(/gomod: \S+ (v\S+)/g)].map((match) => match[1] ?? '');
  // v0.0.0: ours, of a directory.
  const unstable = new Set(versions.filter((version) => version.startsWith('v0.') && version !== 'v0.0.0'));
  assert.deepEqual([...unstable], [`v${collectorVersion(manifest)}`]);
  assert.equal(new Set(versions.filter((version) => version.startsWith('v1.'))).size, 1);
});
