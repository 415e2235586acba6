/**
 * Runs the tests of this folder on the code before them, to see each attack succeed: a test that passes there proves nothing.
 *   node test/hostile/before.ts DIRECTORY [--only=REGEXP] [FILE ...]
 * DIRECTORY: a worktree of COMMIT with npm packages (`git worktree add --detach DIRECTORY COMMIT`, `npm ci` there). Its tests and load
 * generators are replaced by today's. Today's options that it does not know are left out, so that it runs at all. Adds a line for each
 * test to before.jsonl in place of what it had there; --only: names of tests.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** The last one without any of what issue 10 asks for. */
export const COMMIT = '67d8fcf';
export const BEFORE = join(import.meta.dirname, 'before.jsonl');
const REPOSITORY = join(import.meta.dirname, '../..');
const FILE_LIMIT_MS = 230_000;

export interface Before {
  readonly file: string;
  readonly test: string;
  readonly passed: boolean;
  /** First line of what failed; '' where it passed. */
  readonly why: string;
}

/** What tests import that was not there: as it behaved. */
const SHIMS: Readonly<Record<string, string>> = {
  'src/lib/safe-file.ts': `import { writeFileSync } from 'node:fs';
export const assertWritable = (path: string): void => writeFileSync(path, '');
`,
  'src/main.ts': `/** Today's options that are not known here, with the value behind them, are left out. */
const UNKNOWN = ['--cgroup-rate', '--cgroup-burst', '--cgroup-rate-for', '--seccomp'];
process.argv = process.argv.filter((word, i, all) => !UNKNOWN.includes(word) && !UNKNOWN.includes(all[i - 1] ?? ''));
await import('./main-before.ts');
`,
};

function prepare(directory: string): void {
  const head = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: directory, encoding: 'utf8' });
  if (!head.startsWith(COMMIT)) throw new Error(`${directory} is at ${head.trim()}, not at ${COMMIT}`);
  const at = (path: string) => join(directory, path);
  for (const part of ['test', 'bench']) {
    rmSync(at(part), { recursive: true, force: true });
    cpSync(join(REPOSITORY, part), at(part), { recursive: true });
  }
  // Helpers that make events by hand know the modules of their time.
  rmSync(at('test/unit'), { recursive: true });
  execFileSync('git', ['checkout', '--quiet', 'HEAD', '--', 'test/unit'], { cwd: directory });
  // It does not tell when a table is full.
  const shares = readFileSync(at('test/hostile/fair-shares.test.ts'), 'utf8');
  const waits = shares.replaceAll(/await untilFull\([^)]*\);/g, 'await sleep(5000);');
  writeFileSync(at('test/hostile/fair-shares.test.ts'), waits);
  // Reasons of loss that were not there yet are no losses.
  const ring = readFileSync(at('test/matrix/ring.ts'), 'utf8');
  writeFileSync(
    at('test/matrix/ring.ts'),
    ring.replace('source.drops[reason] !== 0', '(source.drops[reason] ?? 0) !== 0'),
  );
  cpSync(join(REPOSITORY, 'src/tables/capabilities.ts'), at('src/tables/capabilities.ts'));
  if (!existsSync(at('src/main-before.ts'))) renameSync(at('src/main.ts'), at('src/main-before.ts'));
  for (const [path, text] of Object.entries(SHIMS)) writeFileSync(at(path), text);
  execFileSync('native/setup.sh', ['build'], { cwd: directory, stdio: 'inherit' });
}

function runFile(directory: string, file: string, only: string | undefined): Before[] {
  const pattern = only === undefined ? [] : [`--test-name-pattern=${only}`];
  const argv = ['--test', '--test-reporter=tap', ...pattern, `test/hostile/${file}`];
  const { stdout } = spawnSync(process.execPath, argv, {
    cwd: directory,
    encoding: 'utf8',
    timeout: FILE_LIMIT_MS,
    maxBuffer: 1 << 28,
  });
  const found: Before[] = [];
  // Leaves only: what holds others has a plan (`1..N`) before its line, and an `error` that counts them.
  const blocks = stdout.matchAll(
    /^( *)(not ok|ok) \d+ - (.*?)( # SKIP.*)?\n\1 {2}---\n([\s\S]*?)\n\1 {2}\.\.\.$/gm,
  );
  for (const [, , word, name = '', skip, more = ''] of blocks) {
    if (skip !== undefined || /type: 'suite'|subtests? failed/.test(more)) continue;
    const [, error = ''] = /^ *error: (?:\|-\n)?([\s\S]*?)(?=\n *\w+: |$(?![\s\S]))/m.exec(more) ?? [];
    const words = error
      .replaceAll(/\+ actual - expected|\s+/g, ' ')
      .replaceAll(/^ *'|'$/g, '')
      .trim();
    const why = word === 'ok' ? '' : words.slice(0, 160);
    found.push({ file, test: name.replaceAll('\\', ''), passed: word === 'ok', why });
  }
  return found;
}

export function readBefore(): Before[] {
  const text = existsSync(BEFORE) ? readFileSync(BEFORE, 'utf8').trimEnd() : '';
  return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as Before);
}

if (import.meta.main) {
  const [directory = '', ...words] = process.argv.slice(2);
  const only = words.find((word) => word.startsWith('--only='))?.slice('--only='.length);
  const wanted = words.filter((word) => !word.startsWith('--only='));
  prepare(directory);
  const files = wanted.length > 0 ? wanted : globSync('*.test.ts', { cwd: import.meta.dirname });
  for (const file of files.map((path) => basename(path)).sort()) {
    const found = runFile(directory, file, only);
    const isOld = (each: Before) =>
      each.file === file && (only === undefined || found.some(({ test }) => test === each.test));
    const all = [...readBefore().filter((each) => !isOld(each)), ...found];
    all.sort((a, b) => a.file.localeCompare(b.file));
    writeFileSync(BEFORE, all.map((each) => `${JSON.stringify(each)}\n`).join(''));
    const passed = found.filter((each) => each.passed);
    console.log(`${file}: ${found.length - passed.length} of ${found.length} fail`);
    for (const each of passed) console.log(`  passes: ${each.test}`);
    for (const each of found.filter((one) => !one.passed)) console.log(`  fails: ${each.test}: ${each.why}`);
  }
}
