import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RecentKeys } from '../../src/lib/recent-keys.ts';

it('remembers values under both halves of the key, signed or not', () => {
  const keys = new RecentKeys(16);
  keys.set(-1, 0xffff_fffe, 7);
  assert.equal(keys.get(0xffff_ffff, -2), 7);
  assert.equal(keys.get(-1, -1), 0);
  assert.equal(keys.get(0, -2), 0);
  keys.set(-1, -2, 9);
  assert.equal(keys.get(-1, -2), 9);
});

it('knows nothing at first', () => assert.equal(new RecentKeys(16).get(0, 0), 0));

it('keeps at most as many as there are slots, and most of as many', () => {
  const keys = new RecentKeys(1024);
  const hash = (i: number) => Math.imul(i + 1, 0x9e3779b1);
  for (let i = 0; i < 100_000; i++) keys.set(hash(i), hash(i * 7), 1 + (i % 255));
  let found = 0;
  for (let i = 0; i < 100_000; i++) {
    const value = keys.get(hash(i), hash(i * 7));
    if (value !== 0) found++;
    assert.ok(value === 0 || value === 1 + (i % 255));
  }
  assert.ok(found <= 1024 && found > 900, String(found));
  assert.notEqual(keys.get(hash(99_999), hash(99_999 * 7)), 0);
});
