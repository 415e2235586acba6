/**
 * docs/platforms.md, from what the tests of the packages saw. Two suites write it, each its own rows: test/packages (x64, this kernel) and
 * test/arm64 (an emulated machine).
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Outcome {
  /** '' = any. */
  readonly system: string;
  readonly arch: 'x64' | 'arm64';
  readonly libc: 'glibc' | 'musl';
  readonly package: string;
  readonly kernel: string;
  readonly result: 'captured' | 'failed' | 'not tried';
  /** Of a result that is not `captured`; else what stood in. */
  readonly reason: string;
}

const PAGE = join(import.meta.dirname, '../../docs/platforms.md');
const HEAD = `# Platforms

<!-- written by npm run test:packages (x64) and npm run test:arm64 (arm64) -->

Each package was installed in a clean root directory of the system and captured a lookup there: x64 on the kernel of the machine that ran the
test, arm64 in an emulated machine (\`qemu-system-aarch64\`). Other kernels: [resolver matrix](resolver-matrix.md).

| system | processor | libc | package | kernel | result | note |
|---|---|---|---|---|---|---|
`;

/** Puts the rows of a processor in the place of those it had. */
export function writeOutcomes(arch: Outcome['arch'], outcomes: readonly Outcome[]): void {
  const row = ({ system, libc, package: what, kernel, result, reason }: Outcome) =>
    `| ${system || 'any'} | ${arch} | ${libc} | ${what} | ${kernel} | ${result} | ${reason} |`;
  const text = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
  const kept = (other: Outcome['arch']) =>
    text.split('\n').filter((line) => line.split(' | ')[1] === other && line.split(' | ').length === 7);
  const rows = outcomes.map(row);
  const all = arch === 'x64' ? [...rows, ...kept('arm64')] : [...kept('x64'), ...rows];
  writeFileSync(PAGE, `${HEAD}${all.join('\n')}\n`);
}
