/**
 * Tests stage by stage, with the counts at the end. A failed stage does not stop the others. A skip without a reason is a failure.
 * A file with a failure runs once more at the end, with nothing beside it: other users of the host make what is measured late. What passes
 * then is named, with what it said the first time.
 *   node test/run.ts              what proves a change: under 45 minutes on two cores (`npm test`)
 *   node test/run.ts --all        every stage, every kernel with every family, every fault: hours (`npm run test:all`)
 *   node test/run.ts STAGE ...    these, as in `npm test`; with --all as there
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { beginReport } from './hostile/report.ts';

interface Stage {
  readonly name: string;
  readonly files: string | readonly string[];
  readonly timeoutMs: number;
  /** How many test files at once: 1 where they share the kernel or measure time. */
  readonly concurrency: number;
  /** It waits more than it computes: it runs beside that stage, if both run, and its output comes behind. */
  readonly beside?: string;
  /**
   * A program that makes what it needs, for minutes. It runs from the beginning on with what processor time the stages before leave
   * (SCHED_IDLE). The stage asks for the same thing itself, so that it waits for the program, and says what is wrong if it failed.
   */
  readonly build?: string;
  /** Not part of `npm test`: in `npm run test:all`, and it has a script of its own. */
  readonly onlyInAll?: true;
}

const MINUTE = 60_000;
/** What makes test files do all they can, and how much longer a stage may take then. */
const ALL_VARIABLES = { WHODNS_KERNELS: 'full', WHODNS_FAULTS: 'full' };
const ALL_FACTOR = 6;
const STAGES: readonly Stage[] = [
  { name: 'unit', files: 'test/unit/**/*.test.ts', timeoutMs: 5 * MINUTE, concurrency: 2 },
  { name: 'golden', files: 'test/golden/**/*.test.ts', timeoutMs: 5 * MINUTE, concurrency: 1 },
  { name: 'fuzz', files: 'test/fuzz/**/*.{fuzz,test}.ts', timeoutMs: 8 * MINUTE, concurrency: 2 },
  { name: 'bpf', files: 'test/bpf/**/*.test.ts', timeoutMs: 8 * MINUTE, concurrency: 1 },
  { name: 'native', files: 'test/native/**/*.test.ts', timeoutMs: 5 * MINUTE, concurrency: 1 },
  { name: 'e2e', files: 'test/e2e/**/*.test.ts', timeoutMs: 15 * MINUTE, concurrency: 1 },
  // Attacks of strangers (docs/faults.md): floods of whole cores among them.
  { name: 'hostile', files: 'test/hostile/**/*.test.ts', timeoutMs: 20 * MINUTE, concurrency: 1 },
  { name: 'detect', files: 'test/detect/**/*.test.ts', timeoutMs: 10 * MINUTE, concurrency: 1 },
  // The page in a real browser.
  { name: 'ui', files: 'test/ui/**/*.test.ts', timeoutMs: 10 * MINUTE, concurrency: 1 },
  { name: 'containers', files: 'test/containers/**/*.test.ts', timeoutMs: 10 * MINUTE, concurrency: 1 },
  { name: 'kernel', files: 'test/kernel/**/*.test.ts', timeoutMs: 45 * MINUTE, concurrency: 1 },
  {
    name: 'collector',
    files: 'test/collector/**/*.test.ts',
    timeoutMs: 35 * MINUTE,
    concurrency: 1,
    beside: 'kernel',
    build: 'test/collector/build.ts',
  },
  // Attacks that need a kernel other than this host's, or that hang one.
  {
    name: 'machines',
    files: 'test/machines/*.test.ts',
    timeoutMs: 60 * MINUTE,
    concurrency: 1,
    onlyInAll: true,
  },
  {
    name: 'k8s',
    files: 'test/k8s/**/*.test.ts',
    timeoutMs: 60 * MINUTE,
    concurrency: 1,
    onlyInAll: true,
  },
  {
    name: 'backends',
    files: 'test/backends/**/*.test.ts',
    timeoutMs: 60 * MINUTE,
    concurrency: 1,
    onlyInAll: true,
  },
  {
    name: 'deploy',
    files: 'test/deploy/**/*.test.ts',
    timeoutMs: 60 * MINUTE,
    concurrency: 1,
    onlyInAll: true,
  },
  {
    name: 'packages',
    files: 'test/packages/**/*.test.ts',
    timeoutMs: 60 * MINUTE,
    concurrency: 1,
    onlyInAll: true,
  },
  {
    name: 'arm64',
    files: 'test/arm64/**/*.test.ts',
    timeoutMs: 60 * MINUTE,
    concurrency: 1,
    onlyInAll: true,
  },
];

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** What is to be read of the failures once more at the end; '' if nothing failed. */
  faults: string;
  /** A line for each skip, with its reason. */
  skips: string;
  /** Files with a failure. */
  files: readonly string[];
}

const NOTHING: Counts = { passed: 0, failed: 0, skipped: 0, faults: '', skips: '', files: [] };

const ansi = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

/** Runs one stage; its output goes to `write`, its closing counts are read. */
async function runStage(stage: Stage, write: (text: string) => void): Promise<Counts> {
  const files = globSync(stage.files).sort();
  if (files.length === 0) {
    write(`${stage.name}: no test files\n`);
    return { ...NOTHING, failed: 1 };
  }
  const args = ['--test', `--test-concurrency=${stage.concurrency}`, '--test-reporter=spec', ...files];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const timeoutMs = isAll ? stage.timeoutMs * ALL_FACTOR : stage.timeoutMs;
  let faults = '';
  let skips = '';
  const timer = setTimeout(() => {
    const tree = descendants(child.pid ?? 0);
    faults += `${stage.name}: not done after ${timeoutMs / MINUTE} min, ended; what ran:\n${tree.map(({ line }) => line).join('\n')}\n`;
    for (const { pid } of tree) endProcess(pid);
  }, timeoutMs);
  const counted = new Map<string, number>();
  let rest = '';
  let unreasoned = 0;
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    write(chunk as string);
    const lines = (rest + (chunk as string)).replace(ansi, '').split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      // node's reporter marks a skip `# SKIP` and puts the reason behind it
      if (/# (SKIP|TODO)\s*$/.test(line)) unreasoned++;
      if (/^ *﹣ /.test(line)) skips += `${stage.name}: ${line.trim().slice(2)}\n`;
      if (line === '✖ failing tests:') faults += `${stage.name}\n`;
      if (faults !== '') faults += `${line}\n`;
      const [, word, number] = /^. (pass|fail|cancelled|skipped|todo) (\d+)$/.exec(line) ?? [];
      if (word !== undefined) counted.set(word, Number(number));
    }
  }
  const code = await new Promise<number | null>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.on('close', resolve);
  });
  clearTimeout(timer);
  const count = (word: string) => counted.get(word) ?? 0;
  const failed = count('fail') + count('cancelled') + unreasoned;
  return {
    passed: count('pass'),
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: count('skipped') + count('todo'),
    faults,
    skips,
    files: [...new Set(faults.match(/(?<=^test at )test\/[^:]+/gm))],
  };
}

interface Process {
  readonly pid: number;
  /** As ps shows it: for how long, on what in the kernel it waits, its command. */
  readonly line: string;
}

/** The process and everything below it, parents first. */
function descendants(root: number): Process[] {
  const text = execFileSync('ps', ['-e', '-ww', '-o', 'pid=,ppid=,etimes=,wchan:24=,args='], {
    encoding: 'utf8',
  });
  const all = text.split('\n').map((line) => {
    const [pid = 0, parent = 0] = line.trim().split(/\s+/, 2).map(Number);
    // what a test is, is at the end: node writes all its options
    return { pid, parent, line: line.length > 320 ? `${line.slice(0, 120)} ... ${line.slice(-200)}` : line };
  });
  const found = all.filter(({ pid }) => pid === root);
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid));
  return found;
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}

/** A stage that is a command of its own: passes or fails as one. */
function runCommand(command: string, args: readonly string[]): Promise<Counts> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => resolve({ ...NOTHING, failed: 1 }));
    child.on('close', (code) => resolve({ ...NOTHING, [code === 0 ? 'passed' : 'failed']: 1 }));
  });
}

const isAll = process.argv.includes('--all');
const wanted = process.argv.slice(2).filter((word) => word !== '--all');
if (isAll) Object.assign(process.env, ALL_VARIABLES);
const total = { ...NOTHING };
const rows: string[] = [];
const isWanted = ({ name, onlyInAll }: Pick<Stage, 'name' | 'onlyInAll'>): boolean =>
  wanted.length > 0 ? wanted.includes(name) : isAll || onlyInAll !== true;

/** Stages with a failure that can be tried again, and how many. */
const failed: { readonly stage: Stage; readonly counts: Counts }[] = [];

async function record(name: string, run: () => Promise<Counts>): Promise<Counts> {
  const started = process.hrtime.bigint();
  const counts = await run();
  const seconds = Number((process.hrtime.bigint() - started) / 1_000_000_000n);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  total.faults += counts.faults;
  total.skips += counts.skips;
  rows.push(
    `${name.padEnd(10)} ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped  (${seconds} s)`,
  );
  return counts;
}

async function recordStage(stage: Stage, write: (text: string) => void): Promise<void> {
  const counts = await record(stage.name, () => runStage(stage, write));
  if (counts.files.length > 0) failed.push({ stage, counts });
}

/** Once more what failed. Counts what passes now as passed. */
async function tryAgain({ stage, counts }: (typeof failed)[number]): Promise<void> {
  console.log(`\n== ${stage.name}, once more: ${counts.files.join(' ')}`);
  const second = await runStage({ ...stage, files: counts.files, concurrency: 1 }, (text) =>
    process.stdout.write(text),
  );
  const mended = Math.max(0, counts.failed - second.failed);
  total.passed += mended;
  total.failed -= mended;
  total.faults += second.faults;
  rows.push(`${stage.name}: of ${counts.failed} failed, ${mended} passed at the second attempt`);
}

if (!existsSync('package.json')) throw new Error('run from the repository root');
if (isWanted({ name: 'check' })) {
  console.log('\n== check');
  await record('check', () => runCommand('sh', ['test/check.sh']));
}
const stages = STAGES.filter(isWanted);
const attacks = process.env['ATTACKS_FILE'] ?? '';
if (attacks !== '' && stages.some(({ name }) => name === 'hostile')) beginReport(attacks);
/** Those of the first stage build themselves. */
const builds = stages
  .slice(1)
  .flatMap(({ build }) => build ?? [])
  .map((build) =>
    spawn('chrt', ['--idle', '0', process.execPath, build], { stdio: 'ignore' }).on('error', () => {}),
  );
for (const stage of stages) {
  if (stages.some(({ name }) => name === stage.beside)) continue;
  const output: string[] = [];
  const beside = stages
    .filter((each) => each.beside === stage.name)
    .map(async (each) => {
      const own = [`\n== ${each.name}\n`];
      await recordStage(each, (text) => own.push(text));
      output.push(...own);
    });
  console.log(`\n== ${stage.name}`);
  await recordStage(stage, (text) => process.stdout.write(text));
  await Promise.all(beside);
  for (const text of output) process.stdout.write(text);
}
// A stage that failed has not waited for them.
for (const { pid, exitCode } of builds)
  if (pid !== undefined && exitCode === null) for (const each of descendants(pid)) endProcess(each.pid);
for (const each of failed) await tryAgain(each);
if (total.faults !== '') console.log(`\n== failures once more\n${total.faults}`);
if (total.skips !== '') console.log(`\n== skipped\n${total.skips}`);
console.log(`\n${rows.join('\n')}\n`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
