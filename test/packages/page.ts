/** docs/platforms.md, from what the tests of the packages saw. */
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

export interface Outcome {
  /** '' = any. */
  readonly system: string;
  readonly arch: 'x64' | 'arm64';
  readonly libc: 'glibc' | 'musl';
  readonly package: string;
  readonly result: 'captured' | 'failed' | 'not tried';
  readonly reason: string;
}

export function writePage(outcomes: readonly Outcome[]): void {
  const row = ({ system, arch, libc, package: what, result, reason }: Outcome) =>
    `| ${system || 'any'} | ${arch} | ${libc} | ${what} | ${result} | ${reason} |`;
  const lines = [
    '# Platforms',
    '',
    '<!-- written by npm run test:packages -->',
    '',
    `Each package was installed in a clean root directory of the system and captured a lookup there, on kernel ${release()}. Kernels: [resolver matrix](resolver-matrix.md).`,
    '',
    '| system | processor | libc | package | result | reason |',
    '|---|---|---|---|---|---|',
    ...outcomes.map(row),
  ];
  writeFileSync(join(import.meta.dirname, '../../docs/platforms.md'), `${lines.join('\n')}\n`);
}
