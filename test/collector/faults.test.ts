/**
 * The real agent at 2 000 lookups a second while its destination, its disk or itself fails; which records got through, which came
 * twice, how much memory it took. Each group runs in a network namespace of its own (faults-inside.ts).
 *
 * WHODNS_FAULTS=full also has the collector away for half a minute and for two and writes docs/faults.md.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildPrograms } from '../../bench/machine.ts';
import { collectorProgram } from './build.ts';
import { GROUPS } from './fault-cases.ts';
import type { Outcome } from './faults-inside.ts';
import { faultsPage } from './faults-page.ts';

const FULL = process.env['WHODNS_FAULTS'] === 'full';
/** What `npm test` has no time for. */
const LONG_GROUPS: Readonly<Record<string, string>> = {
  'collector-30s': 'a minute',
  'collector-120s': 'four minutes',
};
const MAX_RESIDENT = 250e6;
/** Records in the requests that may be under way when an agent dies: they are sent again. */
const UNDER_WAY = 4 * 2048;
/** At most this much of what was asked before its death had not been encoded: the batch delay, the ring, a busy machine. */
const ABSENT_S = 40;
/** Default of --queue-bytes, in records of this load: less than 700 bytes each. */
const QUEUE_RECORDS = (64 * 1024 * 1024) / 700;
/** Lookups until the agent has noticed that the fault is over and has caught up: the longest pause between two attempts and more. */
const NOTICED_LATE = 2000 * 10;
const PAGE = join(import.meta.dirname, '../../docs/faults.md');

const all: Outcome[] = [];
let directory = '';

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-faults-'));
  await collectorProgram(); // built out here: there is no network inside
  buildPrograms();
});
after(() => {
  rmSync(directory, { recursive: true, force: true });
  if (FULL && Object.values(GROUPS).flat().length <= new Set(all.map(({ name }) => name)).size)
    writeFileSync(PAGE, faultsPage(all));
});

async function inside(group: string): Promise<Outcome[]> {
  const program = join(import.meta.dirname, 'faults-inside.ts');
  const script = 'ip link set lo up && exec "$@"';
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const words = ['-n', '-m', 'sh', '-c', script, 'sh', process.execPath, program, group, directory];
  const child = spawn('unshare', words, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  assert.equal(code, 0, `${group}: ${errors}${output}`);
  return JSON.parse(output) as Outcome[];
}

function verify(outcome: Outcome): void {
  const {
    name,
    store,
    lost,
    outageRecords,
    absent,
    duplicated,
    doubled,
    dropped,
    missing,
    highWater,
    ringDrops,
    log,
  } = outcome;
  const at = `${name}, ${store}: ${JSON.stringify({ ...outcome, log: '' })}\n${log}`;
  assert.equal(ringDrops, 0, `capture was held up: ${at}`);
  assert.equal(missing, 0, `the books do not balance: ${at}`);
  assert.equal(doubled, 0, `two records of one lookup: ${at}`);
  assert.ok(highWater > 20e6 && highWater < MAX_RESIDENT, `memory: ${at}`);
  const counted = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  if (outcome.lossIsTold) {
    assert.ok(lost > 0, at);
    assert.equal(
      lost,
      counted,
      `what the server refused for good is counted, and nothing else is lost: ${at}`,
    );
  } else if (absent > 0 && store === 'memory') {
    assert.ok(lost >= absent, at); // nothing is promised: what waited died with the agent
  } else {
    assert.equal(lost - absent, counted, `lost and not counted: ${at}`);
    const fits = store === 'spool' || outageRecords + NOTICED_LATE < QUEUE_RECORDS;
    if (fits) assert.equal(lost - absent, 0, `lost: ${at}`);
  }
  assert.ok(absent < ABSENT_S * 2000, at);
  const redelivers = ['slow', 'silent', 'http-silent', 'garbage', 'expired', 'agent-killed'].includes(name);
  if (!redelivers && !name.startsWith('collector')) assert.equal(duplicated, 0, at);
  if (name === 'agent-killed' && store === 'spool') assert.ok(duplicated <= UNDER_WAY, at);
  if (name === 'disk-full') assert.equal(log.match(/ENOSPC/g)?.length, 1, `one warning: ${at}`);
}

for (const [group, cases] of Object.entries(GROUPS)) {
  const long =
    LONG_GROUPS[group] !== undefined && !FULL && `takes ${LONG_GROUPS[group]}: WHODNS_FAULTS=full runs it`;
  test(cases.map(({ what }) => what).join('; '), { skip: long, timeout: 480_000 }, async () => {
    assert.equal(process.getuid?.(), 0, 'loading BPF programs and making namespaces needs root');
    const outcomes = await inside(group);
    all.push(...outcomes);
    for (const outcome of outcomes) verify(outcome);
  });
}
