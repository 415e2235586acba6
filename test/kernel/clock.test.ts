/**
 * The wall clock is set forth and back, by hours and a year, while the agent captures: records carry the time that holds. With
 * WHODNS_KERNELS=full only; test/unit/clock.test.ts tests the arithmetic in every run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelList } from './kernels.ts';
import { runInVm } from './vm.ts';

const TIMEOUT_S = 240;
/** One is enough: what turns times into dates is in user space. */
const KERNEL = kernelList().at(-2)?.name ?? '';

interface Step {
  readonly step: number;
  /** Unix ms around the request. */
  readonly before: number;
  readonly after: number;
  readonly records: readonly {
    readonly time: string;
    readonly duration: number;
    readonly error?: string;
  }[];
}

const needsFull = process.env['WHODNS_KERNELS'] !== 'full' && 'with WHODNS_KERNELS=full';

test('a clock that is set while the agent runs', { skip: needsFull }, async () => {
  const job = 'WHODNS_TEST_BUILT=1 node test/kernel/clock-inside.ts >/results/steps 2>/results/errors';
  const { results } = await runInVm({ kernel: KERNEL, job, timeoutS: TIMEOUT_S });
  const text = results.get('steps')?.toString() ?? '';
  const steps = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Step);
  assert.equal(steps.length, 6, results.get('errors')?.toString());
  for (const { step, before, after, records } of steps) {
    assert.equal(records.length, 1, text);
    const [record] = records;
    const time = Date.parse(record?.time ?? '');
    assert.ok(time >= before - 1 && time <= after + 1, `step of ${step} s: ${text}`);
    assert.equal(record?.error, undefined);
    assert.ok((record?.duration ?? -1) > 0 && (record?.duration ?? 60) < 30, text);
  }
});
