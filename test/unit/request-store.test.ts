/** The queue in memory against a plain model of it: order, bounds, and that every record ends once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MemoryStore, REQUEST_OVERHEAD, type SealedRequest } from '../../src/sinks/delivery/request-store.ts';

function request(size: number, records: number): SealedRequest {
  return { bytes: new Uint8Array(size), records, resourceCount: 1 };
}

type Action =
  | { readonly kind: 'push'; readonly size: number; readonly records: number }
  | { readonly kind: 'take' }
  | { readonly kind: 'done' | 'requeue'; readonly which: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    kind: fc.constant('push' as const),
    size: fc.nat(40),
    records: fc.integer({ min: 1, max: 10 }),
  }),
  fc.record({ kind: fc.constant('take' as const) }),
  fc.record({ kind: fc.constantFrom('done' as const, 'requeue' as const), which: fc.nat(10) }),
);

describe('request store in memory', () => {
  it('gives the oldest first, holds within its bounds, and loses nothing unsaid', () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 200 }),
        fc.constantFrom(30, undefined),
        (actions, maxRecords) => {
          const limits = { maxBytes: 100 + 4 * REQUEST_OVERHEAD, maxRecords };
          const store = new MemoryStore(limits);
          /** In the order they came; those handed out too. */
          const held: SealedRequest[] = [];
          const out: SealedRequest[] = [];
          for (const each of actions) {
            const records = held.reduce((sum, r) => sum + r.records, 0);
            const bytes = held.reduce((sum, r) => sum + r.bytes.length, 0);
            assert.deepEqual([store.heldRecords, store.heldBytes], [records, bytes]);
            if (each.kind === 'push') {
              const taken = bytes + each.size + (held.length + 1) * REQUEST_OVERHEAD;
              const fits =
                taken <= limits.maxBytes &&
                records + each.records <= (maxRecords ?? Number.POSITIVE_INFINITY);
              const added = request(each.size, each.records);
              assert.equal(store.push(added).droppedRecords, fits ? 0 : each.records);
              if (fits) held.push(added);
            } else if (each.kind === 'take') {
              const expected = held.find((r) => !out.includes(r));
              const taken = store.take();
              assert.equal(taken, expected);
              if (taken !== undefined) out.push(taken);
            } else {
              const [chosen] = out.splice(each.which % Math.max(out.length, 1), 1);
              if (chosen === undefined) continue;
              store[each.kind](chosen);
              if (each.kind === 'done') held.splice(held.indexOf(chosen), 1);
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('keeps nothing when it is closed', async () => {
    const store = new MemoryStore({ maxBytes: 1000, maxRecords: 10 });
    store.push(request(10, 3));
    await store.close();
    assert.deepEqual([store.heldRecords, store.heldBytes, store.take()], [0, 0, undefined]);
  });

  it('a request that is not held is a defect of the caller', () => {
    const store = new MemoryStore({ maxBytes: 1000, maxRecords: 10 });
    assert.throws(() => store.done(request(1, 1)));
    assert.throws(() => store.requeue(request(1, 1)));
  });
});
