/** What became of an executable file since its process started, and how it came into its container. */
import type { Inspector, Target } from '../../inspector/inspector.ts';
import { inodeOf } from '../../inspector/protocol.ts';

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
export async function executableState(
  inspector: Pick<Inspector, 'inspect'>,
  target: Target,
  path: string,
): Promise<ExecutableState | undefined> {
  const results = await inspector.inspect(target, [
    { kind: 'inode', name: 'exe' },
    { kind: 'rootInode', path },
    { kind: 'file', name: 'mountinfo', limit: MOUNTINFO_BYTES },
  ]);
  if (results === undefined) return undefined;
  const [exe, now, mountinfo] = results;
  const file = inodeOf(exe);
  if (file === undefined) return { deleted: false, replaced: false, added: undefined };
  const deleted = file.links === 0n;
  const upper = deleted ? undefined : upperLayer(mountinfo?.bytes?.toString('latin1') ?? '');
  return {
    deleted,
    replaced: deleted && inodeOf(now) !== undefined,
    added: upper === undefined ? undefined : await isInLayer(inspector, target, upper, path),
  };
}

/** Anything but a path from the root, which layers are joined with, is refused. */
async function isInLayer(
  inspector: Pick<Inspector, 'inspect'>,
  { cgroupId, uid }: Target,
  layer: string,
  path: string,
): Promise<boolean | undefined> {
  if (!path.startsWith('/') || path.split('/').includes('..')) return undefined;
  // The layer's path is one of the host.
  for (const pid of [1, process.pid]) {
    const results = await inspector.inspect({ pid, startTime: 0n, cgroupId, uid }, [
      { kind: 'rootInode', path: layer },
      { kind: 'rootInode', path: `${layer}${path}` },
    ]);
    if (results !== undefined && inodeOf(results[0]) !== undefined) return inodeOf(results[1]) !== undefined;
  }
  return undefined;
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
