import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { addon, OBJECT, ROOT } from './harness.ts';

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', env });
  return { status, output: stdout + stderr };
}

const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

describe('build products', () => {
  for (const folder of ['native', 'bpf']) {
    it(`of ${folder}/ are up to date`, () => {
      const { status, output } = run('make', ['-q', '-C', folder]);
      assert.equal(status, 0, `run make -C ${folder}\n${output}`);
    });
  }

  it('the BPF object is the same, whatever folder it is built in', () => {
    const digests = ['one', 'another/folder'].map((folder) => {
      const directory = mkdtempSync(join(tmpdir(), 'whodns-object-'));
      try {
        const source = join(directory, folder, 'bpf');
        cpSync(join(ROOT, 'bpf'), source, { recursive: true });
        cpSync(join(ROOT, 'native/tool.sh'), join(directory, folder, 'native/tool.sh'));
        const { status, output } = run('make', ['-s', '-C', source]);
        assert.equal(status, 0, output);
        return digest(join(directory, folder, 'build/dns.bpf.o'));
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
    assert.deepEqual(digests, [addon.objectDigest, addon.objectDigest]);
    assert.equal(digest(OBJECT), addon.objectDigest);
  });

  it('the addon needs nothing but system libraries', () => {
    const { output } = run('readelf', ['-d', 'build/whodns.node']);
    const needed = [...output.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map((match) => match[1]);
    assert.ok(needed.includes('libbpf.so.1'), output);
    const known =
      /^(libbpf\.so\.1|libelf\.so\.1|libz\.so\.1|libstdc\+\+\.so\.6|libm\.so\.6|libgcc_s\.so\.1|libc\.so\.6|ld-linux.*)$/;
    assert.deepEqual(
      needed.filter((name) => !known.test(name ?? '')),
      [],
    );
    assert.doesNotMatch(output, /RUNPATH|RPATH/);
  });
});

describe('layout.gen.ts', () => {
  it('is what bpf/event.h says', () => {
    const { status, output } = run(process.execPath, ['native/layout.ts', '--check']);
    assert.equal(status, 0, output);
  });

  it('is found stale when it is not', () => {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-layout-'));
    try {
      // a copy of the tree that the generator works on, with one offset changed
      for (const file of ['native/layout.ts', 'native/layout.c', 'bpf/event.h', 'src/wire/layout.gen.ts']) {
        const text = readFileSync(join(ROOT, file), 'utf8');
        const target = join(directory, file);
        spawnSync('mkdir', ['-p', join(target, '..')]);
        writeFileSync(
          target,
          file.endsWith('.gen.ts')
            ? text.replace(/local_port: (\d+)/, (_, at) => `local_port: ${Number(at) + 1}`)
            : text,
        );
      }
      cpSync(join(ROOT, 'native/tool.sh'), join(directory, 'native/tool.sh'));
      const { status, output } = run(process.execPath, [join(directory, 'native/layout.ts'), '--check']);
      assert.equal(status, 1);
      assert.match(output, /layout\.gen\.ts is stale/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
