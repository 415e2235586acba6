/**
 * test/e2e/connections.test.ts on every kernel of kernels.txt, beside one hook family on each (the hook of connections is the
 * same whatever the family); WHODNS_KERNELS=full: beside every family on every kernel.
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { before, describe, test } from 'node:test';
import { buildClients } from '../clients/build.ts';
import { kernelList } from './kernels.ts';
import { runInVm } from './vm.ts';

const FAMILIES = ['fentry', 'kprobe', 'tracepoint'] as const;
const TIMEOUT_S = 900;
/** A machine takes one processor of the host. */
const MACHINES = Math.max(1, Math.min(4, availableParallelism()));

const isFull = process.env['WHODNS_KERNELS'] === 'full';

const job = (families: readonly string[]): string => `
for family in ${families.join(' ')}; do
	WHODNS_TEST_BUILT=1 WHODNS_TEST_HOOK=$family node --test --test-reporter=tap test/e2e/connections.test.ts >/results/$family.tap 2>&1
	echo $? >/results/$family.exit
done
for i in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(bpftool prog show)" ] && break; sleep 0.5; done
bpftool prog show >/results/left-over
`;

before(() => buildClients());

describe('kernels', { concurrency: MACHINES }, () => {
  for (const [index, { name }] of kernelList().entries()) {
    const families = FAMILIES.filter((_, family) => isFull || family === index % FAMILIES.length);
    describe(`kernel ${name}`, () => {
      let results: ReadonlyMap<string, Buffer>;
      const text = (file: string): string => results.get(file)?.toString() ?? '';

      before(async () => {
        results = (await runInVm({ kernel: name, job: job(families), timeoutS: TIMEOUT_S })).results;
      });

      for (const family of families) {
        test(`connections, ${family}`, () => {
          const tap = text(`${family}.tap`);
          assert.match(tap, /^# pass [1-9]/m, tap);
          assert.equal(text(`${family}.exit`).trim(), '0', tap.slice(-8000));
        });
      }

      test('nothing is left in the kernel', () => {
        assert.equal(text('left-over'), '');
      });
    });
  }
});
