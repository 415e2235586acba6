/**
 * Damaged BTF and libbpf, which fits the programs to it as root: nothing that `--btf` takes ends the process (relocate.c). The files are the
 * part of this kernel's BTF that the programs use, small enough that each change touches something, damaged by a fixed sequence.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { faultOfBtf } from '../../src/capture/btf.ts';
import { OBJECT, ROOT } from './harness.ts';

const RELOCATE = join(ROOT, 'build/test/relocate');
const OWN = '/sys/kernel/btf/vmlinux';
const DAMAGED = 100;
const HEADER = 24;
const EXTREMES = [0, 1, 3, 24, 25, 0x7fffffff, 0x80000000, 0xffffffff];

const skip = !existsSync(OWN) && 'this kernel has no BTF';

/** Numbers that look random, the same in every run. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function* damages(whole: Buffer): Generator<Buffer> {
  const next = sequence(20261130);
  const typeWords = whole.readUInt32LE(12) / 4;
  for (let field = 0; field < HEADER; field += 4)
    for (const value of EXTREMES) yield patched(whole, (bytes) => bytes.writeUInt32LE(value, field));
  for (let count = 0; count < DAMAGED; count++) {
    const word = HEADER + 4 * next(typeWords);
    const values = [next(2000), next(2 ** 32)] as const;
    const place = next(whole.length);
    yield* [
      whole.subarray(0, place),
      patched(whole, (bytes) => bytes.writeUInt8((bytes[place] ?? 0) ^ (1 << next(8)), place)),
      patched(whole, (bytes) => bytes.writeUInt32LE(values[count % 2] ?? 0, word)),
      patched(whole, (bytes) => {
        for (let left = 8; left > 0; left--) bytes[HEADER + next(bytes.length - HEADER)] = next(256);
      }),
    ].slice(count % 4, (count % 4) + 1);
  }
}

function patched(whole: Buffer, change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(whole);
  change(bytes);
  return bytes;
}

describe('damaged BTF', { skip }, () => {
  let folder = '';
  let whole = Buffer.alloc(0);

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'whodns-btf-'));
    mkdirSync(join(ROOT, 'build/test'), { recursive: true });
    const source = join(ROOT, 'test/native/relocate.c');
    execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', RELOCATE, source, '-lbpf']);
    execFileSync('bpftool', ['gen', 'min_core_btf', OWN, join(folder, 'whole'), OBJECT]);
    whole = readFileSync(join(folder, 'whole'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const relocate = (files: readonly string[]): readonly string[] =>
    execFileSync(RELOCATE, [OBJECT, ...files], { encoding: 'utf8' })
      .trim()
      .split('\n');

  test('whole, the part that the programs use, and that of a whole kernel', () => {
    assert.equal(faultOfBtf(whole), undefined);
    assert.deepEqual(relocate([join(folder, 'whole'), OWN]), ['ok', 'ok']);
  });

  test('what is taken never ends the process; some of what is refused would', () => {
    const files = Array.from(damages(whole), (bytes, index) => {
      const path = join(folder, String(index));
      writeFileSync(path, bytes);
      return { path, isTaken: faultOfBtf(bytes) === undefined };
    });
    const said = relocate(files.map(({ path }) => path));
    const ends = (isTaken: boolean) =>
      said.filter((line, index) => files[index]?.isTaken === isTaken && line.startsWith('signal')).length;
    assert.equal(said.length, files.length);
    assert.equal(ends(true), 0);
    assert.ok(ends(false) >= 5, `${ends(false)} of ${files.length} end libbpf: the test is empty`);
    assert.ok(files.filter(({ isTaken }) => isTaken).length >= 20, 'nearly all are refused');
  });
});
