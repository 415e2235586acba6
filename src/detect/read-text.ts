/** A list file that the operator names. */
import { UserError } from '../lib/errors.ts';
import { readTrusted } from '../lib/safe-file.ts';

const MAX_BYTES = 1024 * 1024;

/** @throws UserError: not readable, not a file, longer than 1 MiB, or another user can change it */
export function readText(path: string): string {
  try {
    return readTrusted(path, MAX_BYTES).toString('utf8');
  } catch (error) {
    const hint = error instanceof UserError && error.hint !== undefined ? { hint: error.hint } : {};
    throw new UserError(`${path} cannot be read: ${(error as Error).message}`, hint);
  }
}
