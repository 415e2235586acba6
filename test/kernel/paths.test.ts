/**
 * Devices on top of each other, on the kernels of kernels.txt: test/e2e/paths.test.ts in the machine. Only packets pass devices, so by
 * default `tracepoint`, some paths, two kernels; WHODNS_KERNELS=full: all paths on all kernels, every family.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { PATHS } from '../e2e/paths.ts';
import { kernel, kernelList } from './kernels.ts';
import { modules } from './modules.ts';
import { MACHINES, runInVm } from './vm.ts';

const TIMEOUT_S = 1200;
const isFull = process.env['WHODNS_KERNELS'] === 'full';
const SHORT_KERNELS = ['5.10', '6.12'];
const kernels = kernelList().filter(({ name }) => isFull || SHORT_KERNELS.includes(name));
const taken = PATHS.filter(({ nft, short }) => (isFull ? !nft : short));

/** Single requests of fentry can be missing where kernel code is preempted (test/matrix/skipped-runs.ts). */
function familiesOf(name: string): readonly string[] {
  if (!isFull) return ['tracepoint'];
  return Number.parseInt(name, 10) >= 7 ? ['kprobe', 'tracepoint'] : ['fentry', 'kprobe', 'tracepoint'];
}

const run = (family: string): string => `
WHODNS_TEST_PATHS=${isFull ? 'all' : 'short'} WHODNS_TEST_HOOK=${family} node --test --test-reporter=tap test/e2e/paths.test.ts >/results/${family}.tap 2>&1
`;

describe('kernels', { concurrency: MACHINES }, () => {
  for (const { name } of kernels) {
    describe(`kernel ${name}`, () => {
      let results: ReadonlyMap<string, Buffer>;
      const families = familiesOf(name);

      before(async () => {
        const wanted = modules(await kernel(name), [...new Set(taken.flatMap((path) => path.modules))]);
        const files = new Map(wanted.map((module) => [`/modules/${module.name}.ko`, module.bytes]));
        const job = [...files.keys()].map((path) => `insmod ${path}\n`).join('') + families.map(run).join('');
        ({ results } = await runInVm({
          kernel: name,
          job,
          timeoutS: TIMEOUT_S,
          files: Object.fromEntries(files),
        }));
      });

      for (const family of families) {
        test(`${family}: each lookup is one record, on every path`, () => {
          const tap = results.get(`${family}.tap`)?.toString() ?? '';
          assert.match(tap, /^# fail 0$/m, tap.slice(-12_000));
          // and the test that nothing more was recorded
          const paths = taken.filter(({ except }) => except?.[name] === undefined);
          assert.equal(Number(/^# pass (\d+)$/m.exec(tap)?.[1]), paths.length + 1, tap.slice(-4000));
        });
      }
    });
  }
});
