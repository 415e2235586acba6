/** The index of slots, against a list. Seeded: the run is the same each time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlotIndex } from '../../src/lookup/slot-index.ts';

const SLOTS = 4096;

/** Slots of a key, oldest first. */
function forwards(index: SlotIndex, key: number): number[] {
  const found = [];
  for (let slot = index.first(key); slot >= 0; slot = index.after(slot)) found.push(slot);
  return found;
}

function backwards(index: SlotIndex, key: number): number[] {
  const found = [];
  for (let slot = index.last(key); slot >= 0; slot = index.before(slot)) found.push(slot);
  return found;
}

test('slots of one key come in the order they were added, whatever size the table has', () => {
  const index = new SlotIndex(SLOTS);
  const model: { readonly key: number; readonly slot: number }[] = [];
  const free = Array.from({ length: SLOTS }, (_, slot) => slot);
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  // Fills it to the last slot and empties it, twice: the table grows and shrinks through all its sizes.
  let checked = 0;
  for (const fill of [SLOTS, 0, SLOTS, 0])
    while (model.length !== fill) {
      const isAdded = model.length < fill ? random(4) > 0 : random(4) === 0;
      if (isAdded && free.length > 0) {
        const slot = free.splice(random(free.length), 1)[0] as number;
        // Keys of all 32 bits, some of which repeat.
        const key = Math.imul(random(1024), 0x9e3779b1) | 0;
        index.add(key, slot);
        model.push({ key, slot });
      } else if (!isAdded && model.length > 0) {
        const [gone] = model.splice(random(model.length), 1);
        index.remove(gone?.slot as number);
        free.push(gone?.slot as number);
      }
      if (random(64) !== 0) continue;
      checked++;
      const key = Math.imul(random(1024), 0x9e3779b1) | 0;
      const expected = model.filter((each) => each.key === key).map(({ slot }) => slot);
      assert.deepEqual(forwards(index, key), expected);
      assert.deepEqual(backwards(index, key), expected.toReversed());
    }
  assert.ok(checked > 200, `${checked} comparisons`);
});

test('a key that nothing was added with has no slot, nor has any when all are gone', () => {
  const index = new SlotIndex(8);
  assert.equal(index.first(7), -1);
  assert.equal(index.last(7), -1);
  index.add(7, 3);
  index.remove(3);
  assert.equal(index.first(7), -1);
  assert.equal(index.last(7), -1);
});
