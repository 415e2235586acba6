/** The specification's samplers, and what they make of records and spans. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { isSampled } from '../../src/records/sampler.ts';
import { lookup, recordOf } from './sink-events.ts';

const ID = new Uint8Array(16).fill(0x80);
const parent = (flags: number) => ({ traceId: ID, spanId: new Uint8Array(8).fill(1), flags });

describe('samplers', () => {
  for (const [name, alone, sampledParent, otherParent] of [
    ['always_on', true, true, true],
    ['always_off', false, false, false],
    ['parentbased_always_on', true, true, false],
    ['parentbased_always_off', false, true, false],
  ] as const)
    it(name, () => {
      const seen = [undefined, parent(1), parent(0)].map((each) => isSampled(name, 1, ID, each));
      assert.deepEqual(seen, [alone, sampledParent, otherParent]);
    });

  it('a ratio takes that share, by the trace id alone', () => {
    const ids = Array.from({ length: 20_000 }, () => randomBytes(16));
    for (const ratio of [0, 0.1, 0.5, 1]) {
      const taken = ids.filter((id) => isSampled('traceidratio', ratio, id, undefined));
      assert.ok(Math.abs(taken.length / ids.length - ratio) < 0.02, `${ratio}: ${taken.length}`);
      if (ratio > 0.1) assert.ok(taken.every((id) => isSampled('traceidratio', 1, id, undefined)));
    }
    // Threshold of W3C Trace Context level 2: at 1/2 the upper half.
    assert.equal(isSampled('traceidratio', 0.5, ID, undefined), true);
    assert.equal(isSampled('traceidratio', 0.5, new Uint8Array(16).fill(0x7f), undefined), false);
    assert.equal(isSampled('parentbased_traceidratio', 0, ID, parent(1)), true);
  });

  it('leave the record its span, but not one of its own', () => {
    const event = recordOf(lookup(), {
      nxdomainError: true,
      traces: true,
      tracesSampler: 'always_off',
    });
    assert.equal(event.trace, undefined);
    assert.equal(event.hasSpan, false);
    const own = recordOf(lookup(), { nxdomainError: true, traces: true });
    assert.equal(own.hasSpan, true);
    assert.equal(own.trace?.flags, 1);
  });
});
