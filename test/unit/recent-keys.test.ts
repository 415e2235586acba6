import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RecentKeys } from '../../src/lib/recent-keys.ts';

const hash = (i: number) => Math.imul(i + 1, 0x9e3779b1);

it('remembers under both halves of the key, signed or not', () => {
  const keys = new RecentKeys(16);
  const slot = keys.set(-1, 0xffff_fffe, 1);
  assert.equal(keys.find(0xffff_ffff, -2), slot);
  assert.equal(keys.find(-1, -1), -1);
  assert.equal(keys.find(0, -2), -1);
  assert.equal(keys.set(-1, -2, 1), slot);
});

it('knows nothing at first', () => assert.equal(new RecentKeys(16).find(0, 0), -1));

it('keeps at most as many as there are slots, and most of as many', () => {
  const keys = new RecentKeys(1024);
  for (let i = 0; i < 100_000; i++) keys.set(hash(i), hash(i * 7), i);
  let found = 0;
  for (let i = 0; i < 100_000; i++) if (keys.find(hash(i), hash(i * 7)) >= 0) found++;
  assert.ok(found <= 1024 && found > 900, String(found));
  assert.ok(keys.find(hash(99_999), hash(99_999 * 7)) >= 0);
});

it('a flood of one owner takes its own places', () => {
  const keys = new RecentKeys(16_384);
  const flood = 0x0001_0001;
  for (let i = 0; i < 10_000; i++) keys.set(hash(i), hash(i * 7), flood);
  for (let i = 10_000; i < 10_100; i++) keys.set(hash(i), hash(i * 7), 0x0001_0002);
  for (let i = 10_100; i < 200_000; i++) keys.set(hash(i), hash(i * 7), flood);
  let found = 0;
  for (let i = 10_000; i < 10_100; i++) if (keys.find(hash(i), hash(i * 7)) >= 0) found++;
  assert.equal(found, 100);
});

it('many processes of one workload take no place of another workload', () => {
  const keys = new RecentKeys(16_384);
  for (let i = 0; i < 100; i++) keys.set(hash(i), hash(i * 7), 0x0002_0001);
  for (let i = 100; i < 200_000; i++) keys.set(hash(i), hash(i * 7), 0x0001_0000 | (i & 0xffff));
  let found = 0;
  for (let i = 0; i < 100; i++) if (keys.find(hash(i), hash(i * 7)) >= 0) found++;
  assert.equal(found, 100);
});
