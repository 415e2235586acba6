/**
 * What DNS does beyond a question and its answer, in machines, by every hook family: fan-out, IP fragments, Fast Open, segments, ICMP errors,
 * zones of addresses, zone transfers, UPDATE and NOTIFY, mDNS and LLMNR. The tests are those of test/e2e. With WHODNS_KERNELS=full only.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { buildClients } from '../clients/build.ts';
import { DebianServers } from '../e2e/debian-servers.ts';
import { saveScenes } from '../matrix/table.ts';
import { kernel, kernelList } from './kernels.ts';
import { modules } from './modules.ts';
import { failuresOf, testsOf } from './tap.ts';
import { MACHINES, runInVm } from './vm.ts';

const TESTS = ['wire', 'fan-out', 'transfers', 'multicast'] as const;
const MODULES = ['veth', 'bridge'];
const MUSL = { '/lib/ld-musl-x86_64.so.1': '/usr/lib/x86_64-linux-musl/libc.so' };
const TIMEOUT_S = 1500;
/** The name servers take 80 MB twice: as they are packed, and unpacked. */
const MEMORY_MB = 2400;

/** Single requests of fentry can be missing where kernel code is preempted (test/matrix/skipped-runs.ts). */
const familiesOf = (name: string): readonly string[] =>
  Number.parseInt(name, 10) >= 7 ? ['kprobe', 'tracepoint'] : ['fentry', 'kprobe', 'tracepoint'];

const run = (file: string, family: string): string => `
WHODNS_TEST_BUILT=1 WHODNS_TEST_HOOK=${family} node --test --test-reporter=tap test/e2e/${file}.test.ts >/results/${file}-${family}.tap 2>&1
`;

const needsFull = process.env['WHODNS_KERNELS'] !== 'full' && 'with WHODNS_KERNELS=full';

describe('kernels', { concurrency: MACHINES, skip: needsFull }, () => {
  let servers: DebianServers;
  before(async () => {
    buildClients();
    servers = await DebianServers.open();
  });

  for (const { name } of kernelList())
    describe(`kernel ${name}`, () => {
      const families = familiesOf(name);
      let results: ReadonlyMap<string, Buffer>;
      const report = (file: string, family: string): string =>
        results.get(`${file}-${family}.tap`)?.toString() ?? '';

      before(async () => {
        const wanted = modules(await kernel(name), MODULES);
        const files = new Map(wanted.map((module) => [`/modules/${module.name}.ko`, module.bytes]));
        const runs = families.flatMap((family) => TESTS.map((file) => run(file, family)));
        ({ results } = await runInVm({
          kernel: name,
          job: [...files.keys()].map((path) => `insmod ${path}\n`).join('') + runs.join(''),
          timeoutS: TIMEOUT_S,
          memoryMb: MEMORY_MB,
          files: { ...Object.fromEntries(files), ...MUSL, [servers.root]: servers.root },
          programs: ['nsupdate'],
        }));
        for (const family of families) {
          const scenes: Record<string, boolean> = {};
          for (const file of TESTS)
            for (const [title, isOk] of Object.entries(testsOf(report(file, family))))
              scenes[`${file}: ${title}`] = isOk;
          saveScenes({ kernel: name, family, scenes });
        }
      });

      for (const family of families)
        for (const file of TESTS)
          test(`${file}, ${family}`, () => {
            const tap = report(file, family);
            assert.match(tap, /^# pass [1-9]/m, tap.slice(-4000));
            assert.match(tap, /^# fail 0$/m, failuresOf(tap));
          });
    });
});
