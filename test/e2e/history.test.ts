/** The real agent with --history, real lookups and connections: searched while it runs, after it stopped, after SIGKILL and damage. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoredLookup } from '../../src/history/types.ts';
import { ANSWER, Stage } from './stage.ts';

const MAIN = resolve('src/main.ts');
const LIMIT_MS = 60_000;
const PATIENCE_MS = 30_000;

interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function whodns(...args: readonly string[]): Said {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
    env: { PATH: process.env['PATH'] },
  });
  return { code: status, stdout, stderr };
}

function rows(said: Said): StoredLookup[] {
  return said.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as StoredLookup);
}

describe('whodns --history', () => {
  let base = '';
  let directory = '';
  let stage: Stage;
  before(async () => {
    base = mkdtempSync(join(tmpdir(), 'whodns-history-'));
    directory = join(base, 'kept');
    stage = await Stage.open('--history', directory);
  });
  after(async () => {
    await stage?.close();
    rmSync(base, { recursive: true, force: true });
  });

  /** Asked until it is there: what is captured is kept within a second. */
  async function found(...args: readonly string[]): Promise<StoredLookup[]> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const said = whodns('search', ...args, '--json');
      if (said.code === 0) return rows(said);
      assert.equal(said.code, 3, said.stderr);
      assert.ok(performance.now() < deadline, `${args.join(' ')}: nothing found`);
      await sleep(300);
    }
  }

  it('is for no one else', () => {
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o077, 0);
  });

  it('is searched while the agent runs: from its files and by its socket', async () => {
    const name = `while.${stage.zone}`;
    const [claim] = await stage.play('ask', name);
    const control = join(stage.directory, 'control');
    for (const from of [
      ['--history', directory],
      ['--control', control],
    ]) {
      const [row] = await found(name, ...from);
      assert.ok(row);
      assert.equal(row.name, name);
      assert.equal(row.process.executable, 'actor');
      assert.equal(row.rcode, 'NOERROR');
      assert.deepEqual(row.answers, [{ type: 'A', data: ANSWER }]);
      assert.equal(row.process.userId, 0);
      assert.ok(claim !== undefined && row.process.pid > 0);
    }
    const byAddress = await found(ANSWER, '--process', 'act*', '--since', '10m', '--history', directory);
    assert.ok(byAddress.some((row) => row.name === name));
    const table = whodns('search', `*.${stage.zone}`, '--history', directory);
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout, /^TIME +PID +PROCESS/);
    assert.match(table.stdout, new RegExp(`actor .* A +${name.replaceAll('.', '\\.')} +NOERROR`));
    assert.equal(whodns('search', `none.${stage.zone}`, '--history', directory).code, 3);
    assert.equal(whodns('search', '--rcode', 'NOPE', '--history', directory).code, 2);
    assert.equal(whodns('search', '--history', join(base, 'nothing')).code, 1);
  });

  it('is one agent only', () => {
    const said = whodns('--history', directory, '--exporter', 'none', '--duration', '1s');
    assert.equal(said.code, 1);
    assert.match(said.stderr, /history .* is in use by another agent/);
  });

  it('survives SIGKILL with what was kept a second before', async () => {
    const name = `killed.${stage.zone}`;
    await stage.play('ask', name);
    await found(name, '--history', directory);
    process.kill(stage.agent.pid, 'SIGKILL');
    while (stage.agent.running) await sleep(50);
    assert.equal((await found(name, '--history', directory)).length, 1);
  });
});

describe('whodns --history: a directory that cannot be', () => {
  it('refuses one of another user, and one that others can write to', (test) => {
    const base = mkdtempSync(join(tmpdir(), 'whodns-history-'));
    test.after(() => rmSync(base, { recursive: true, force: true }));
    const foreign = join(base, 'foreign');
    mkdirSync(foreign, { mode: 0o700 });
    chownSync(foreign, 65_534, 65_534);
    const open = join(base, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    for (const [place, why] of [
      [foreign, /belongs to user 65534/],
      [open, /can be written to by everyone/],
    ] as const) {
      const said = whodns('--history', place, '--exporter', 'none', '--duration', '1s');
      assert.equal(said.code, 1);
      assert.match(said.stderr, why);
    }
    const file = join(base, 'file');
    writeFileSync(file, '');
    assert.equal(whodns('--history', file, '--exporter', 'none', '--duration', '1s').code, 1);
    assert.equal(readFileSync(file, 'utf8'), '');
  });
});
