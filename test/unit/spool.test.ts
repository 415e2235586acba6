/** The spool as a queue: order, restart, bound, what stays on disk. Damage, lock and the model have files of their own. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { UserError } from '../../src/lib/errors.ts';
import type { SealedRequest } from '../../src/sinks/delivery/request-store.ts';
import { drain, numbered, serialOf, type Workplace, workplace } from './spool-requests.ts';

let work: Workplace;
beforeEach(() => {
  work = workplace();
});
afterEach(() => work.remove());

function segments(): string[] {
  return readdirSync(work.directory).filter((name) => name.endsWith('.segment'));
}

describe('spool', () => {
  it('gives back what was pushed, oldest first, byte for byte, and holds the books', async () => {
    const spool = work.open();
    const pushed = [numbered(1, 10, 3), numbered(2, 300_000, 40), numbered(3, 5, 1)];
    for (const request of pushed)
      assert.deepEqual(spool.push(request), { droppedRecords: 0, damagedRecords: 0 });
    assert.equal(spool.heldRecords, 44);
    assert.equal(spool.heldBytes, 300_015);
    const taken = [spool.take(), spool.take(), spool.take()] as SealedRequest[];
    assert.equal(spool.take(), undefined);
    for (const [index, request] of taken.entries()) {
      assert.ok(Buffer.from(request.bytes).equals(pushed[index]?.bytes as Buffer));
      assert.equal(request.records, pushed[index]?.records);
      assert.equal(request.resourceCount, 1);
    }
    assert.equal(spool.heldRecords, 44, 'handed out is held');
    for (const request of taken) spool.done(request);
    assert.equal(spool.heldRecords, 0);
    assert.equal(spool.heldBytes, 0);
    await spool.close();
    assert.deepEqual(readdirSync(work.directory), [], 'nothing is left of what was delivered, nor the lock');
  });

  it('what comes back goes out again before newer ones, in its old order', () => {
    const spool = work.open();
    for (let serial = 1; serial <= 5; serial++) spool.push(numbered(serial));
    const [one, two, three] = [spool.take(), spool.take(), spool.take()] as [
      SealedRequest,
      SealedRequest,
      SealedRequest,
    ];
    spool.requeue(three);
    spool.requeue(one);
    spool.done(two);
    assert.deepEqual(drain(spool), [1, 3, 4, 5]);
  });

  it('a request that is not held cannot be settled', () => {
    const spool = work.open();
    assert.throws(() => spool.done(numbered(1)), /not held/);
    assert.throws(() => spool.requeue(numbered(1)), /not held/);
  });

  it('leaves a directory that was there as it is', () => {
    mkdirSync(work.directory, { recursive: true });
    chmodSync(work.directory, 0o755);
    work.open();
    assert.equal(statSync(work.directory).mode & 0o777, 0o755);
  });

  it('is readable by nobody else', () => {
    work.open().push(numbered(1));
    assert.equal(statSync(work.directory).mode & 0o777, 0o700);
    for (const name of readdirSync(work.directory))
      assert.equal(statSync(join(work.directory, name)).mode & 0o777, 0o600, name);
  });

  it('a restart gives what was not done, whatever order the rest was done in', async () => {
    const spool = work.open();
    for (let serial = 1; serial <= 6; serial++) spool.push(numbered(serial, 20, serial));
    const taken = Array.from({ length: 5 }, () => spool.take() as SealedRequest);
    for (const index of [4, 1, 3]) spool.done(taken[index] as SealedRequest);
    assert.equal(spool.heldRecords, 1 + 3 + 6);
    await spool.close();
    assert.equal(spool.heldRecords, 1 + 3 + 6, 'kept for the next start');
    const next = work.open();
    assert.equal(next.heldRecords, 1 + 3 + 6);
    assert.equal(next.heldBytes, 60);
    assert.deepEqual(drain(next), [1, 3, 6]);
    await next.close();
    assert.deepEqual(segments(), []);
    assert.deepEqual(work.open().damage, { stretches: 0, bytes: 0, records: 0 });
  });

  it('after close it takes nothing in', async () => {
    const spool = work.open();
    await spool.close();
    await spool.close();
    assert.deepEqual(spool.push(numbered(1, 20, 7)), { droppedRecords: 7 });
    assert.deepEqual(readdirSync(work.directory), []);
  });

  it('over the bound the oldest go, counted; what is handed out can still be delivered', () => {
    const spool = work.open(1 << 20);
    const length = 60_000;
    spool.push(numbered(0, length, 2));
    const first = spool.take() as SealedRequest;
    let dropped = 0;
    const pushed = 100;
    for (let serial = 1; serial <= pushed; serial++) {
      dropped += spool.push(numbered(serial, length, 2)).droppedRecords;
      const bytes = segments().reduce((sum, name) => sum + statSync(join(work.directory, name)).size, 0);
      assert.ok(bytes <= 1 << 20, `${bytes} bytes on disk`);
      assert.equal(spool.diskBytes, bytes);
      assert.equal(dropped + spool.heldRecords, (serial + 1) * 2, 'every record is held or dropped');
    }
    spool.requeue(first);
    assert.equal(serialOf(spool.take() as SealedRequest), 0);
    spool.done(first);
    const left = drain(spool);
    assert.equal(left.length, pushed - dropped / 2);
    assert.equal(left.at(-1), pushed);
    assert.equal(left[0], pushed - left.length + 1, 'the newest are kept, without a gap');
    assert.ok(left.length >= 14, `${left.length} of about 17 that fit`);
    assert.match(work.warnings.join('\n'), /spool is full/);
  });

  it('a smaller bound at the next start drops the oldest and says so at the first push', async () => {
    const spool = work.open(1 << 22);
    for (let serial = 0; serial < 40; serial++) spool.push(numbered(serial, 60_000, 2));
    await spool.close();
    const next = work.open(1 << 20);
    assert.equal(next.heldRecords, 80, 'the lost ones are held until they are told of');
    const { droppedRecords } = next.push(numbered(40, 10, 2));
    assert.ok(droppedRecords > 0);
    assert.equal(next.heldRecords, 82 - droppedRecords);
    const left = drain(next);
    assert.equal(left.length * 2, 82 - droppedRecords);
    assert.equal(left.at(-1), 40);
  });

  it('segments are removed as they are delivered', () => {
    const spool = work.open(1 << 24);
    for (let serial = 0; serial < 150; serial++) spool.push(numbered(serial, 100_000));
    const max = segments().length;
    assert.ok(max > 10);
    for (let count = 0; count < 140; count++) spool.done(spool.take() as SealedRequest);
    assert.ok(segments().length <= 2, `${segments().length} of ${max} segments`);
    assert.deepEqual(drain(spool), [140, 141, 142, 143, 144, 145, 146, 147, 148, 149]);
  });

  it('a request larger than the bound waits in memory', () => {
    const spool = work.open(100_000);
    assert.deepEqual(spool.push(numbered(1, 200_000)), { droppedRecords: 0, damagedRecords: 0 });
    assert.deepEqual(spool.push(numbered(2, 20)), { droppedRecords: 0, damagedRecords: 0 });
    assert.deepEqual(segments(), []);
    assert.deepEqual(drain(spool), [1, 2]);
  });

  it('leaves files that are not its own alone', async () => {
    mkdirSync(work.directory, { recursive: true });
    const name = '000000000001-0011223344556677.segment';
    symlinkSync('/etc/hostname', join(work.directory, name));
    writeFileSync(join(work.directory, 'notes.txt'), 'mine');
    mkdirSync(join(work.directory, '000000000002-0011223344556677.segment'));
    const spool = work.open();
    spool.push(numbered(1));
    assert.deepEqual(drain(spool), [1]);
    await spool.close();
    assert.equal(readdirSync(work.directory).length, 3);
  });

  it('a directory that cannot be used is the operator to mend', () => {
    mkdirSync(join(work.directory, '..'), { recursive: true });
    writeFileSync(work.directory, 'a file');
    assert.throws(() => work.open(), UserError);
  });

  it('keeps next to nothing in memory, whatever waits on disk', () => {
    const spool = work.open(1 << 28);
    const before = process.memoryUsage().arrayBuffers;
    for (let serial = 0; serial < 150; serial++) spool.push(numbered(serial, 1_000_000));
    globalThis.gc?.();
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.equal(spool.heldBytes, 150_000_000);
    assert.ok(grown < 100_000_000, `${grown} bytes of buffers for 150 MB on disk`);
    assert.equal(drain(spool).length, 150);
  });
});
