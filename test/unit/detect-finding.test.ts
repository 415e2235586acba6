/** What a detector of a user returns: any object at all becomes a bounded finding or none. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copyOfFinding } from '../../src/detect/finding.ts';
import { textOf } from '../../src/detect/text-of.ts';

const FINE = { subject: 's', message: 'm' };

describe('a finding', () => {
  it('is read once: what a getter says the second time does not count', () => {
    let reads = 0;
    const found = copyOfFinding({
      get subject() {
        return reads++ === 0 ? 'text' : 7;
      },
      message: 'm',
    });
    assert.deepEqual(found, { subject: 'text', message: 'm' });
    assert.equal(reads, 1);
  });

  it('is none when a part is of another kind, or a text of a gigabyte', () => {
    for (const value of [undefined, null, 1, 'x', {}, [], { ...FINE, kind: 1 }, { ...FINE, record: {} }])
      assert.equal(copyOfFinding(value), undefined, JSON.stringify(value));
    const before = process.memoryUsage.rss();
    assert.equal(copyOfFinding({ ...FINE, message: 'x'.repeat(500_000_000) }), undefined);
    assert.ok(process.memoryUsage.rss() - before < 100_000_000, 'the text was put together');
  });

  it('keeps 32 pieces of evidence, and of a list its texts, without a method of the list', () => {
    class Hostile extends Array {
      override slice(): never {
        throw new Error('called');
      }
      override filter = this.slice as never;
    }
    const list = Hostile.from(['a', 1, 'b']);
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, index]));
    const { evidence } = copyOfFinding({ ...FINE, evidence: { list, ...many } }) ?? {};
    assert.deepEqual(evidence?.['list'], ['a', 'b']);
    assert.equal(Object.keys(evidence ?? {}).length, 32);
  });
});

it('the text of whatever was thrown is short', () => {
  assert.equal(textOf(new Error('x'.repeat(5000))).length, 500);
  assert.equal(textOf('x'.repeat(500_000_000)), 'something that cannot be shown');
  assert.equal(textOf({ toString: () => 7 }), '7');
  assert.equal(textOf(Object.create(null)), 'something that cannot be shown');
});
