/** The packages that are in a bundle, and what their licences want to be told. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly license: string;
  /** Relative to the checkout. */
  readonly folder: string;
}

/** Sorted by name and version. @param metafiles of esbuild, with paths relative to the checkout */
export function packagesOf(metafiles: readonly Metafile[]): readonly BundledPackage[] {
  const folders = new Set<string>();
  for (const { inputs } of metafiles.flatMap(({ outputs }) => Object.values(outputs))) {
    for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  return [...folders]
    .map(describe)
    .sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));
}

function describe(folder: string): BundledPackage {
  const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
  if (typeof license !== 'string') throw new Error(`${folder}: no licence in its package.json`);
  return { name, version, license, folder };
}

/** Each licence text once, above it the packages that have it. */
export function notices(packages: readonly BundledPackage[]): string {
  const texts = new Map<string, string[]>();
  for (const { name, version, license, folder } of packages) {
    const files = readdirSync(join(ROOT, folder)).filter((file) =>
      /^(licen[cs]e|copying|notice)/i.test(file),
    );
    const text = files.map((file) => readFileSync(join(ROOT, folder, file), 'utf8').trim()).join('\n\n');
    const title = `${name} ${version} (${license})`;
    texts.set(text, [...(texts.get(text) ?? []), title]);
  }
  const parts = [...texts].map(([text, titles]) => `${titles.join('\n')}\n\n${text}\n`);
  return `whodns contains these packages.\n\n${parts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

/** Of what is compiled into the native files. libelf is LGPL-3.0-or-later: packaging/ builds it, so it can be changed and linked again. */
export function nativeNotices(): string {
  const tools = join(ROOT, 'build/toolchain');
  const parts = [
    ['libbpf (BSD-2-Clause)', 'libbpf/LICENSE.BSD-2-Clause'],
    ['libelf of elfutils (LGPL-3.0-or-later)', 'elfutils/COPYING-LGPLV3'],
    ['zlib (Zlib)', 'zlib/README'],
    [
      'libc++, libc++abi, libunwind, compiler-rt of LLVM (Apache-2.0 WITH LLVM-exception)',
      'zig/ziglang/lib/libcxx/LICENSE.TXT',
    ],
    ['musl, in whodns-inspector (MIT)', 'zig/ziglang/lib/libc/musl/COPYRIGHT'],
  ] as const;
  const texts = parts.map(
    ([title, file]) => `${title}\n\n${readFileSync(join(tools, file), 'utf8').trim()}\n`,
  );
  const versions = readFileSync(join(tools, 'versions.txt'), 'utf8');
  const source = `Sources, from Debian 12:\n${versions}\nThe libraries are built from them by packaging/Makefile of whodns, and can be changed and linked again with it.\n`;
  return `whodns.node and whodns-inspector contain these libraries.\n\n${[source, ...texts].join(`\n${'-'.repeat(80)}\n\n`)}`;
}
