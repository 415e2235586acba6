/** Files of detectors that each get one thing wrong (stray.mjs). */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../..');

/** Fault -> why its detector is switched off; undefined: it is not, what it returns is read once and taken. */
export const FAULTS: Readonly<Record<string, RegExp | undefined>> = {
  import: /outside of its calls it threw: stray import/,
  timer: /outside of its calls it threw: stray timer/,
  interval: /outside of its calls it threw: stray interval/,
  rejection: /outside of its calls it threw: stray rejection/,
  text: /outside of its calls it threw: stray text/,
  later: /outside of its calls it threw: stray later/,
  tick: /outside of its calls it threw: stray tick/,
  microtask: /outside of its calls it threw: stray microtask/,
  socket: /outside of its calls it threw: connect ECONNREFUSED/,
  exit: /it threw: process\.exit\(\): a detector does not end the agent/,
  throws: /it threw: stray throws/,
  proxy: /it threw: stray proxy/,
  getter: /it threw: stray getter/,
  keys: /it threw: stray keys/,
  huge: /what it returned is not a finding/,
  promise: /what it returned is not a finding/,
  thenable: /what it returned is not a finding/,
  twice: undefined,
};

/** Writes them into a directory below build/, where nobody else may write, and gives the agent's options. */
export function writeStrays(id: string): { readonly options: readonly string[]; remove(): void } {
  const directory = join(ROOT, 'build/hostile', id);
  mkdirSync(directory, { recursive: true });
  const module = JSON.stringify(join(import.meta.dirname, 'stray.mjs'));
  const options = Object.keys(FAULTS).flatMap((fault) => {
    const file = join(directory, `${fault}.mjs`);
    const text = `import { stray } from ${module};\nexport default stray(${JSON.stringify(fault)});\n`;
    writeFileSync(file, text, { mode: 0o644 });
    return ['--detector', file];
  });
  return { options, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** Names of the detectors that the agent's standard error says are off, with the reason; those that are not there are missing. */
export function missingIn(errors: string): string[] {
  return Object.entries(FAULTS).flatMap(([fault, reason]) => {
    const line =
      errors.split('\n').find((each) => each.includes(`detector stray-${fault} is switched off`)) ?? '';
    return reason === undefined
      ? line === ''
        ? []
        : [line]
      : reason.test(line)
        ? []
        : [`${fault}: ${line}`];
  });
}
