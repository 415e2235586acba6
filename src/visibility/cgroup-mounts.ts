/** Where the host's control groups are mounted, and whether the kernel programs can tell workloads apart by them. */
import { readFileSync } from 'node:fs';

export interface CgroupMount {
  /** Directory of the hierarchy's root as this process can reach it. */
  readonly path: string;
  readonly version: 1 | 2;
}

export interface CgroupMounts {
  /** cgroup v2: its group ids (directory inodes) are what the kernel programs know. */
  readonly v2: CgroupMount | undefined;
  /** A v1 controller that runtimes set, where one is mounted (v1 and hybrid hosts): containers may be told apart there only. */
  readonly v1: CgroupMount | undefined;
}

/** Controllers as the kernel programs try them (bpf/process.h, cgroup_node). */
const V1_CONTROLLERS = ['memory', 'pids', 'cpu'];

/**
 * The host's mounts, as its first process sees them (the agent may run in a container with the host's PID namespace), else
 * our own.
 */
export function findCgroupMounts(procRoot = '/proc'): CgroupMounts {
  for (const [pid, prefix] of [
    ['1', `${procRoot}/1/root`],
    ['self', ''],
  ] as const) {
    const text = read(`${procRoot}/${pid}/mountinfo`);
    if (text === undefined) continue;
    const mounts = parseMounts(text, prefix);
    const isReachable = [mounts.v2, mounts.v1].every((mount) => mount === undefined || isThere(mount));
    if (isReachable && (mounts.v1 ?? mounts.v2) !== undefined) return mounts;
  }
  return { v2: undefined, v1: undefined };
}

/** proc(5), mountinfo: `ID PARENT DEV ROOT MOUNTPOINT OPTIONS [FIELDS] - TYPE SOURCE SUPEROPTIONS`. */
export function parseMounts(text: string, prefix: string): CgroupMounts {
  let v2: CgroupMount | undefined;
  const v1 = new Map<string, CgroupMount>();
  for (const line of text.split('\n')) {
    const match = /^\S+ \S+ \S+ (\S+) (\S+) .*? - (cgroup2?) \S+ (\S+)$/.exec(line);
    // Another root than the hierarchy's own: the mount of a cgroup namespace or a part.
    if (match === null || match[1] !== '/') continue;
    const path = prefix + unescaped(match[2] ?? '');
    if (match[3] === 'cgroup2') v2 ??= { path, version: 2 };
    else for (const option of (match[4] ?? '').split(',')) v1.set(option, { path, version: 1 });
  }
  const controller = V1_CONTROLLERS.find((name) => v1.has(name));
  return { v2, v1: controller === undefined ? undefined : v1.get(controller) };
}

/** Blanks and backslashes of a path are octal there. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function isThere({ path, version }: CgroupMount): boolean {
  return read(`${path}/${version === 2 ? 'cgroup.procs' : 'tasks'}`) !== undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
