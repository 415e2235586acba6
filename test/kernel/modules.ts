/** Kernel modules for a test machine: out of the kernel's packages, in the order in which they can be inserted. */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Kernel } from './kernels.ts';

export interface Module {
  readonly name: string;
  /** Not packed. */
  readonly bytes: Buffer;
}

/** The modules named and all that they need, each after what it needs. Throws when one is neither there nor built in. */
export function modules(kernel: Kernel, names: readonly string[]): Module[] {
  const files = new Map<string, string>();
  for (const path of globSync('{,usr/}lib/modules/**/*.ko*', { cwd: kernel.root })) {
    files.set(nameOf(path), join(kernel.root, path));
  }
  const builtIn = new Set(
    globSync('{,usr/}lib/modules/*/modules.builtin', { cwd: kernel.root })
      .flatMap((path) => readFileSync(join(kernel.root, path), 'latin1').split('\n'))
      .map(nameOf),
  );
  const found = new Map<string, Module>();
  const add = (name: string): void => {
    if (found.has(name) || builtIn.has(name)) return;
    const file = files.get(name);
    if (file === undefined) throw new Error(`kernel ${kernel.name} has no module ${name}`);
    const bytes = unpacked(file);
    for (const needed of needs(bytes)) add(needed);
    found.set(name, { name, bytes });
  };
  for (const name of names) add(name);
  return [...found.values()];
}

/** As modprobe takes them: file names may have dashes. */
function nameOf(path: string): string {
  return basename(path.trim())
    .replace(/\.ko(\.xz|\.zst)?$/, '')
    .replaceAll('-', '_');
}

function unpacked(file: string): Buffer {
  const program = file.endsWith('.xz') ? 'xz' : 'zstd';
  if (file.endsWith('.ko')) return readFileSync(file);
  return execFileSync(program, ['-dc', file], { maxBuffer: 64 * 1024 * 1024 });
}

/** `depends` of the section .modinfo, a list of strings that end with a zero byte. */
function needs(module: Buffer): string[] {
  const list = /\0depends=([^\0]*)\0/.exec(module.toString('latin1'))?.[1] ?? '';
  return list.split(',').filter((name) => name !== '');
}
