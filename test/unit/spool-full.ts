/** Run by spool-full.test.ts with a file system of 1 MiB mounted at argv[2]: fills it, empties it, fills it again. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Spool } from '../../src/sinks/delivery/spool.ts';
import { drain, numbered, serialOf } from './spool-requests.ts';

const mount = process.argv[2] as string;
const directory = join(mount, 'logs');
const warnings: string[] = [];
const infos: string[] = [];
const notices = { warn: (text: string) => warnings.push(text), info: (text: string) => infos.push(text) };
/** Ten requests, with what each takes besides its bytes. */
const memory = { maxBytes: 510_000, maxRecords: 1000 };
const open = () => new Spool({ directory, maxBytes: 1 << 30, memory, notices });
const LENGTH = 50_000;

let spool = open();
let serial = 0;
const push = () => spool.push(numbered(serial++, LENGTH, 2)).droppedRecords;

// 1 MiB holds some 20, memory ten more; then the newest are refused and counted.
let dropped = 0;
while (dropped === 0) dropped += push();
const fit = serial - 1;
assert.ok(fit >= 28 && fit <= 31, `${fit} requests fit`);
assert.equal(spool.heldRecords, fit * 2);
assert.equal(push(), 2);
assert.equal(warnings.filter((text) => text.includes('ENOSPC')).length, 1, warnings.join('\n'));
assert.deepEqual(spool.damage, { stretches: 0, bytes: 0, records: 0 });

// When a whole segment is delivered there is room again: what waits in memory moves to disk, in order.
const delivered = fit - 8;
for (let expected = 0; expected < delivered; expected++) {
  const request = spool.take();
  assert.ok(request);
  assert.equal(serialOf(request), expected);
  spool.done(request);
}
await sleep(100); // its last fdatasync keeps the file open, and its space taken
const next = serial;
assert.equal(push(), 0);
assert.match(infos.join('\n'), /works again/);
await spool.close();

// Everything is on disk now, and whole.
spool = open();
assert.deepEqual(drain(spool), [...Array.from({ length: 8 }, (_, index) => index + delivered), next]);
assert.deepEqual(spool.damage, { stretches: 0, bytes: 0, records: 0 });

// No room at all, not even for a file: memory only, and what does not get to disk by the end is given up by name.
writeFileSync(join(mount, 'other'), Buffer.alloc(statfsSync(mount).bavail * 4096));
for (let count = 0; count < 5; count++) assert.equal(push(), 0);
assert.equal(spool.heldRecords, 10);
await spool.close();
assert.equal(spool.heldRecords, 0, 'nothing of it is kept');
rmSync(join(mount, 'other'));
spool = open();
assert.deepEqual(drain(spool), []);
await spool.close();
assert.deepEqual(readdirSync(directory), []);
console.log('done');
