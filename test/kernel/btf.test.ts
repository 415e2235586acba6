/**
 * `--btf FILE`, with WHODNS_KERNELS=full. On a kernel that really has no BTF: Ubuntu's 5.11.0-1028-gcp, given that of the next build, which
 * differs in its configuration by BTF alone (no archive with that of this very build is reached from the tests). And on 6.12 with its own
 * hidden from the agent: that kernel still has it, but the agent goes the way of one that has not, past what only later kernels have.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { HostReport } from '../../src/capture/probe.ts';
import { unexpectedFaults } from '../matrix/limits.ts';
import type { FamilyResult } from '../matrix/matrix.ts';
import type { GuestFiles } from './rootfs.ts';
import { MACHINES, runInVm } from './vm.ts';

const TIMEOUT_S = 1200;
const FILE = '/root/kernel.btf';
const HIDE = `
cp /sys/kernel/btf/vmlinux ${FILE}
mount -t tmpfs none /sys/kernel/btf
`;
const MUSL = { '/lib/ld-musl-x86_64.so.1': '/usr/lib/x86_64-linux-musl/libc.so' };

/** What the agent is started with, and the file that is given. */
const REFUSED: Readonly<
  Record<string, { readonly make: string; readonly says: RegExp; readonly hook?: string }>
> = {
  'no file': { make: 'rm -f /root/bad', says: /^whodns: --btf \/root\/bad: .*no such file/m },
  'cut off': {
    make: `head -c 2000000 ${FILE} >/root/bad`,
    says: /^whodns: --btf \/root\/bad: is damaged BTF: it is cut off\n {2}it takes the file KERNEL\.btf itself/m,
  },
  'everyone can write to it': {
    make: `cp ${FILE} /root/bad; chmod 666 /root/bad`,
    says: /^whodns: --btf \/root\/bad: everyone can write to it/m,
  },
  "another kernel's": {
    make: 'cp /root/other.btf /root/bad; chmod 600 /root/bad',
    says: /^whodns: --btf \/root\/bad: is not that of this kernel \(\S+\)\n {2}its name is that of the kernel/m,
  },
  'hooks that need more': {
    make: `cp ${FILE} /root/bad; chmod 600 /root/bad`,
    hook: 'tracepoint',
    says: /^whodns: --hook tracepoint: it needs the kernel's own BTF, and this kernel has none\n {2}use kprobe/m,
  },
};

const JOB = `
ls /sys/kernel/btf >/results/own 2>&1
node dist/main.js doctor >/results/without.txt
echo $? >/results/without.exit
${Object.values(REFUSED)
  .map(
    ({ make, hook = 'auto' }, index) =>
      `${make}\nnode dist/main.js run --btf /root/bad --hook ${hook} --exporter none --duration 1s 2>/results/refused-${index}`,
  )
  .join('\n')}
export WHODNS_BTF=${FILE}
node dist/main.js doctor --format json >/results/doctor.json
node dist/main.js doctor >/results/doctor.txt
WHODNS_TEST_BUILT=1 node test/kernel/rights-inside.ts >/results/found 2>/results/errors
node test/matrix/main.ts --built --alone --core --hook kprobe --out /results/matrix.json
`;

interface Found {
  readonly exitCode: number;
  readonly names: readonly string[];
  readonly requests: number;
  readonly processes: number;
  readonly errors: string;
}

const needsFull = process.env['WHODNS_KERNELS'] !== 'full' && 'with WHODNS_KERNELS=full';

async function btfOf(kernel: string): Promise<Buffer> {
  const job = 'cp /sys/kernel/btf/vmlinux /results/btf';
  const { results, output } = await runInVm({ kernel, job, timeoutS: 240 });
  const found = results.get('btf');
  assert.ok(found, output);
  return found;
}

const KERNELS: Readonly<Record<string, { readonly isHidden: boolean; files(): Promise<GuestFiles> }>> = {
  '5.11-without': {
    isHidden: false,
    files: async () => ({ [FILE]: await btfOf('5.11-next'), '/root/other.btf': await btfOf('6.1') }),
  },
  '6.12': { isHidden: true, files: async () => ({ '/root/other.btf': await btfOf('6.1') }) },
};

describe('--btf', { skip: needsFull, concurrency: MACHINES }, () => {
  for (const [kernel, { isHidden, files }] of Object.entries(KERNELS))
    describe(`kernel ${kernel}`, () => {
      let results: ReadonlyMap<string, Buffer> = new Map();
      const text = (file: string): string => results.get(file)?.toString() ?? '';

      before(async () => {
        const job = `${isHidden ? HIDE : ''}${JOB}`;
        const given = { ...MUSL, ...(await files()) };
        ({ results } = await runInVm({ kernel, job, timeoutS: TIMEOUT_S, files: given }));
      });

      test('without it nothing is captured, and doctor says what to give', () => {
        assert.doesNotMatch(text('own'), /vmlinux/);
        assert.match(text('without.txt'), /^BTF +no {2}\(.*--btf FILE/m);
        assert.match(text('without.txt'), /^whodns cannot capture on this host\.$/m);
        assert.equal(text('without.exit').trim(), '1');
      });

      for (const [index, [name, { says }]] of Object.entries(REFUSED).entries())
        test(`refused: ${name}`, () => assert.match(text(`refused-${index}`), says));

      test('doctor: kprobe works, the others need more', () => {
        const { btf, btfFile, chosen, families } = JSON.parse(text('doctor.json')) as HostReport;
        assert.deepEqual([btf, btfFile, chosen], [false, { path: FILE }, 'kprobe'], text('doctor.txt'));
        const kprobe = families.find(({ family }) => family === 'kprobe');
        assert.deepEqual([kprobe?.available, kprobe?.fires], [true, true]);
        for (const { family, reason } of families)
          if (family !== 'kprobe') assert.match(reason ?? '', /needs the kernel's own BTF/);
      });

      test('captures with everything that can be asked for', () => {
        assert.notEqual(text('found'), '', text('errors'));
        const { exitCode, names, requests, processes, errors } = JSON.parse(text('found')) as Found;
        assert.match(errors, /^whodns: capturing with the kprobe hooks$/m);
        assert.deepEqual([exitCode, names.toSorted()], [0, ['one.test', 'two.test']], errors);
        assert.ok(requests >= 2 && processes >= 2, text('found'));
      });

      test('every way of sending', () => {
        const [result] = JSON.parse(text('matrix.json')) as FamilyResult[];
        assert.ok(result && Object.keys(result.cells).length > 0, result?.faults.join('\n'));
        assert.deepEqual(unexpectedFaults(result), []);
      });
    });
});
