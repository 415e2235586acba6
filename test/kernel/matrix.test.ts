/**
 * The agent in a machine: the resolver matrix, attribution, trace context and connections. In the matrix all hook families watch the
 * same requests; the machine holds nothing else that asks DNS, so any further record is a fault.
 * By default two kernels, each way of sending, the matrix only (test/bpf/kernels.test.ts has all kernels and families);
 * WHODNS_KERNELS=full (npm run test:kernel): every kernel of kernels.txt, every client, every test by every family.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { isPreempted } from '../../src/capture/preemption.ts';
import type { HostReport } from '../../src/capture/probe.ts';
import { buildClients } from '../clients/build.ts';
import { unexpectedFaults } from '../matrix/limits.ts';
import type { FamilyResult } from '../matrix/matrix.ts';
import { saveResults } from '../matrix/table.ts';
import { type KernelEntry, kernelList } from './kernels.ts';
import { failuresOf } from './tap.ts';
import { MACHINES, runInVm } from './vm.ts';

const FAMILIES = ['fentry', 'kprobe', 'tracepoint'];
/** A build of the collector, where no cache has one, takes both processors for minutes. */
const TIMEOUT_S = 2400;
/** What Debian's musl-gcc links with: no ldd tells of it. */
const MUSL = { '/lib/ld-musl-x86_64.so.1': '/usr/lib/x86_64-linux-musl/libc.so' };

/** Test files of test/e2e that go into a machine. */
const TESTS = ['attribution', 'attribution-namespaces', 'trace-context', 'connections'];
const isFull = process.env['WHODNS_KERNELS'] === 'full';
const SHORT: readonly string[] = ['6.1', '7.2'];
/** Those that take longest first, so that the machines end at about the same time. */
const ORDER: readonly string[] = ['6.1', '7.2', '5.10'];
const place = ({ name }: KernelEntry): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);

/** Debian preempts kernel code lazily from here on. */
const isLazy = (kernel: string): boolean => Number.parseInt(kernel, 10) >= 7;

const tests = isFull ? TESTS : [];

const run = (file: string, family: string): string => `
WHODNS_TEST_BUILT=1 WHODNS_TEST_HOOK=${family} node --test --test-reporter=tap test/e2e/${file}.test.ts >/results/${file}-${family}.tap 2>&1
echo $? >/results/${file}-${family}.exit
`;

const JOB = `
node test/matrix/main.ts --built --alone${isFull ? '' : ' --core'} ${FAMILIES.map((family) => `--hook ${family}`).join(' ')} --out /results/matrix.json
${FAMILIES.flatMap((family) => tests.map((file) => run(file, family))).join('')}
node dist/main.js doctor --format json >/results/doctor.json
node dist/main.js --hook fentry --exporter none --duration 1s 2>/results/fentry.err
for i in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(bpftool prog show)" ] && break; sleep 0.5; done
bpftool prog show >/results/left-over
`;

before(() => buildClients());

describe('kernels', { concurrency: MACHINES }, () => {
  for (const { name } of kernelList()
    .filter((entry) => isFull || SHORT.includes(entry.name))
    .sort((a, b) => place(a) - place(b)))
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
        if (isFull) saveResults(JSON.parse(text('matrix.json')) as FamilyResult[]);
      });

      for (const family of FAMILIES) {
        test(`${isFull ? 'every client' : 'every way of sending'}, ${family}`, () => {
          const all = JSON.parse(text('matrix.json')) as FamilyResult[];
          const result = all.find((candidate) => candidate.family === family);
          assert.ok(result && Object.keys(result.cells).length > 0, result?.faults.join('\n'));
          assert.ok(result.kernel.startsWith(`${name}.`), `the machine runs ${result.kernel}`);
          assert.deepEqual(unexpectedFaults(result), []);
        });

        for (const file of tests)
          test(`${file}, ${family}`, () => {
            const tap = text(`${file}-${family}.tap`);
            assert.match(tap, /^# pass [1-9]/m, tap);
            assert.equal(text(`${file}-${family}.exit`).trim(), '0', failuresOf(tap));
          });
      }

      test('auto takes fentry, and kprobe where kernel code is preempted', () => {
        const { preemption, chosen } = JSON.parse(text('doctor.json')) as HostReport;
        assert.equal(isPreempted(preemption), isLazy(name), preemption);
        assert.equal(chosen, isLazy(name) ? 'kprobe' : 'fentry');
      });

      test('whoever asks for fentry is warned where kernel code is preempted', () => {
        assert.match(text('fentry.err'), /^whodns: capturing with the fentry hooks$/m);
        const warned = /^whodns: warning: this kernel preempts kernel code: .*\.missed_runs/m;
        assert.equal(warned.test(text('fentry.err')), isLazy(name), text('fentry.err'));
      });

      test('nothing is left in the kernel', () => {
        assert.equal(text('left-over'), '');
      });
    });
});
