/** Where the host's control groups are mounted, and whether the kernel programs can tell workloads apart by them. */
import { readFileSync, statSync } from 'node:fs';
import { hostRoots } from '../host-root.ts';

export interface CgroupMount {
  /** Directory of the hierarchy's root as this process can reach it. */
  readonly path: string;
  readonly version: 1 | 2;
  /** It is the whole hierarchy only if its inode says so: a cgroup namespace of our own does not tell its root's path. */
  readonly relative?: true;
}

export interface CgroupMounts {
  /** cgroup v2: its group ids (directory inodes) are what the kernel programs know. */
  readonly v2: CgroupMount | undefined;
  /** A v1 controller that runtimes set, where one is mounted (v1 and hybrid hosts): containers may be told apart there only. */
  readonly v1: CgroupMount | undefined;
  /** All hierarchies of version 1. */
  readonly hierarchies: readonly CgroupMount[];
}

/** Inode of the root of every hierarchy (fs/kernfs: the first that is given out). */
export const ROOT_INODE = 1n;

/** Controllers as the kernel programs try them (bpf/process.h, cgroup_node). */
const V1_CONTROLLERS = ['memory', 'pids', 'cpu'];

/**
 * The host's mounts, as its first process sees them (the agent may run in a container with the host's PID namespace), else
 * our own.
 */
export function findCgroupMounts(procRoot = '/proc', roots = hostRoots(procRoot)): CgroupMounts {
  for (const { pid, prefix } of roots) {
    const text = read(`${procRoot}/${pid}/mountinfo`);
    if (text === undefined) continue;
    const mounts = parseMounts(text, prefix);
    const isReachable = [mounts.v2, mounts.v1].every((mount) => mount === undefined || isThere(mount));
    if (isReachable && (mounts.v1 ?? mounts.v2) !== undefined) return mounts;
  }
  return { v2: undefined, v1: undefined, hierarchies: [] };
}

/** proc(5), mountinfo: `ID PARENT DEV ROOT MOUNTPOINT OPTIONS [FIELDS] - TYPE SOURCE SUPEROPTIONS`. */
export function parseMounts(text: string, prefix: string): CgroupMounts {
  let v2: CgroupMount | undefined;
  const v1 = new Map<string, CgroupMount>();
  const hierarchies: CgroupMount[] = [];
  for (const line of text.split('\n')) {
    const match = /^\S+ \S+ \S+ (\S+) (\S+) .*? - (cgroup2?) \S+ (\S+)$/.exec(line);
    // Another root than the hierarchy's own: a part. Above our own namespace's root it may be the whole.
    if (match === null || !/^(?:\/|(?:\/\.\.)+)$/.test(match[1] ?? '')) continue;
    const path = prefix + unescaped(match[2] ?? '');
    const relative = match[1] === '/' ? {} : ({ relative: true } as const);
    if (match[3] === 'cgroup2') v2 ??= { path, version: 2, ...relative };
    else {
      const mount: CgroupMount = { path, version: 1, ...relative };
      hierarchies.push(mount);
      for (const option of (match[4] ?? '').split(',')) v1.set(option, mount);
    }
  }
  const controller = V1_CONTROLLERS.find((name) => v1.has(name));
  return { v2, v1: controller === undefined ? undefined : v1.get(controller), hierarchies };
}

/** Blanks and backslashes of a path are octal there. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function isThere({ path, version, relative }: CgroupMount): boolean {
  if (read(`${path}/${version === 2 ? 'cgroup.procs' : 'tasks'}`) === undefined) return false;
  return relative === undefined || inodeOf(path) === ROOT_INODE;
}

/** Inode number of a directory: of version 2 the id that the kernel programs know. undefined: it is not there. */
export function inodeOf(path: string): bigint | undefined {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch {
    return undefined;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
