/**
 * What the agent holds while it captures, by kernel: before 5.19 an open map can only be used with CAP_BPF (where unprivileged use of bpf(2)
 * is off, as on Debian), later by anyone. With WHODNS_KERNELS=full on all, else on the two sides of the border.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Rights } from '../../src/capture/rights.ts';
import { kernelList } from './kernels.ts';
import { MACHINES, runInVm } from './vm.ts';

const TIMEOUT_S = 240;
const BORDER = ['5.10', '6.1'];
const KERNELS = kernelList()
  .map(({ name }) => name)
  .filter((name) => process.env['WHODNS_KERNELS'] === 'full' || BORDER.includes(name));

interface Found {
  readonly rights: Rights;
  readonly exitCode: number;
  readonly names: readonly string[];
  readonly requests: number;
  readonly processes: number;
  readonly errors: string;
}

describe('rights given up', { concurrency: MACHINES }, () => {
  for (const kernel of KERNELS) {
    test(`kernel ${kernel}`, async () => {
      const job = 'WHODNS_TEST_BUILT=1 node test/kernel/rights-inside.ts >/results/found 2>/results/errors';
      const { results } = await runInVm({ kernel, job, timeoutS: TIMEOUT_S });
      const text = results.get('found')?.toString() ?? '';
      assert.notEqual(text, '', results.get('errors')?.toString());
      const { rights, exitCode, names, requests, processes, errors } = JSON.parse(text) as Found;
      const [major = 0, minor = 0] = kernel.split('.').map(Number);
      const held = major < 5 || (major === 5 && minor < 19) ? ['CAP_BPF'] : [];
      const { effective, permitted, bounding, inheritable, ambient, noNewPrivs, seccomp } = rights;
      for (const set of [effective, permitted, bounding]) assert.deepEqual(set.toSorted(), held, errors);
      assert.deepEqual([inheritable, ambient, noNewPrivs, seccomp], [[], [], true, true]);
      assert.deepEqual([exitCode, names.toSorted()], [0, ['one.test', 'two.test']], errors);
      assert.ok(requests >= 2 && processes >= 2, text);
    });
  }
});
