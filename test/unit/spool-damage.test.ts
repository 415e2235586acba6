/**
 * A damaged spool: truncated at every offset, every byte changed, bytes inserted and removed anywhere. Never an exception; every
 * request whose own bytes are untouched is delivered, no request is delivered that was not pushed, and damage is counted.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { HEADER } from '../../src/sinks/delivery/spool-segment.ts';
import { drain, numbered, type Workplace, workplace } from './spool-requests.ts';

const LENGTHS = [24, 5, 61, 9, 30];
const STATE = { from: 8, to: 12 };

let work: Workplace;
let name = '';
let intact: Buffer;
/** Offsets of each frame: [from, to). */
const frames: { readonly from: number; readonly to: number }[] = [];

before(async () => {
  work = workplace();
  const spool = work.open();
  for (const [serial, length] of LENGTHS.entries()) spool.push(numbered(serial, length));
  await spool.close();
  name = readdirSync(work.directory)[0] as string;
  intact = readFileSync(join(work.directory, name));
  let from = 0;
  for (const length of LENGTHS) {
    frames.push({ from, to: from + HEADER + length });
    from += HEADER + length;
  }
  assert.equal(from, intact.length);
});
after(() => work.remove());

interface Outcome {
  readonly serials: readonly number[];
  readonly stretches: number;
  readonly bytes: number;
}

async function readBack(bytes: Uint8Array): Promise<Outcome> {
  rmSync(work.directory, { recursive: true, force: true });
  await work.open().close(); // makes the directory
  writeFileSync(join(work.directory, name), bytes);
  const spool = work.open();
  const held = spool.heldRecords;
  const serials = drain(spool);
  assert.ok(held >= serials.length);
  const { droppedRecords, damagedRecords } = spool.push(numbered(99));
  assert.equal(damagedRecords, held - serials.length, 'known losses are told');
  assert.equal(droppedRecords, 0);
  assert.deepEqual(drain(spool), [99], 'it goes on');
  const { stretches, bytes: damaged } = spool.damage;
  await spool.close();
  assert.deepEqual(readdirSync(work.directory), [], 'nothing is left behind');
  return { serials, stretches, bytes: damaged };
}

/** Frames that the change of [from, to) did not touch. */
function untouched(from: number, to: number): number[] {
  return frames.flatMap((frame, serial) => (frame.to <= from || frame.from >= to ? [serial] : []));
}

describe('damaged spool', () => {
  it('intact it is read whole', async () => {
    assert.deepEqual(await readBack(intact), { serials: [0, 1, 2, 3, 4], stretches: 0, bytes: 0 });
  });

  it('truncated at every offset: all whole frames', async () => {
    for (let size = 0; size < intact.length; size++) {
      const { serials, stretches, bytes } = await readBack(intact.subarray(0, size));
      const whole = frames.filter(({ to }) => to <= size);
      assert.deepEqual(serials, [...whole.keys()], `truncated to ${size}`);
      const rest = size - (whole.at(-1)?.to ?? 0);
      assert.deepEqual([stretches, bytes], [rest > 0 ? 1 : 0, rest], `truncated to ${size}`);
    }
  });

  it('every byte changed, three ways: all other frames', async () => {
    for (let at = 0; at < intact.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const bytes = Buffer.from(intact);
        bytes[at] = (bytes[at] as number) ^ mask;
        const outcome = await readBack(bytes);
        const hit = frames.findIndex(({ from, to }) => at >= from && at < to);
        const within = at - (frames[hit]?.from ?? 0);
        const isState = within >= STATE.from && within < STATE.to;
        // The state alone may change: the frame is whole, and one byte cannot make it "delivered".
        const expected = isState ? [0, 1, 2, 3, 4] : untouched(at, at + 1);
        assert.deepEqual(outcome.serials, expected, `byte ${at} xor ${mask}`);
        assert.equal(outcome.stretches, isState ? 0 : 1);
      }
    }
  });

  it('garbage inserted at every offset: all frames it does not split', async () => {
    // Bytes of the spool itself are the worst garbage: a whole header, a marker, a payload.
    const pieces = [
      Buffer.alloc(1),
      Buffer.alloc(100, 0xff),
      intact.subarray(0, 8),
      intact.subarray(0, HEADER),
      intact.subarray(HEADER, 90),
    ];
    for (let at = 0; at <= intact.length; at++) {
      for (const piece of pieces) {
        const bytes = Buffer.concat([intact.subarray(0, at), piece, intact.subarray(at)]);
        const { serials, stretches } = await readBack(bytes);
        // A piece of the frame's own beginning, put behind it, leaves the frame whole.
        const isWhole = (frame: (typeof frames)[number]) =>
          bytes.includes(intact.subarray(frame.from, frame.to));
        const expected = [0, 1, 2, 3, 4].filter((serial) =>
          isWhole(frames[serial] as (typeof frames)[number]),
        );
        assert.ok(expected.length >= 4);
        // A piece may even complete a second copy of a frame: the same request twice.
        assert.deepEqual([...new Set(serials)], expected, `${piece.length} bytes at ${at}`);
        assert.ok(stretches >= 1);
      }
    }
  });

  it('bytes removed at every offset: all other frames', async () => {
    for (const count of [1, 7, 40]) {
      for (let at = 0; at + count <= intact.length; at++) {
        const bytes = Buffer.concat([intact.subarray(0, at), intact.subarray(at + count)]);
        const { serials, stretches } = await readBack(bytes);
        // What moves up can by chance be what was removed: a frame that is there whole is untouched, and what it took is not.
        let end = 0;
        const whole = frames.flatMap(({ from, to }, serial) => {
          const place = bytes.indexOf(intact.subarray(from, to), end);
          if (place === -1) return [];
          end = place + to - from;
          return [serial];
        });
        assert.ok(whole.length >= untouched(at, at + count).length);
        assert.deepEqual(serials, whole, `${count} bytes at ${at}`);
        const isTail = frames.some(({ from, to }) => from === at && to === at + count);
        assert.ok(isTail || stretches >= 1 || serials.length === 4, `${count} bytes at ${at}`);
      }
    }
  });

  it('a name in a payload that looks like a frame is never taken for one', async () => {
    const other = workplace();
    const spool = other.open();
    const forged = Buffer.from(intact.subarray(frames[0]?.from, frames[0]?.to));
    spool.push({ bytes: forged, records: 1, resourceCount: 1 });
    spool.push(numbered(7));
    await spool.close();
    const file = join(other.directory, readdirSync(other.directory)[0] as string);
    const bytes = readFileSync(file);
    bytes[20] = (bytes[20] as number) ^ 1; // the frame around it is damaged: the reader looks inside
    writeFileSync(file, bytes);
    assert.deepEqual(drain(other.open()), [7]);
    other.remove();
  });

  it('a whole damaged segment does not touch the others', async () => {
    const other = workplace();
    const spool = other.open(1 << 20);
    for (let serial = 0; serial < 6; serial++) spool.push(numbered(serial, 60_000, 2));
    await spool.close();
    const names = readdirSync(other.directory).sort();
    assert.equal(names.length, 6);
    writeFileSync(join(other.directory, names[2] as string), Buffer.alloc(60_000));
    writeFileSync(join(other.directory, names[4] as string), '');
    const next = other.open(1 << 20);
    assert.deepEqual(drain(next), [0, 1, 3, 5]);
    assert.equal(next.damage.stretches, 1);
    assert.match(other.warnings.join('\n'), /damaged and skipped/);
    other.remove();
  });

  it('damage while it runs: what is gone is counted, the rest delivered', () => {
    const other = workplace();
    const spool = other.open(1 << 20);
    for (let serial = 0; serial < 6; serial++) spool.push(numbered(serial, 60_000, 2));
    const names = readdirSync(other.directory).filter((entry) => entry !== 'lock');
    truncateSync(join(other.directory, names[1] as string), 1000);
    writeFileSync(join(other.directory, names[3] as string), Buffer.alloc(60_032));
    rmSync(join(other.directory, names[5] as string));
    const serials = drain(spool);
    // Its writer still holds the removed file open, its reader never had: what the directory lost is lost.
    assert.deepEqual(serials, [0, 2, 4]);
    assert.deepEqual(spool.push(numbered(6, 20, 2)), { droppedRecords: 0, damagedRecords: 6 });
    assert.equal(spool.heldRecords, 2);
    assert.deepEqual(drain(spool), [6]);
    assert.ok(existsSync(other.directory));
    other.remove();
  });

  it('headers that promise everything cost bounded work', () => {
    const other = workplace();
    const header = Buffer.from(intact.subarray(0, HEADER));
    const spool = other.open();
    const bytes = Buffer.concat(Array.from({ length: 20_000 }, () => header));
    writeFileSync(join(other.directory, name), bytes);
    void spool;
    rmSync(join(other.directory, 'lock'));
    const next = other.open();
    assert.deepEqual(drain(next), []);
    assert.ok(next.damage.bytes >= bytes.length);
    other.remove();
  });
});
