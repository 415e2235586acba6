/** The table of attacks in docs/faults.md: from what the tests report to its rows. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { attacksSection } from '../hostile/page.ts';
import { type Attack, beginReport, reportAttack } from '../hostile/report.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodns-attacks-'));
const before = process.env['ATTACKS_FILE'];
after(() => {
  rmSync(directory, { recursive: true });
  if (before === undefined) delete process.env['ATTACKS_FILE'];
  else process.env['ATTACKS_FILE'] = before;
});

function pageOf(attacks: readonly Attack[]): string {
  const file = join(directory, 'results.jsonl');
  process.env['ATTACKS_FILE'] = file;
  beginReport(file);
  for (const attack of attacks) reportAttack(attack);
  return attacksSection(file).join('\n');
}

const FLOOD: Attack = { attack: 'flood | fast', stranger: 'user', holds: '0 lost', figure: '0 of 200' };

it('a row each, by who can do it, with what it was measured on', () => {
  const page = pageOf([{ ...FLOOD, attack: 'goaway', stranger: 'collector' }, FLOOD]);
  assert.match(
    page,
    /\| flood \\\| fast \| an unprivileged user \| 0 lost \| 0 of 200 \|\n\| goaway \| a collector/,
  );
  assert.match(page, /UTC, commit \w+/);
});

it('of a test that reports an attack twice there is no page', () => {
  assert.throws(() => pageOf([FLOOD, FLOOD]), /reported twice/);
});

it('without a file to write to nothing is reported', () => {
  process.env['ATTACKS_FILE'] = '';
  assert.doesNotThrow(() => reportAttack(FLOOD));
});
