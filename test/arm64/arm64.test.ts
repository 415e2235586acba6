/**
 * arm64, in an emulated machine with Debian's kernels: the packages of a release as they are installed, by each hook family that the
 * kernel has. `npm run test:arm64`; what it saw goes to docs/platforms.md.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { MANIFEST, NATIVE_FILES, RELEASE, ROOT } from '../../packaging/platforms.ts';
import type { HostReport } from '../../src/capture/probe.ts';
import { pullImage, unpackImage } from '../deploy/image.ts';
import { runInVm } from '../kernel/vm.ts';
import { unexpectedFaults } from '../matrix/limits.ts';
import type { FamilyResult } from '../matrix/matrix.ts';
import { type Outcome, writeOutcomes } from '../packages/page.ts';
import { ARM64_MACHINE } from './machine.ts';

/** Of kernels.txt. Trampolines to a kernel function's start are there from 6.4 on (DYNAMIC_FTRACE_WITH_DIRECT_CALLS of arm64). */
const KERNELS: Readonly<Record<string, readonly string[]>> = {
  '6.1': ['kprobe', 'tracepoint'],
  '6.12': ['fentry', 'kprobe', 'tracepoint'],
};
const TIMEOUT_S = 1500;
const PACKAGE = '/usr/lib/node_modules/whodns';
/** Each is asked to capture a lookup; the matrix runs by the first. */
const INSTALLED = {
  npm: `node ${PACKAGE}/dist/main.js`,
  deb: '/usr/bin/whodns',
  'single file': '/usr/local/bin/whodns-linux-arm64',
} as const;

const job = (families: readonly string[]): string => `
${INSTALLED.npm} doctor --format json >/results/doctor.json 2>/results/doctor.err
node test/matrix/main.ts --built --alone --core ${families.map((family) => `--hook ${family}`).join(' ')} \\
  --agent '${INSTALLED.npm} run --format json' --out /results/matrix.json
${Object.entries(INSTALLED)
  .map(([name, command]) => `node test/arm64/capture-inside.ts ${command} >'/results/${name}' 2>&1\n`)
  .join('')}
for i in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(bpftool prog show)" ] && break; sleep 0.5; done
bpftool prog show >/results/left-over
`;

const NOT_TRIED: readonly Outcome[] = [
  {
    system: 'any',
    arch: 'arm64',
    libc: 'musl',
    package: 'npm',
    kernel: '',
    result: 'not tried',
    reason:
      'cross-compiled from the same sources; no Node for arm64 and musl is in the registries that the tests use',
  },
  {
    system: 'any',
    arch: 'arm64',
    libc: 'glibc',
    package: 'rpm',
    kernel: '',
    result: 'not tried',
    reason: 'built; the same files as the deb',
  },
];

const outcomes: Outcome[] = [];
let work = '';
let files: Record<string, string> = {};

before(() => {
  work = mkdtempSync(join(tmpdir(), 'whodns-arm64-packages-'));
  execFileSync(process.execPath, ['packaging/release.ts', '--dry-run', '--platform', 'linux-arm64-glibc'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const unpacked = (name: string): string => {
    const folder = join(work, name);
    mkdirSync(folder);
    execFileSync('tar', ['-xzf', join(RELEASE, 'npm', `${name}-${MANIFEST.version}.tgz`), '-C', folder]);
    return join(folder, 'package');
  };
  execFileSync('dpkg-deb', [
    '-x',
    join(RELEASE, `whodns_${MANIFEST.version}-1_arm64.deb`),
    join(work, 'deb'),
  ]);
  files = {
    [PACKAGE]: unpacked('whodns'),
    [`${PACKAGE}/node_modules/@whodns/linux-arm64-glibc`]: unpacked('whodns-linux-arm64-glibc'),
    '/usr/bin/whodns': join(work, 'deb/usr/bin/whodns'),
    '/usr/lib/whodns': join(work, 'deb/usr/lib/whodns'),
    [INSTALLED['single file']]: join(RELEASE, 'whodns-linux-arm64'),
  };
});
after(() => {
  rmSync(work, { recursive: true, force: true });
  writeOutcomes('arm64', [...outcomes, ...NOT_TRIED]);
});

test('the native files are for arm64', () => {
  for (const name of NATIVE_FILES.filter((each) => !each.endsWith('.o'))) {
    const header = execFileSync('readelf', ['-h', join(ROOT, 'build/platforms/linux-arm64-glibc', name)]);
    assert.match(header.toString(), /Machine: +AArch64/);
  }
});

test('the image for arm64 holds programs for arm64 and the libraries that they name', async () => {
  const archive = join(RELEASE, `whodns-${MANIFEST.version}.oci.tar`);
  const { directory, remove } = await unpackImage(await pullImage(archive, MANIFEST.version, 'arm64'));
  try {
    const elf = (option: string, path: string) =>
      execFileSync('readelf', [option, join(directory, path)], { encoding: 'utf8' });
    for (const path of [
      'usr/local/bin/node',
      'opt/whodns/build/whodns.node',
      'opt/whodns/build/whodns-inspector',
    ])
      assert.match(elf('-h', path), /Machine: +AArch64/);
    const [, loader = ''] = /interpreter: (\S+)\]/.exec(elf('-lW', 'usr/local/bin/node')) ?? [];
    assert.ok(existsSync(join(directory, loader)), loader);
    const libraries = new Set<string>(readdirSync(join(directory, 'lib/aarch64-linux-gnu')));
    libraries.add(basename(loader));
    const needed = ['usr/local/bin/node', 'opt/whodns/build/whodns.node'].flatMap((path) =>
      [...elf('-dW', path).matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name ?? ''),
    );
    assert.ok(needed.length > 4);
    for (const name of needed) assert.ok(libraries.has(name), name);
  } finally {
    await remove();
  }
});

for (const [name, families] of Object.entries(KERNELS))
  describe(`kernel ${name}, arm64`, () => {
    let results: ReadonlyMap<string, Buffer>;
    const text = (file: string): string => results.get(file)?.toString() ?? '';

    before(async () => {
      const {
        output,
        results: found,
        seconds,
      } = await runInVm({
        kernel: name,
        job: job(families),
        timeoutS: TIMEOUT_S,
        files,
        machine: ARM64_MACHINE,
      });
      assert.ok(found.has('matrix.json'), output);
      results = found;
      process.stderr.write(`kernel ${name}, arm64: ${Math.round(seconds)} s\n`);
    });

    test('doctor: the families that this kernel has, and the one taken', () => {
      const { families: all, chosen } = JSON.parse(text('doctor.json')) as HostReport;
      const present = all.filter(({ available }) => available).map(({ family }) => family);
      assert.deepEqual(present.sort(), [...families].sort(), text('doctor.json'));
      assert.equal(chosen, families[0]);
    });

    /** Notes what came of it, good or bad. */
    const tried = (what: keyof typeof INSTALLED, judge: () => void): void => {
      const row = { system: 'Debian bookworm', arch: 'arm64', libc: 'glibc', package: what } as const;
      const { kernel } = JSON.parse(text('doctor.json')) as HostReport;
      try {
        judge();
        outcomes.push({ ...row, kernel, result: 'captured', reason: `hooks: ${families.join(', ')}` });
      } catch (error) {
        outcomes.push({ ...row, kernel, result: 'failed', reason: '' });
        throw error;
      }
    };

    for (const family of families)
      test(`every way of sending, ${family}`, () => {
        const all = JSON.parse(text('matrix.json')) as FamilyResult[];
        const result = all.find((candidate) => candidate.family === family);
        assert.ok(result && Object.keys(result.cells).length > 0, result?.faults.join('\n'));
        assert.match(result.kernel, new RegExp(`^${name.replace('.', '\\.')}\\..*arm64$`));
        assert.deepEqual(unexpectedFaults(result), []);
      });

    for (const what of ['npm', 'deb', 'single file'] as const)
      test(`${what} captures`, () => tried(what, () => assert.match(text(what), /^captured$/m, text(what))));

    test('nothing is left in the kernel', () => {
      assert.equal(text('left-over'), '');
    });
  });
