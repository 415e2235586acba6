/** The ring's reading end: what a buffer gets, and when the kernel wakes the event loop. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NativeCapture } from '../../src/capture/addon.ts';
import { EVENT_HEADER, EVENT_KIND } from '../../src/wire/layout.gen.ts';
import { addon, cleanUp, nativeOptions, sendMany, sink, skip } from './harness.ts';

const RING = 1 << 17;
const captures: NativeCapture[] = [];
afterEach(() => {
  for (const capture of captures.splice(0)) capture.close();
  cleanUp();
});

async function opened(): Promise<{ readonly capture: NativeCapture; readonly port: number }> {
  const { port } = await sink();
  const knobs = { dns_ports: [port], dns_port_count: [1], payload_limit: [512], wakeup_bytes: [RING / 4] };
  const result = await addon.open(nativeOptions({ ringBytes: RING, knobs }));
  if ('error' in result) throw new Error(JSON.stringify(result.error));
  captures.push(result.capture);
  assert.ok(!('error' in result.capture.attach()));
  return { capture: result.capture, port };
}

/** Kinds of the records in the first `size` bytes. */
function kinds(buffer: Uint8Array, size: number): number[] {
  const view = new DataView(buffer.buffer);
  const found: number[] = [];
  for (let at = 0; at < size; at += (view.getUint32(at + EVENT_HEADER.size, true) + 7) & ~7)
    found.push(view.getUint16(at + EVENT_HEADER.kind, true));
  return found;
}

describe('drain', { skip }, () => {
  it('fills the buffer with whole records and leaves the others', async () => {
    const { capture, port } = await opened();
    await sendMany(port, 100).done;
    const buffer = new Uint8Array(2048);
    const all: number[] = [];
    let pieces = 0;
    for (let size = capture.drain(buffer, 1 << 20); size > 0; size = capture.drain(buffer, 1 << 20)) {
      assert.ok(size <= buffer.length && size % 8 === 0);
      all.push(...kinds(buffer, size));
      pieces++;
    }
    assert.equal(all.filter((kind) => kind === EVENT_KIND.MESSAGE).length, 100);
    const { MESSAGE, OWNER, PROCESS } = EVENT_KIND;
    assert.ok(all.every((kind) => kind === MESSAGE || kind === OWNER || kind === PROCESS));
    assert.ok(pieces > 5);
    assert.equal(capture.ringUsed(), 0);
  });

  it('a record that no buffer of this size holds is told by its header alone, and does not block the rest', async () => {
    const { capture, port } = await opened();
    await sendMany(port, 10).done;
    const small = new Uint8Array(64);
    const found: number[] = [];
    for (let size = capture.drain(small, 1 << 20); size > 0; size = capture.drain(small, 1 << 20)) {
      assert.equal(size, EVENT_HEADER.SIZEOF);
      found.push(...kinds(small, size));
    }
    assert.ok(found.length >= 10);
    assert.ok(found.every((kind) => kind === 0));
    assert.equal(capture.ringUsed(), 0);
  });

  it('ends with the record that makes it enough', async () => {
    const { capture, port } = await opened();
    await sendMany(port, 100).done;
    const buffer = new Uint8Array(1 << 16);
    const size = capture.drain(buffer, 1000);
    assert.ok(size >= 1000 && size < 2000, `${size}`);
  });

  it('into a buffer that holds not even a header takes nothing', async () => {
    const { capture, port } = await opened();
    await sendMany(port, 10).done;
    const before = capture.ringUsed();
    assert.ok(before > 0);
    assert.equal(capture.drain(new Uint8Array(8), 1 << 20), 0);
    assert.equal(capture.drain(new Uint8Array(0), 1 << 20), 0);
    assert.equal(capture.ringUsed(), before);
  });
});

describe('the wake-up', { skip }, () => {
  it('comes when the ring is a quarter full, once for each time that it becomes so', async () => {
    const { capture, port } = await opened();
    let wakes = 0;
    assert.ok(!('error' in capture.watch(() => wakes++)));
    await sendMany(port, 20).done;
    await sleep(100);
    assert.equal(wakes, 0, 'a few records wake nobody');
    await sendMany(port, 1000).done;
    await sleep(100);
    assert.ok(wakes >= 1);
    const after = wakes;
    await sleep(300);
    assert.equal(wakes, after, 'a ring that stays full does not keep the event loop busy');
    const buffer = new Uint8Array(RING);
    while (capture.drain(buffer, 1 << 20) > 0);
    await sendMany(port, 1000).done;
    await sleep(100);
    assert.ok(wakes > after);
  });

  it('comes after a wait, as soon as there is a record, and not while there is none', async () => {
    const { capture, port } = await opened();
    const waited: number[] = [];
    assert.ok(!('error' in capture.watch((ms) => waited.push(ms))));
    capture.wait(5, 40);
    await sleep(300);
    assert.deepEqual(waited, [], 'an empty ring is looked at without a call');
    await sendMany(port, 5).done;
    await sleep(200);
    assert.deepEqual(waited, [40], 'once, after the longest wait');
    capture.wait(5, 40);
    await sleep(100);
    assert.deepEqual(waited, [40, 5], 'what was not taken is found by the next wait');
    capture.drain(new Uint8Array(RING), 1 << 20);
    capture.wait(5, 40);
    capture.close();
    await sleep(100);
    assert.deepEqual(waited, [40, 5], 'nothing is called after close');
    assert.equal(capture.ringUsed(), 0);
  });
});
