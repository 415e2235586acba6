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
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../src/control/client.ts';
import { remoteHistory } from '../../src/control/history.ts';
import { type OpenedHistory, readHistory } from '../../src/history/reader.ts';
import type { HistoryQueries, SearchQuery, StoredLookup } from '../../src/history/types.ts';
import type { StageSnapshot } from '../../src/ledger.ts';
import { MAIN } from '../matrix/program.ts';
import { ANSWER, Stage } from './stage.ts';

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
  async function found(history: HistoryQueries, query: SearchQuery): Promise<StoredLookup[]> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const { rows } = await history.search(query);
      if (rows.length > 0) return rows as StoredLookup[];
      assert.ok(performance.now() < deadline, `${JSON.stringify(query)}: nothing found`);
      await sleep(300);
    }
  }

  function files(): OpenedHistory {
    return readHistory(directory, (message) => assert.fail(message));
  }

  it('is for no one else', () => {
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o077, 0);
  });

  it('is searched while the agent runs: from its files, by its socket, by the command', async () => {
    const name = `while.${stage.zone}`;
    await stage.play('ask', name);
    const kept = files();
    for (const history of [kept, remoteHistory(join(stage.directory, 'control'))]) {
      const [row] = await found(history, { name });
      assert.ok(row);
      assert.equal(row.name, name);
      assert.equal(row.process.executable, 'actor');
      assert.equal(row.rcode, 'NOERROR');
      assert.deepEqual(row.answers, [{ type: 'A', data: ANSWER }]);
      assert.equal(row.process.userId, 0);
      const byAddress = await found(history, { address: ANSWER, process: 'act*', suffix: stage.zone });
      assert.ok(byAddress.some((each) => each.name === name));
    }
    kept.close();
    const table = whodns('search', `*.${stage.zone}`, '--history', directory, '--since', '10m');
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout, /^TIME +PID +PROCESS/);
    assert.match(table.stdout, new RegExp(`actor .* A +${name.replaceAll('.', '\\.')} +NOERROR`));
  });

  it('is exact: what the agent counted is what is kept', async () => {
    const control = join(stage.directory, 'control');
    const { stages } = (await ask(control, '/stats')) as { stages: StageSnapshot[] };
    const stageOf = stages.find(({ name }) => name === 'sink:history');
    assert.ok(stageOf !== undefined && stageOf.in > 0);
    assert.equal(stageOf.missing, 0);
    const kept = files();
    const { lookups, connections, findings } = await kept.status();
    kept.close();
    assert.ok(lookups + connections + findings >= stageOf.out, JSON.stringify(stageOf));
  });

  it('is one agent only', () => {
    const said = whodns('--history', directory, '--exporter', 'none', '--duration', '1s');
    assert.equal(said.code, 1);
    assert.match(said.stderr, /history .* is in use by another agent/);
  });

  it('survives SIGKILL with what was kept a second before', async () => {
    const name = `killed.${stage.zone}`;
    await stage.play('ask', name);
    const kept = files();
    await found(kept, { name });
    process.kill(stage.agent.pid, 'SIGKILL');
    while (stage.agent.running) await sleep(50);
    kept.close();
    const again = files();
    assert.equal((await found(again, { name })).length, 1);
    again.close();
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
      // Nor is it read: its owner could have put a link there by now.
      const read = whodns('search', '--history', place);
      assert.equal(read.code, 1, read.stdout);
      assert.match(read.stderr, why);
    }
    const file = join(base, 'file');
    writeFileSync(file, '');
    assert.equal(whodns('--history', file, '--exporter', 'none', '--duration', '1s').code, 1);
    assert.equal(readFileSync(file, 'utf8'), '');
  });
});
