/** A lookup makes no garbage between the captured bytes and the bytes of its record. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocatedBy, Core, MAX_ALLOCATED, WORKLOADS } from '../../bench/core.ts';

const LOOKUPS = 40_000;

for (const workload of WORKLOADS)
  test(`at most ${MAX_ALLOCATED} bytes a lookup: ${workload.name}`, async (t) => {
    const core = new Core(workload);
    // Until it is compiled.
    core.run(LOOKUPS);
    const bytes = (await allocatedBy(() => core.run(LOOKUPS))) / LOOKUPS;
    t.diagnostic(`${bytes.toFixed(0)} bytes`);
    assert.equal(core.lookups, 2 * LOOKUPS);
    assert.ok(bytes <= MAX_ALLOCATED, `${bytes.toFixed(0)} bytes a lookup`);
  });

test('an object for each lookup is seen', async () => {
  const kept: object[] = [];
  const bytes = await allocatedBy(() => {
    for (let i = 0; i < LOOKUPS; i++) kept[i % 10] = { i, numbers: [i, 1, 2, 3] };
  });
  assert.ok(bytes / LOOKUPS > 50, `${bytes / LOOKUPS}`);
});
