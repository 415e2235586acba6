import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { CaptureError } from '../../src/capture/capture-error.ts';
import type { KernelOptions } from '../../src/capture/families.ts';
import { KernelSource } from '../../src/capture/kernel.ts';
import { probe } from '../../src/capture/probe.ts';
import { Ledger } from '../../src/ledger.ts';
import { UserError } from '../../src/lib/errors.ts';
import { addon, descriptors, loadedPrograms, nativeOptions, OBJECT, ROOT, skip } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodns-native-'));
after(() => rmSync(directory, { recursive: true }));

const KERNEL = { hook: 'tracepoint', ports: [1], maxPayload: 4096, ringBytes: 1 << 17 } as const;

/** The error of a source that cannot start; nothing may be left behind. */
async function refusal(change: Partial<KernelOptions>): Promise<UserError> {
  const before = descriptors();
  const source = new KernelSource({ ...KERNEL, stage: new Ledger().stage('wire'), ...change });
  let refused: unknown;
  try {
    await source.start(() => {});
  } catch (error) {
    refused = error;
  }
  await source.stop();
  await source.finished;
  assert.ok(refused instanceof UserError, String(refused));
  assert.doesNotMatch(refused.message, /\n/);
  assert.deepEqual(loadedPrograms(), []);
  assert.deepEqual(descriptors(), before);
  return refused;
}

describe('a source that cannot start', { skip }, () => {
  it('BPF object missing', async () => {
    const error = await refusal({ object: join(directory, 'none.o') });
    assert.match(error.message, /none\.o: no such file or directory \(ENOENT\)$/);
    assert.match(error.hint ?? '', /npm run build/);
  });

  it('BPF object missing, any family', async () => {
    const error = await refusal({ object: join(directory, 'none.o'), hook: 'auto' });
    assert.match(error.message, /none\.o: no such file or directory \(ENOENT\)$/);
  });

  it('BPF object truncated, at many lengths', async () => {
    const object = join(directory, 'cut.o');
    const { size } = statSync(OBJECT);
    for (const length of [0, 1, 63, 64, 1000, size >> 1, size - 1000, size - 1]) {
      copyFileSync(OBJECT, object);
      truncateSync(object, length);
      const error = await refusal({ object });
      assert.ok(error instanceof CaptureError, `${length}`);
      assert.match(error.message, /^cannot read the BPF object /, `${length}`);
      assert.match(error.hint ?? '', /build it again/);
    }
  });

  it('a file that is no BPF object', async () => {
    const object = join(directory, 'text.o');
    writeFileSync(object, 'not an object\n'.repeat(1000));
    assert.match((await refusal({ object })).message, /^cannot read the BPF object /);
    assert.match((await refusal({ object: process.execPath })).message, /^cannot read the BPF object /);
    assert.match((await refusal({ object: directory })).message, /^cannot read the BPF object /);
  });

  it('BPF object with damaged bytes, in every region: refused before libbpf sees it', async () => {
    const REGION = 512;
    const object = join(directory, 'damaged.o');
    const whole = readFileSync(OBJECT);
    assert.ok(whole.length > 100 * REGION);
    for (let at = 0; at < whole.length; at += REGION) {
      const offset = Math.min(at + ((at / REGION) % REGION), whole.length - 1);
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged.readUInt8(offset) ^ (1 << (at % 7)), offset);
      writeFileSync(object, damaged);
      await assert.rejects(
        () =>
          new KernelSource({ ...KERNEL, stage: new Ledger().stage('wire'), object }).start(() => undefined),
        { op: 'open', hint: /damaged, or of another build/ },
        `byte ${offset}`,
      );
    }
  });

  it('an object of another build', async () => {
    const object = join(directory, 'other.o');
    writeFileSync(object, Buffer.concat([readFileSync(OBJECT), Buffer.from([0])]));
    assert.match((await refusal({ object })).hint ?? '', /of another build/);
  });

  it('ring sizes the kernel does not take', async () => {
    for (const ringBytes of [0, 1, 2048, 4097, 3 << 16, 100_000]) {
      const error = await refusal({ ringBytes });
      assert.match(error.message, /^cannot make the ring buffer .*EINVAL/, `${ringBytes}`);
      assert.match(error.hint ?? '', /power of two/);
    }
  });

  it('settings the object does not have, or that do not fit', async () => {
    const open = async (knobs: Readonly<Record<string, readonly number[]>>) => {
      const opened = await addon.open(nativeOptions({ knobs }));
      if ('error' in opened) return `${opened.error.op} ${opened.error.subject} ${opened.error.code}`;
      opened.capture.close();
      return 'opened';
    };
    assert.equal(await open({ no_such_setting: [1] }), 'rodata no_such_setting ENOENT');
    assert.equal(await open({ dns_ports: [53, 53, 53, 53, 53] }), 'rodata dns_ports E2BIG');
    assert.equal(await open({ dns_ports: [65536] }), 'rodata dns_ports ERANGE');
    assert.equal(await open({ dns_ports: [65535] }), 'opened');
  });

  it('a family the object does not have', async () => {
    const opened = await addon.open(nativeOptions({ family: 'nosuch' }));
    assert.ok('error' in opened);
    assert.equal(opened.error.op, 'family');
  });

  it('started twice is a defect of the caller', async () => {
    const source = new KernelSource({
      hook: 'tracepoint',
      ports: [1],
      maxPayload: 64,
      ringBytes: 1 << 17,
      stage: new Ledger().stage('wire'),
    });
    await source.start(() => {});
    await assert.rejects(
      source.start(() => {}),
      /started twice/,
    );
    await source.stop();
    await assert.rejects(
      source.start(() => {}),
      /started twice/,
    );
  });

  it('a family that this kernel cannot attach says why', async () => {
    const report = probe();
    assert.ok(report.btf);
    assert.equal(report.capabilities['CAP_BPF'], true);
    assert.ok(report.chosen !== undefined, JSON.stringify(report.families));
    assert.deepEqual(loadedPrograms(), []);
    for (const family of report.families) {
      if (family.available) {
        assert.equal(family.fires, true, family.family);
        continue;
      }
      const error = await refusal({ hook: family.family });
      assert.equal(error.message, family.reason);
      assert.match(error.message, /\(E[A-Z]+\)$/);
      assert.ok((error.hint ?? '').length > 0, error.message);
      // root has the privileges: that cannot be the advice
      assert.doesNotMatch(error.hint ?? '', /run as root/);
    }
  });
});

describe('without privileges', { skip }, () => {
  // the user may not be able to read the checkout: the files are copied for it
  it('says so in one line, with what to do, and prints nothing itself', () => {
    const copy = mkdtempSync(join(tmpdir(), 'whodns-nobody-'));
    try {
      const { status } = spawnSync(
        'cp',
        ['-r', '--parents', 'src', 'build/dns.bpf.o', 'build/whodns.node', 'package.json', copy],
        {
          cwd: ROOT,
        },
      );
      assert.equal(status, 0);
      copyFileSync(process.execPath, join(copy, 'node'));
      spawnSync('chmod', ['-R', 'a+rX', copy]);
      spawnSync('chmod', ['a+rx', copy, join(copy, 'node')]);
      const program = `
        const { KernelSource } = await import('${copy}/src/capture/kernel.ts');
        const { probe } = await import('${copy}/src/capture/probe.ts');
        const { Ledger } = await import('${copy}/src/ledger.ts');
        for (const hook of ['auto', 'fentry', 'tracepoint']) {
          const source = new KernelSource({ hook, ports: [53], maxPayload: 4096, ringBytes: 1 << 17, stage: new Ledger().stage('wire') });
          try { await source.start(() => {}); console.log('started'); }
          catch (error) { console.log(error.name + '|' + error.message + '|' + error.hint); }
        }
        const report = probe();
        console.log(report.chosen, report.capabilities.CAP_BPF, report.families.every((family) => family.reason));`;
      const { stdout, stderr } = spawnSync(
        'setpriv',
        [
          '--reuid=65534',
          '--regid=65534',
          '--clear-groups',
          '--bounding-set=-all',
          join(copy, 'node'),
          '--input-type=module',
          '-e',
          program,
        ],
        { encoding: 'utf8', cwd: copy },
      );
      assert.equal(stderr, '');
      const lines = stdout.trimEnd().split('\n');
      assert.equal(lines.length, 4, stdout);
      assert.match(
        lines[0] ?? '',
        /^UserError\|not allowed to load BPF programs\|run as root, or with CAP_BPF/,
      );
      for (const line of lines.slice(1, 3)) {
        assert.match(
          line,
          /^CaptureError\|.*operation not permitted \(EPERM\)\|run as root, or with CAP_BPF/,
        );
      }
      assert.equal(lines[3], 'undefined false true');
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});
