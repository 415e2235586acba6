/** What ends the keeping of a history does not end the agent: a full disk, a dead thread. What was lost is counted, to one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import type { StageSnapshot } from '../../src/ledger.ts';
import type { FullDisk } from './full-disk.ts';
import { openTestHistory, type TestHistory, temporaryDirectory } from './history-store.ts';

const PATIENCE_MS = 20_000;
const LIMIT_MS = 120_000;

/** A disk of 1.5 MB that no other process sees, with half a MB taken. */
const FULL_DISK = `mount -t tmpfs -o size=1536k none "$1" && mkdir -m 700 "$1/history" &&
  head -c 524288 /dev/zero > "$1/ballast" && exec "$2" "$3" "$1"`;

function counts({ ledger }: TestHistory): StageSnapshot {
  return ledger.snapshot().find(({ name }) => name === 'sink:history') as StageSnapshot;
}

describe('history: faults', () => {
  it('goes on when the disk is full, counts what was lost, and keeps again when there is room', (test) => {
    const disk = join(temporaryDirectory(test), 'disk');
    mkdirSync(disk);
    const program = resolve('test/unit/full-disk.ts');
    const script = ['sh', '-c', FULL_DISK, 'sh', disk, process.execPath, program];
    const { status, stdout, stderr } = spawnSync('unshare', ['--mount', ...script], {
      encoding: 'utf8',
      timeout: LIMIT_MS,
    });
    assert.equal(status, 0, stderr);
    const { full, after, notices, kept, rows } = JSON.parse(stdout) as FullDisk;
    assert.ok(full.out > 0 && (full.dropped['failed'] ?? 0) > 0, stdout);
    for (const { missing, held } of [full, after]) assert.deepEqual([missing, held], [0, 0]);
    assert.ok(
      notices.some((line) => /history.*full/.test(line)),
      notices.join('\n'),
    );
    assert.equal(after.out, full.out + 20);
    assert.equal(rows, after.out);
    // The right process and name, though the batches before it were undone.
    assert.deepEqual(
      kept.map(([name, process]) => [name.replace(/^n+/, ''), process]).sort(),
      kept.map(([, process]) => [`${full.in + process}.after.test`, process]).sort(),
    );
    assert.equal(new Set(kept.map(([name]) => name)).size, 20);
  });

  it('begins again when its thread has died', async (test) => {
    let worker: Worker | undefined;
    const seen = (each: Worker): void => {
      worker = each;
    };
    process.once('worker', seen);
    test.after(() => process.off('worker', seen));
    const place = join(temporaryDirectory(test), 'history');
    mkdirSync(place, { mode: 0o700 });
    const history = await openTestHistory(test, { place });
    await history.add({ name: 'before.example' });
    await worker?.terminate();
    await history.add({ name: 'lost.example' });
    const lost = counts(history);
    assert.deepEqual([lost.in, lost.out, lost.missing], [2, 1, 0]);
    const deadline = performance.now() + PATIENCE_MS;
    while (counts(history).out < 2) {
      assert.ok(performance.now() < deadline, history.notices.join('\n'));
      await sleep(200);
      await history.add({ name: 'after.example' });
    }
    const { rows } = await history.sink.queries.search({ suffix: '*.example' });
    const names = rows.map((row) => (row.kind === 'lookup' ? row.name : row.kind));
    assert.deepEqual([...new Set(names)].sort(), ['after.example', 'before.example']);
    const { in: came, out, dropped, missing } = counts(history);
    assert.equal(missing, 0);
    assert.equal(came, out + Object.values(dropped).reduce((sum, count) => sum + count, 0));
    assert.ok(history.notices.some((line) => line.includes('thread')));
  });
});
