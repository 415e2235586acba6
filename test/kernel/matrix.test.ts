/**
 * The resolver matrix and the attribution tests on every kernel of kernels.txt: all hook families watch the same requests.
 * The machine holds nothing else that asks DNS, so any further record is a fault.
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { before, describe, test } from 'node:test';
import { isPreempted } from '../../src/capture/preemption.ts';
import type { HostReport } from '../../src/capture/probe.ts';
import { buildClients } from '../clients/build.ts';
import { unexpectedFaults } from '../matrix/limits.ts';
import type { FamilyResult } from '../matrix/matrix.ts';
import { saveResults } from '../matrix/table.ts';
import { kernelList } from './kernels.ts';
import { runInVm } from './vm.ts';

const FAMILIES = ['fentry', 'kprobe', 'tracepoint'];
const TIMEOUT_S = 1500;
/** What Debian's musl-gcc links with: no ldd tells of it. */
const MUSL = { '/lib/ld-musl-x86_64.so.1': '/usr/lib/x86_64-linux-musl/libc.so' };
/** A machine takes one processor of the host. */
const MACHINES = Math.max(1, Math.min(4, Math.floor(availableParallelism())));

const JOB = `
node test/matrix/main.ts --built --alone ${FAMILIES.map((family) => `--hook ${family}`).join(' ')} --out /results/matrix.json
for family in ${FAMILIES.join(' ')}; do
	WHODNS_TEST_BUILT=1 WHODNS_TEST_HOOK=$family node --test --test-reporter=tap test/e2e/attribution*.test.ts >/results/attribution-$family.tap 2>&1
	echo $? >/results/attribution-$family.exit
	WHODNS_TEST_BUILT=1 WHODNS_TEST_HOOK=$family node --test --test-reporter=tap test/e2e/trace-context.test.ts >/results/trace-context-$family.tap 2>&1
	echo $? >/results/trace-context-$family.exit
done
node src/main.ts doctor --format json >/results/doctor.json
bpftool prog show >/results/left-over
`;

before(() => buildClients());

describe('kernels', { concurrency: MACHINES }, () => {
  for (const { name } of kernelList())
    describe(`kernel ${name}`, () => {
      let results: ReadonlyMap<string, Buffer>;
      const text = (file: string): string => results.get(file)?.toString() ?? '';

      before(async () => {
        const { output, results: files } = await runInVm({
          kernel: name,
          job: JOB,
          timeoutS: TIMEOUT_S,
          files: MUSL,
        });
        assert.ok(files.has('matrix.json'), output);
        results = files;
        saveResults(JSON.parse(text('matrix.json')) as FamilyResult[]);
      });

      for (const family of FAMILIES) {
        test(`every client, ${family}`, () => {
          const all = JSON.parse(text('matrix.json')) as FamilyResult[];
          const result = all.find((candidate) => candidate.family === family);
          assert.ok(result && Object.keys(result.cells).length > 0, result?.faults.join('\n'));
          assert.ok(result.kernel.startsWith(`${name}.`), `the machine runs ${result.kernel}`);
          assert.deepEqual(unexpectedFaults(result), []);
        });

        for (const tests of ['attribution', 'trace-context'])
          test(`${tests}, ${family}`, () => {
            const tap = text(`${tests}-${family}.tap`);
            assert.match(tap, /^# pass [1-9]/m, tap);
            assert.equal(text(`${tests}-${family}.exit`).trim(), '0', failuresOf(tap));
          });
      }

      test('auto takes fentry, and kprobe where kernel code is preempted', () => {
        const { preemption, chosen } = JSON.parse(text('doctor.json')) as HostReport;
        const isLazy = Number.parseInt(name, 10) >= 7;
        assert.equal(isPreempted(preemption), isLazy, preemption);
        assert.equal(chosen, isLazy ? 'kprobe' : 'fentry');
      });

      test('nothing is left in the kernel', () => {
        assert.equal(text('left-over'), '');
      });
    });
});

/** The failed tests of a TAP report with their diagnostics; everything if none can be told apart. */
function failuresOf(tap: string): string {
  const failed = [...tap.matchAll(/^not ok \d+ - .*\n(?: {2}.*\n)*/gm)].map((match) => match[0]);
  return failed.length > 0 ? failed.join('\n').slice(0, 8000) : tap.slice(-4000);
}
