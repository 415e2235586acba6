/** Files of the single executable that the system must find by a path: a library to load, a program to start. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from './errors.ts';

let folder: string | undefined;
const extracted = new Map<string, string>();

/**
 * Once, in a new folder of this process that no other user can enter, under $TMPDIR. It goes with the process.
 * @returns the path @throws UserError: there is no such place
 */
export function extract(name: string, content: Uint8Array): string {
  const known = extracted.get(name);
  if (known !== undefined) return known;
  try {
    folder ??= makeFolder();
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o700, flag: 'wx' });
    extracted.set(name, path);
    return path;
  } catch (cause) {
    throw new UserError(`cannot unpack ${name} below ${tmpdir()}: ${(cause as Error).message}`, {
      hint: 'set TMPDIR to a directory that can be written to and run from',
      cause,
    });
  }
}

function makeFolder(): string {
  const made = mkdtempSync(join(tmpdir(), 'whodns-'));
  process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  return made;
}
