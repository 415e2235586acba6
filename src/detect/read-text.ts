/** A list file that the operator names. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { UserError } from '../lib/errors.ts';

const MOST_BYTES = 1024 * 1024;

/** @throws UserError: not readable, not a file, longer than 1 MiB */
export function readText(path: string): string {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const { size } = fstatSync(fd);
    if (size > MOST_BYTES) throw new UserError(`${path}: ${size} bytes, at most ${MOST_BYTES}`);
    return readFileSync(fd, 'utf8').slice(0, MOST_BYTES);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path} cannot be read: ${(error as Error).message}`);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
