/**
 * `--btf FILE` where the kernel has no BTF of its own (hidden here by a mount): what is refused, and how it is said. That it captures, on
 * kernels really without: test/kernel/btf.test.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MAIN } from '../matrix/program.ts';

const OWN = '/sys/kernel/btf/vmlinux';
const NOBODY = 65534;
const HIDDEN = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', 'sh'];
const skip = process.getuid?.() !== 0 ? 'only root can mount' : !existsSync(OWN) && 'this kernel has no BTF';

let folder = '';
const file = (): string => join(folder, 'kernel.btf');

interface Refusal {
  /** Makes what is given, of the kernel's own. */
  make(): void;
  readonly says: RegExp;
}

const REFUSED: Readonly<Record<string, Refusal>> = {
  'nothing there': { make: () => rmSync(file()), says: /^whodns: --btf \S+: ENOENT: no such file/ },
  'an archive': {
    make: () =>
      execFileSync('sh', [
        '-c',
        `tar -cJf ${file()}.tar.xz -C ${folder} kernel.btf && mv ${file()}.tar.xz ${file()}`,
      ]),
    says: /^whodns: --btf \S+: is no BTF but an xz archive\n {2}it takes the file KERNEL\.btf itself[^\n]* tar -xJf /,
  },
  'cut off': {
    make: () => truncateSync(file(), 1_000_000),
    says: /^whodns: --btf \S+: is damaged BTF: it is cut off\n {2}/,
  },
  'too large': {
    make: () => truncateSync(file(), 16 * 1024 * 1024 + 1),
    says: /^whodns: --btf \S+: is larger than 16777216 bytes\n/,
  },
  empty: { make: () => truncateSync(file(), 0), says: /^whodns: --btf \S+: is too short for BTF\n/ },
  "another user's": {
    make: () => chownSync(file(), NOBODY, NOBODY),
    says: /^whodns: --btf \S+: it belongs to user 65534, neither root nor the agent\n/,
  },
  'everyone can write to it': {
    make: () => chmodSync(file(), 0o646),
    says: /^whodns: --btf \S+: everyone can write to it/,
  },
  'a pipe': {
    make: () => execFileSync('sh', ['-c', `rm ${file()} && mkfifo ${file()}`]),
    says: /^whodns: --btf \S+: is not a file\n/,
  },
  'a directory': {
    make: () => {
      rmSync(file());
      mkdirSync(file());
    },
    says: /^whodns: --btf \S+: is not a file\n/,
  },
  'a link of another user': {
    make: () =>
      execFileSync('sh', [
        '-c',
        `mv ${file()} ${file()}.real && ln -s ${file()}.real ${file()} && chown -h nobody ${file()}`,
      ]),
    says: /^whodns: --btf \S+: the symbolic link \S+ belongs to user 65534/,
  },
};

describe('--btf FILE', { skip }, () => {
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'whodns-btf-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const fresh = (): void => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { mode: 0o700 });
    copyFileSync(OWN, file());
    chmodSync(file(), 0o644);
  };
  const whodns = (...options: readonly string[]) => {
    const [program = '', ...rest] = [...HIDDEN, process.execPath, MAIN, ...options];
    return spawnSync(program, rest, { encoding: 'utf8', timeout: 60_000 });
  };

  for (const [name, { make, says }] of Object.entries(REFUSED))
    it(`refused: ${name}`, () => {
      fresh();
      make();
      const { status, stderr } = whodns('run', '--btf', file(), '--exporter', 'none', '--duration', '1s');
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /\n\s+at |internal error/);
      assert.equal(status, 1);
    });

  it('hooks that the kernel attaches by its own BTF are refused by name', () => {
    fresh();
    for (const hook of ['fentry', 'tracepoint']) {
      const { status, stderr } = whodns('run', '--btf', file(), '--hook', hook, '--exporter', 'none');
      assert.equal(
        stderr,
        `whodns: --hook ${hook}: it needs the kernel's own BTF, and this kernel has none\n  use kprobe\n`,
      );
      assert.equal(status, 1);
    }
  });

  it('a name with bytes of a terminal is shown without them', () => {
    const { status, stderr } = whodns('run', '--btf', '/no/\u001b[2Jsuch', '--exporter', 'none');
    assert.equal(stderr.includes('\u001b'), false);
    assert.equal(status, 1);
  });

  it('doctor: which BTF is used, why one cannot be, and what to give', () => {
    fresh();
    const link = join(folder, 'link');
    symlinkSync(file(), link);
    assert.match(whodns('doctor', '--btf', link).stdout, /^BTF +no: that of \S+link is used$/m);
    for (const family of ['fentry', 'tracepoint'])
      assert.match(
        whodns('doctor', '--btf', link).stdout,
        new RegExp(`^${family} +no: it needs the kernel's own BTF, and this kernel has none$`, 'm'),
      );
    writeFileSync(file(), 'no BTF');
    const refused = whodns('doctor', '--btf', file());
    assert.match(refused.stdout, /^BTF +no: --btf \S+: is too short for BTF$/m);
    assert.match(refused.stdout, /^whodns cannot capture on this host\.$/m);
    assert.equal(refused.status, 1);
    assert.match(
      whodns('doctor').stdout,
      /^BTF +no {2}\(CONFIG_DEBUG_INFO_BTF: [^\n]* --btf FILE [^\n]*\)$/m,
    );
  });
});
