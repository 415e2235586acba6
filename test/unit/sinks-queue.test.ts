import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BoundedQueue } from '../../src/lib/bounded-queue.ts';

test('a bounded queue behaves as a list that refuses when full', () => {
  const steps = fc.array(fc.oneof(fc.constant('shift' as const), fc.constant('clear' as const), fc.nat()), {
    maxLength: 300,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), steps, (capacity, commands) => {
      const queue = new BoundedQueue<number>(capacity);
      const model: number[] = [];
      for (const command of commands) {
        if (command === 'shift') assert.equal(queue.shift(), model.shift());
        else if (command === 'clear') assert.equal(queue.clear(), model.splice(0).length);
        else {
          const fits = model.length < capacity;
          if (fits) model.push(command);
          assert.equal(queue.push(command), fits);
        }
        assert.equal(queue.length, model.length);
        assert.equal(queue.peek(), model[0]);
      }
    }),
  );
});

test('a capacity that is no positive integer is a defect', () => {
  for (const capacity of [0, -1, 1.5, Number.NaN])
    assert.throws(() => new BoundedQueue(capacity), RangeError);
});
