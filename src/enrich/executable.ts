/** What became of an executable file since its process started, and how it came into its container. */
import { lstatSync } from 'node:fs';
import type { Owner } from '../model.ts';
import { readFile, readProcess } from './proc.ts';

const MOUNTINFO_BYTES = 512 * 1024;

export interface ExecutableState {
  /** No file has it any more. */
  readonly deleted: boolean;
  /** Deleted, and another file has its path now: an upgrade. */
  readonly replaced: boolean;
  /** It lies in the writable layer of an overlay: added after the container's start. undefined: no overlay, or not known. */
  readonly added: boolean | undefined;
}

/** undefined: the process is gone. */
export function executableState(procRoot: string, owner: Owner, path: string): ExecutableState | undefined {
  return readProcess(procRoot, owner.pid, owner.startTime, (directory) => {
    const file = directory.inode('exe');
    if (file === undefined) return { deleted: false, replaced: false, added: undefined };
    const deleted = file.links === 0n;
    const root = `${procRoot}/${owner.pid}/root`;
    return {
      deleted,
      replaced: deleted && inodeOf(`${root}${path}`) !== undefined,
      added: deleted ? undefined : isInUpperLayer(procRoot, owner.pid, path),
    };
  });
}

/** Anything but a path from the root, which mount points and layers are joined with, is refused. */
function isInUpperLayer(procRoot: string, pid: number, path: string): boolean | undefined {
  if (!path.startsWith('/') || path.split('/').includes('..')) return undefined;
  const upper = upperLayer(
    readFile(`${procRoot}/${pid}/mountinfo`, MOUNTINFO_BYTES)?.toString('latin1') ?? '',
  );
  // The layer's path is one of the host.
  const init = `${procRoot}/1/root`;
  const host = inodeOf(`${init}/`) === undefined ? `${procRoot}/self/root` : init;
  if (upper === undefined || inodeOf(`${host}${upper}`) === undefined) return undefined;
  return inodeOf(`${host}${upper}${path}`) !== undefined;
}

/** `upperdir` of an overlay on `/` (proc(5); escapes as in /proc/mounts). */
function upperLayer(mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const at = line.indexOf(' - overlay ');
    if (at < 0 || line.split(' ')[4] !== '/') continue;
    const directory = /(?:^|[ ,])upperdir=([^, ]+)/.exec(line.slice(at))?.[1];
    return directory?.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
  }
  return undefined;
}

function inodeOf(path: string): bigint | undefined {
  try {
    return lstatSync(path, { bigint: true }).ino;
  } catch {
    return undefined;
  }
}
