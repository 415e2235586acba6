/**
 * The root directory of the host, as its first process sees it: the agent may run in a container with the host's PID namespace.
 * It is opened at the start. Later the agent has no right to go through /proc/1/root any more.
 */
import { constants, openSync, statSync } from 'node:fs';

export interface HostRoot {
  /** Directory in /proc of a process that sees it. */
  readonly pid: '1' | 'self';
  /** What is put in front of absolute paths: '' for our own root. Stays usable as long as the agent runs. */
  readonly prefix: string;
}

/** Best first: of the host, else our own. */
export function hostRoots(procRoot = '/proc'): readonly HostRoot[] {
  const own: HostRoot = { pid: 'self', prefix: '' };
  const first = `${procRoot}/1/root`;
  const identity = identityOf(first);
  if (identity === undefined) return [own];
  if (identity === identityOf('/')) return [{ pid: '1', prefix: '' }, own];
  try {
    const descriptor = openSync(first, constants.O_RDONLY | constants.O_DIRECTORY);
    return [{ pid: '1', prefix: `/proc/self/fd/${descriptor}` }, own];
  } catch {
    return [own];
  }
}

/** Device and inode; undefined: it is not there, or not for us to see. */
function identityOf(directory: string): string | undefined {
  try {
    const { dev, ino } = statSync(directory, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}
