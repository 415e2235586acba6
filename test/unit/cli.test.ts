/** What people type, and what they are told when it is not right. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parseArguments } from '../../src/cli/arguments.ts';
import { SHELLS } from '../../src/cli/completion.ts';
import { resolveConfig } from '../../src/config/config.ts';
import { describeConfig } from '../../src/config/describe.ts';
import { UserError } from '../../src/lib/errors.ts';
import { OPTION_GROUPS } from '../../src/tables/option-groups.ts';
import { OPTIONS } from '../../src/tables/options.ts';

const parse = (...argv: string[]) => parseArguments(argv, '1.2.3');

function printed(...argv: string[]): string {
  const found = parse(...argv);
  assert.ok(found.command === 'print', argv.join(' '));
  return found.text;
}

function refusal(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    assert.ok(error instanceof UserError && error.exitCode === 2, String(error));
    return `${error.message} / ${error.hint}`;
  }
  return assert.fail(`${argv.join(' ')} was accepted`);
}

function config(...argv: string[]) {
  const found = parse(...argv);
  assert.ok(found.command !== 'print');
  return resolveConfig(found.command, found.flags, {}).config;
}

test('every setting with a flag is in one group of the help', () => {
  const grouped = OPTION_GROUPS.flatMap(({ common, further }) => [...common, ...further]);
  const flagged = Object.entries(OPTIONS)
    .filter(([, option]) => 'flag' in option && option.flag !== undefined)
    .map(([key]) => key);
  assert.deepEqual([...grouped].sort(), [...flagged].sort());
});

test('help, version, JSON in the ways people ask for them', () => {
  for (const argv of [['-h'], ['--help'], ['help']]) assert.match(printed(...argv), /Commands:/);
  assert.equal(printed('help', 'run'), printed('run', '--help'));
  assert.equal(printed('help', 'replay'), printed('replay', '-h'));
  for (const argv of [['-V'], ['--version'], ['version']]) assert.equal(printed(...argv), '1.2.3\n');
  for (const argv of [
    ['--json'],
    ['-o', 'json'],
    ['--format', 'json'],
    ['run', '--json'],
    ['doctor', '--json'],
  ])
    assert.equal(config(...argv).format, 'json', argv.join(' '));
  assert.doesNotMatch(printed('run', '--help'), /--max-payload/);
  assert.match(printed('run', '--help-all'), /--max-payload/);
  assert.ok(printed('run', '--help').split('\n').length < 90);
});

test('a command stands anywhere; the value of a flag is not one', () => {
  assert.equal(parse('--control', 'status', 'stats').command, 'stats');
  assert.equal(parse('--control', '/x', 'status').command, 'status');
  assert.equal(parse('-o', 'json', 'doctor').command, 'doctor');
  assert.equal(parse('--stats', 'stats').command, 'run');
  const replay = parse('--timeout', '3', 'replay', '-');
  assert.ok(replay.command === 'replay' && replay.file === '-');
  assert.match(refusal('--duration', '1s', 'extra'), /unexpected argument "extra"/);
  assert.match(refusal('run', '--duration', '1s', 'extra'), /unexpected argument "extra"/);
  assert.match(refusal('replay', 'a', 'b'), /unexpected argument "b"/);
  assert.match(refusal('--control', '/x', 'statsu'), /unknown command "statsu" .* did you mean stat/);
});

test('suggestions are near, or none', () => {
  assert.match(refusal('--tiemout', '3s'), /did you mean --timeout\?/);
  assert.match(refusal('--include-domian', 'x'), /did you mean --include-domain\?/);
  assert.doesNotMatch(refusal('--include-rcode', 'x'), /did you mean/);
  assert.doesNotMatch(refusal('--grep', 'x'), /did you mean/);
  assert.match(refusal('stauts'), /did you mean status\?/);
  assert.ok(!refusal('\u001b[31mred').includes('\u001b'));
});

test('lists: repeated, with commas, or both', () => {
  for (const argv of [['--port', '53,5353'], ['--port', '53', '--port', '5353'], ['--port=53, 5353']])
    assert.deepEqual(config(...argv).ports, [53, 5353], argv.join(' '));
  assert.deepEqual(config('--detect', 'tunnel', '--detect', 'encrypted-dns').detect, [
    'tunnel',
    'encrypted-dns',
  ]);
  assert.equal(
    config('--include-pods', 'app in (a,b)', '--include-pods', 'tier=db;x=y').includePods.length,
    3,
  );
  assert.deepEqual(config('--exporter', 'console,otlp-file:/a,b').logs, [
    { kind: 'console' },
    { kind: 'otlp-file', path: '/a,b' },
  ]);
});

test('times without a unit are seconds; paths are relative to the current directory; old names hold', () => {
  assert.equal(config('--duration', '3').durationMs, 3000);
  assert.equal(config('--timeout', '0.5').timeoutMs, 500);
  assert.equal(config('--control', 'run/x').control, resolve('run/x'));
  assert.equal(config('--ring', '16M').ringBytes, config('--ring-bytes', '16M').ringBytes);
  assert.equal(config('--stats', 'f').stats, config('--stats-file', 'f').stats);
  assert.equal(config('--config', 'f').configFile, config('--config-file', 'f').configFile);
});

test('a variable of ours that nothing reads is told of, with the nearest', () => {
  const warnings = (env: Record<string, string>) => resolveConfig('run', {}, env).warnings.join('\n');
  assert.match(warnings({ WHODNS_FORMATT: 'json' }), /WHODNS_FORMATT .* did you mean WHODNS_FORMAT\?/);
  assert.match(warnings({ WHODNS_QUITE_ANOTHER: '1' }), /WHODNS_QUITE_ANOTHER is no variable of whodns$/);
  assert.equal(warnings({ WHODNS_FORMAT: 'json', OTHER: '1' }), '');
});

test('config shows what differs, as people write it', () => {
  const shown = (all: boolean, ...argv: string[]) => {
    const found = parse('config', ...argv);
    assert.ok(found.command === 'config');
    const { config: resolved, origins } = resolveConfig('config', found.flags, {});
    return describeConfig(resolved, origins, all);
  };
  assert.match(shown(false), /every setting has its default/);
  const some = shown(false, '--timeout', '7500ms', '--ring-bytes', '16777216');
  assert.match(some, /^--timeout +7500ms +--timeout$/m);
  assert.match(some, /^--ring-bytes +16M +--ring-bytes$/m);
  assert.equal(some.trim().split('\n').length, 3);
  assert.match(shown(true), /^--detect-cooldown +10m +default$/m);
});

test('completion: each shell can read it, and bash completes with it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-completion-'));
  try {
    for (const shell of SHELLS) assert.match(printed('completion', shell), /--exporter|-l exporter/);
    const file = join(directory, 'whodns.bash');
    writeFileSync(file, printed('completion', 'bash'));
    const complete = (...words: string[]) =>
      execFileSync(
        'bash',
        [
          '-c',
          `source ${file}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _whodns; printf '%s\\n' "\${COMPREPLY[@]}"`,
          'bash',
          ...words,
        ],
        { encoding: 'utf8' },
      )
        .trim()
        .split('\n');
    assert.deepEqual(complete('whodns', 'sta'), ['status', 'stats']);
    assert.deepEqual(complete('whodns', '--hook', 'f'), ['fentry']);
    assert.ok(complete('whodns', 'run', '--ring').includes('--ring-bytes'));
    assert.deepEqual(complete('whodns', 'cache', '--sc'), ['--scope']);
    assert.match(refusal('completion', 'tcsh'), /bash, zsh, fish/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
