/** The kernel's map of levels: what it refuses, and that a full one is a value, not an accident. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KernelSource } from '../../src/capture/kernel.ts';
import { Ledger } from '../../src/ledger.ts';
import { addon, nativeOptions, OBJECT, skip } from './harness.ts';

/** bpf/maps.h, `visibility`. */
const ROOM = 16_384;

describe('map entries', { skip }, () => {
  const code = (result: object): string | undefined =>
    'error' in result ? (result.error as { code: string }).code : undefined;
  const key = new Uint8Array(8);
  const value = new Uint8Array(4);

  it('are set and deleted; wrong sizes and names are refused', async () => {
    const opened = await addon.open(nativeOptions());
    assert.ok('capture' in opened);
    const { capture } = opened;
    assert.equal(code(capture.update('visibility', key, value)), undefined);
    assert.equal(code(capture.update('visibility', key, value)), undefined);
    assert.equal(code(capture.remove('visibility', key)), undefined);
    assert.equal(code(capture.remove('visibility', key)), undefined, 'what is not there is no error');
    assert.equal(code(capture.update('visibility', new Uint8Array(7), value)), 'EINVAL');
    assert.equal(code(capture.update('visibility', key, new Uint8Array(0))), 'EINVAL');
    assert.equal(code(capture.remove('visibility', new Uint8Array(9))), 'EINVAL');
    assert.equal(code(capture.update('no such map', key, value)), 'ENOENT');
    capture.close();
    assert.equal(code(capture.update('visibility', key, value)), 'EBADF');
    assert.equal(code(capture.remove('visibility', key)), 'EBADF');
  });
});

describe('levels', { skip }, () => {
  it('a full map says which groups found no room, and takes them when there is some again', async () => {
    const stage = new Ledger().stage('wire');
    const source = new KernelSource({
      hook: 'tracepoint',
      ports: [1],
      maxPayload: 128,
      ringBytes: 1 << 17,
      levels: true,
      object: OBJECT,
      stage,
    });
    await source.start(() => undefined);
    try {
      const groups = Array.from({ length: ROOM + 3 }, (_, index) => (1n << 40n) | BigInt(index));
      const refused = source.setLevels(new Map(groups.map((group) => [group, 'on'] as const)));
      assert.deepEqual(refused, groups.slice(ROOM));
      assert.deepEqual(
        source.setLevels(new Map([[groups[5] ?? 0n, 'off']])),
        [],
        'an entry that is there changes',
      );
      const [first = 0n, late = 0n] = [groups[0], groups[ROOM]];
      assert.deepEqual(
        source.setLevels(
          new Map([
            [first, undefined],
            [late, 'off'],
          ]),
        ),
        [],
      );
    } finally {
      await source.stop();
    }
    assert.deepEqual(source.setLevels(new Map([[1n, 'off']])), [], 'after the end nothing is written');
  });
});
