/** Sizes that follow the memory of the control group. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveConfig } from '../../src/config/config.ts';
import { adaptToMemory } from '../../src/config/memory.ts';

const MEBIBYTE = 1024 * 1024;

function adapted(limit: number, flags: Readonly<Record<string, string>> = {}) {
  const { config, origins } = resolveConfig('run', flags, {});
  return adaptToMemory(config, origins, limit);
}

describe('a memory limit', () => {
  it('is none, or ample: the defaults', () => {
    for (const limit of [0, 512 * MEBIBYTE, 2 ** 63, 2 ** 64]) {
      const { config, note } = adapted(limit);
      assert.deepEqual(
        [config.ringBytes, config.maxInFlight, config.queueBytes],
        [8 * MEBIBYTE, 65_536, 64 * MEBIBYTE],
      );
      assert.equal(note, undefined);
    }
  });

  it('of 100 MiB makes each smaller, and says so', () => {
    const { config, origins, note } = adapted(100 * MEBIBYTE);
    assert.deepEqual(
      [config.ringBytes, config.maxInFlight, config.queueBytes],
      [MEBIBYTE / 2, 3200, 4_369_066],
    );
    assert.deepEqual([origins.ringBytes, origins.queueBytes], ['memory limit', 'memory limit']);
    assert.match(
      note ?? '',
      /has 100 MiB of memory: ringBytes 524288, maxInFlight 3200, queueBytes 4369066$/,
    );
  });

  it('leaves what somebody set as it is', () => {
    const { config, origins } = adapted(100 * MEBIBYTE, { queueBytes: '128M' });
    assert.deepEqual([config.queueBytes, origins.queueBytes], [128 * MEBIBYTE, '--queue-bytes']);
    assert.equal(config.maxInFlight, 3200);
  });

  it('grows to the defaults without a step back', () => {
    let before = adapted(1).config;
    assert.ok(
      before.ringBytes >= 128 * 1024 && before.queueBytes >= 4 * MEBIBYTE && before.maxInFlight >= 16,
    );
    for (let limit = 8 * MEBIBYTE; limit <= 600 * MEBIBYTE; limit += 8 * MEBIBYTE) {
      const { config } = adapted(limit);
      for (const key of ['ringBytes', 'maxInFlight', 'queueBytes'] as const)
        assert.ok(config[key] >= before[key], key);
      assert.equal(Math.log2(config.ringBytes) % 1, 0, 'a power of two');
      before = config;
    }
  });
});
