/** The gate on kernel instructions (bench/instructions.ts) is not vacuous: what is dearer, missing or new fails. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type Committed, regressions } from '../../bench/instructions.ts';

const baseline = { send: 6000, sendto: 7000 };
const row = (families: Committed[string]) => ({ kernel: '6.12', release: '6.12.0', baseline, families });
const committed: Committed = {
  '6.12': { fentry: { dns: 3000, other: 200 }, kprobe: { dns: 4000, other: 600 }, tracepoint: null },
};
const same = committed['6.12'] ?? {};

describe('the instruction gate', () => {
  it('passes the committed figures themselves', () =>
    assert.deepEqual(regressions([row(same)], committed), []));

  it('passes up to 5 % or the floor over them', () => {
    const families = { ...same, fentry: { dns: 3150, other: 260 } };
    assert.deepEqual(regressions([row(families)], committed), []);
  });

  const seeded: readonly (readonly [string, Committed[string], RegExp])[] = [
    ['a dearer DNS send', { ...same, fentry: { dns: 3151, other: 200 } }, /6\.12 fentry dns: \+3151/],
    ['a dearer other send', { ...same, kprobe: { dns: 4000, other: 661 } }, /6\.12 kprobe other: \+661/],
    ['a family that loads no more', { ...same, kprobe: null }, /kprobe: does not load any more/],
    [
      'a family without a committed figure',
      { ...same, new: { dns: 1, other: 1 } },
      /new: no committed figure/,
    ],
    ['more than was asked for', { ...same, fentry: { dns: 3000, other: 300 } }, /fentry other: \+300, asked/],
  ];
  for (const [what, families, message] of seeded) {
    it(`fails on ${what}`, () => assert.match(regressions([row(families)], committed).join('\n'), message));
  }

  it('has figures of every kernel and family to compare with', () => {
    const figures = JSON.parse(readFileSync('bench/instructions.json', 'utf8')) as Committed;
    for (const kernel of ['5.10', '6.1', '6.12', '7.2']) {
      for (const family of ['fentry', 'kprobe'])
        assert.ok((figures[kernel]?.[family]?.dns ?? 0) > 500, `${kernel} ${family}`);
    }
  });
});
