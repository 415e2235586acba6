/** The floods of test/hostile in machines: by the families that this host has not got, with smaller bounds, since they are emulated. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { buildClients } from '../clients/build.ts';
import { GUEST_REPOSITORY } from '../kernel/rootfs.ts';
import { MACHINES, runInVm } from '../kernel/vm.ts';

const KERNEL = '6.12';
const FAMILIES = ['kprobe', 'fentry'];
/** Test files of test/hostile. */
const TESTS = ['kernel-shares', 'fair-shares'];
const TIMEOUT_S = 1500;
const BENCH = join(import.meta.dirname, '../../bench');

before(() => {
  buildClients();
  execFileSync('make', ['-s', '-C', BENCH]);
});

describe(`floods on kernel ${KERNEL}`, { concurrency: MACHINES }, () => {
  for (const family of FAMILIES)
    for (const tests of TESTS)
      test(`${tests}, ${family}`, async (t) => {
        const job = `
export WHODNS_TEST_BUILT=1 WHODNS_TEST_EMULATED=1 WHODNS_TEST_HOOK=${family}
node --test --test-reporter=tap test/hostile/${tests}.test.ts >/results/tap 2>&1`;
        const { results } = await runInVm({
          kernel: KERNEL,
          job,
          timeoutS: TIMEOUT_S,
          files: { [`${GUEST_REPOSITORY}/bench`]: BENCH },
        });
        const tap = results.get('tap')?.toString() ?? '';
        assert.match(tap, /^# pass [1-9]/m, tap.slice(-8000));
        assert.match(tap, /^# fail 0$/m, tap.slice(-12_000));
        t.diagnostic(`${/^# pass \d+$/m.exec(tap)?.[0]}, ${/^# skipped \d+$/m.exec(tap)?.[0]}`);
      });
});
