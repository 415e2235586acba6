import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FairBound, Holding } from '../../src/lib/fair-bound.ts';
import { Fairness, type HolderId } from '../../src/lib/fairness.ts';

class Item extends Holding {
  readonly id: number;
  readonly owner: HolderId;
  constructor(id: number, owner: HolderId) {
    super();
    this.id = id;
    this.owner = owner;
  }
}

const who = (cgroup: number, uid: number, pid: number): HolderId => ({ cgroupId: BigInt(cgroup), uid, pid });

function filled(bound: FairBound<Item>, owners: readonly HolderId[]): Item[] {
  return owners.map((owner, id) => {
    const item = new Item(id, owner);
    bound.add(item, bound.holderOf(owner));
    return item;
  });
}

/** Adds, making room as every caller does. @returns what gave way */
function push(bound: FairBound<Item>, item: Item, weight = 1): Item[] {
  const gone: Item[] = [];
  while (bound.weight + weight > bound.limit) {
    const largest = bound.largest();
    if (largest === undefined) break;
    bound.remove(largest);
    gone.push(largest);
  }
  bound.add(item, bound.holderOf(item.owner), weight);
  return gone;
}

describe('FairBound', () => {
  it('lets the oldest of the largest workload go, not the oldest of all', () => {
    const bound = new FairBound<Item>(10);
    filled(bound, [who(1, 0, 1), who(2, 0, 2), who(2, 0, 2), who(1, 0, 1), who(2, 0, 2)]);
    assert.equal(bound.largest()?.id, 1);
  });

  it('looks at the workload before the user, at the user before the process', () => {
    const bound = new FairBound<Item>(100);
    // One process of root holds more than any other in its workload; the user with many processes holds more than root.
    const many = Array.from({ length: 6 }, (_, i) => who(1, 1000, 100 + i));
    const items = filled(bound, [...Array(4).fill(who(1, 0, 7)), ...many, ...Array(11).fill(who(2, 0, 8))]);
    assert.equal(bound.largest()?.owner.pid, 8);
    for (const item of items) if (item.owner.pid === 8) bound.remove(item);
    assert.equal(bound.largest()?.owner.uid, 1000);
    for (const item of items) if (item.owner.uid === 1000) bound.remove(item);
    assert.equal(bound.largest()?.owner.pid, 7);
  });

  it('a flood takes nothing from another process, whichever came first', () => {
    const bound = new FairBound<Item>(1000);
    const flood = who(1, 0, 1);
    const victim = who(1, 0, 2);
    const gone: Item[] = [];
    for (let id = 0; id < 50_000; id++)
      gone.push(...push(bound, new Item(id, id % 100 === 0 && id < 30_000 ? victim : flood)));
    assert.equal(bound.weight, 1000);
    assert.equal(gone.filter(({ owner }) => owner === victim).length, 0, 'of 300 of 1000');
  });

  it('cgroups made below a delegated one have one share together', () => {
    const fairness = new Fairness();
    const bound = new FairBound<Item>(1000, fairness);
    const victim = who(1, 0, 1);
    for (let id = 0; id < 100; id++) push(bound, new Item(id, victim));
    const gone: Item[] = [];
    for (let id = 0; id < 20_000; id++) {
      fairness.delegate(BigInt(1000 + id), 999n);
      gone.push(...push(bound, new Item(id, who(1000 + id, 1000, 1000 + id))));
    }
    assert.equal(gone.filter(({ owner }) => owner === victim).length, 0);
  });

  it('counts by weight, and follows what grows', () => {
    const bound = new FairBound<Item>(1000);
    const [big, ...small] = filled(bound, [who(1, 0, 1), who(2, 0, 2), who(2, 0, 2)]) as [Item, ...Item[]];
    assert.equal(bound.largest()?.owner.pid, 2);
    bound.resize(big, 50);
    assert.equal(bound.largest(), big);
    bound.resize(big, 1);
    assert.equal(bound.largest(), small[0]);
    bound.touch(small[0] as Item);
    assert.equal(bound.largest(), small[1]);
  });

  it('forgets processes that hold nothing', () => {
    const bound = new FairBound<Item>(1000);
    for (let pid = 0; pid < 100_000; pid++) {
      const item = new Item(pid, who(pid % 7, pid % 3, pid));
      bound.add(item, bound.holderOf(item.owner));
      if (pid % 1000 !== 0) bound.remove(item);
    }
    assert.ok(bound.processes < 3000, String(bound.processes));
    assert.equal(bound.weight, 100);
  });

  it('finds the largest in constant time with as many holders as entries', () => {
    const bound = new FairBound<Item>(65_536);
    for (let id = 0; id < 65_536; id++) push(bound, new Item(id, who(id, id, id)));
    const start = performance.now();
    for (let id = 0; id < 100_000; id++) push(bound, new Item(id, who(id + 70_000, 0, id)));
    assert.ok(performance.now() - start < 5000);
  });

  it('is the largest by a plain count, whatever comes and goes', () => {
    const step = fc.record({
      act: fc.constantFrom('add', 'add', 'remove', 'largest', 'resize', 'touch'),
      cgroup: fc.integer({ min: 0, max: 3 }),
      uid: fc.integer({ min: 0, max: 1 }),
      pid: fc.integer({ min: 0, max: 4 }),
      weight: fc.integer({ min: 1, max: 9 }),
      at: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const bound = new FairBound<Item>(20);
        let held: Item[] = [];
        let id = 0;
        for (const { act, cgroup, uid, pid, weight, at } of steps) {
          const some = held[at % Math.max(held.length, 1)];
          if (act === 'add') {
            const item = new Item(id++, who(cgroup, uid, pid));
            bound.add(item, bound.holderOf(item.owner), weight);
            held.push(item);
          } else if (act === 'largest') {
            const largest = bound.largest();
            assert.equal(largest === undefined, held.length === 0);
            if (largest !== undefined) assertLargest(held, largest);
          } else if (some === undefined) continue;
          else if (act === 'remove') {
            bound.remove(some);
            held = held.filter((item) => item !== some);
          } else if (act === 'resize') bound.resize(some, weight);
          else {
            bound.touch(some);
            held = [...held.filter((item) => item !== some), some];
          }
          assert.equal(bound.weight, sum(held));
        }
      }),
      { numRuns: 300 },
    );
  });
});

const sum = (items: readonly Item[]): number =>
  items.reduce((total, { heldWeight }) => total + heldWeight, 0);

function assertLargest(held: readonly Item[], largest: Item): void {
  const levels: ((owner: HolderId) => string)[] = [
    ({ cgroupId }) => `${cgroupId}`,
    ({ cgroupId, uid }) => `${cgroupId} ${uid}`,
    ({ cgroupId, uid, pid }) => `${cgroupId} ${uid} ${pid}`,
  ];
  let rivals = held;
  for (const level of levels) {
    const weights = new Map<string, number>();
    for (const item of rivals) {
      const key = level(item.owner);
      weights.set(key, (weights.get(key) ?? 0) + item.heldWeight);
    }
    assert.equal(weights.get(level(largest.owner)), Math.max(...weights.values()));
    rivals = rivals.filter((item) => level(item.owner) === level(largest.owner));
  }
  assert.equal(rivals[0], largest, 'the oldest of its process');
}
