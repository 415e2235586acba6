/**
 * Whose word a container id in a cgroup path is. Who is given a part of the tree (delegation: systemd's user@UID.service,
 * rootless podman) calls groups in there as he likes. So an id counts only where nobody but root can have given that name
 * and put processes there: every group above belongs to root (cgroups(7), "Cgroups v2 delegation").
 *
 * cgroupfs has no file of anyone else: looking at it never blocks, so it is looked at here and now.
 */
import { statSync } from 'node:fs';
import { LRUCache } from 'lru-cache';
import { type CgroupMount, inodeOf, ROOT_INODE } from './cgroup-mounts.ts';
import { type Container, containerIn, segmentsOf } from './container.ts';

/** Groups remembered. A group's name never changes under its id (version 2 knows no renaming). */
const MAX_KNOWN = 8192;
/** How long a verdict stands: that of a group that could not be looked at, or of version 1, may change. */
const KNOWN_MS = 10_000;
const WRITABLE_BY_OTHERS = 0o022;
/** The kubelet's own groups above pods, which it gives to nobody (pkg/kubelet/cm). */
const PODS = /^(?:(?:[a-z0-9]+-)?kubepods(?:-burstable|-besteffort)?(?:\.slice)?|burstable|besteffort)$/;

/** A container that a path names; not `verified`: somebody else than root may have written that path. */
export interface Claim {
  readonly container: Container;
  readonly verified: boolean;
  /** Not verified: whom the part of the tree that it lies in was given to; undefined: not known, or no single user. */
  readonly given?: Given | undefined;
}

export interface Given {
  readonly user: number;
  /** Directory of the group that the process is in. */
  readonly group: string;
}

export interface CgroupClaimsOptions {
  readonly v2: CgroupMount | undefined;
  /** All hierarchies of version 1: a record does not say which of them its path is of. */
  readonly hierarchies: readonly CgroupMount[];
}

export class CgroupClaims {
  readonly #options: CgroupClaimsOptions;
  readonly #known = new LRUCache<string, Claim | 'none'>({ max: MAX_KNOWN, ttl: KNOWN_MS });
  /** Where in the kernel's paths what the version 2 mount shows lies: at the root unless we are in a container. */
  #above: readonly string[] | undefined;

  constructor(options: CgroupClaimsOptions) {
    this.#options = options;
    if (options.v2 !== undefined && inodeOf(options.v2.path) === ROOT_INODE) this.#above = [];
  }

  /**
   * @param id of the group in version 2
   * @param path as the kernel has it
   * @returns undefined: the path names no container
   */
  of(id: bigint, path: string, version: 1 | 2): Claim | undefined {
    const segments = segmentsOf(path);
    if (containerIn(segments) === undefined) return undefined;
    const key = `${version} ${id} ${path}`;
    let claim = this.#known.get(key);
    if (claim === undefined) {
      claim = (version === 2 ? this.#ofVersion2(id, segments) : this.#ofVersion1(segments)) ?? 'none';
      this.#known.set(key, claim);
    }
    return claim === 'none' ? undefined : claim;
  }

  #ofVersion2(id: bigint, segments: readonly string[]): Claim | undefined {
    const { v2 } = this.#options;
    const below = v2 && this.#below(v2, id, segments);
    if (v2 === undefined || below === undefined) return unverified(segments);
    const found = containerIn(below);
    if (found === undefined) return undefined;
    const { container, depth } = found;
    const verified = isRootsWord(v2.path, below, depth);
    if (verified) return { container, verified };
    const user = ownerAbove(v2.path, below, depth);
    const given = user === undefined ? undefined : { user, group: `${v2.path}/${below.join('/')}` };
    return { container, verified, given };
  }

  /** The components below the mount; undefined: it does not show the group, or not any more. */
  #below({ path }: CgroupMount, id: bigint, segments: readonly string[]): readonly string[] | undefined {
    this.#above ??= placeOf(path, segments, id);
    const above = this.#above;
    if (above?.every((segment, i) => segment === segments[i]) === true) return segments.slice(above.length);
    // As /proc has it, seen from our own namespace.
    return inodeOf(`${path}/${segments.join('/')}`) === id ? segments : undefined;
  }

  /** In which hierarchy it lies is not known: root's in all of those that have it. */
  #ofVersion1(segments: readonly string[]): Claim | undefined {
    const found = containerIn(segments);
    if (found === undefined) return undefined;
    const { container, depth } = found;
    const group = `/${segments.slice(0, depth).join('/')}`;
    const there = this.#options.hierarchies.filter(({ path }) => inodeOf(path + group) !== undefined);
    // There whoever owns a group moves his own processes into it, wherever they come from.
    const verified = there.every(({ path }) => isRoots(path + group) && isRootsWord(path, segments, depth));
    return { container, verified: there.length > 0 && verified };
  }
}

function unverified(segments: readonly string[]): Claim | undefined {
  const container = containerIn(segments)?.container;
  return container && { container, verified: false };
}

/** The components that lie above the mount: those without which the rest leads to the group. */
function placeOf(mount: string, segments: readonly string[], id: bigint): readonly string[] | undefined {
  for (let i = 0; i <= segments.length; i++)
    if (inodeOf(`${mount}/${segments.slice(i).join('/')}`) === id) return segments.slice(0, i);
  return undefined;
}

/** Whether all groups above the last of `depth` components are root's. */
function isRootsWord(mount: string, segments: readonly string[], depth: number): boolean {
  let path = mount;
  for (let i = 0; i < depth; i++) {
    if (i > 0) path += `/${segments[i - 1] ?? ''}`;
    const roots = isRoots(path);
    if (roots === false) return false;
    // Gone already, with its last process. Below the kubelet's groups it was the kubelet's; elsewhere it may have been anyone's.
    if (roots === undefined) return PODS.test(segments[i - 2] ?? '') && i + 1 === depth;
  }
  return true;
}

/** Who was given the first group on the way that is not root's. Below it he alone (and root) makes groups: version 2 hands nothing on. */
function ownerAbove(mount: string, segments: readonly string[], depth: number): number | undefined {
  let path = mount;
  for (let i = 0; i < depth; i++) {
    if (i > 0) path += `/${segments[i - 1] ?? ''}`;
    if (isRoots(path) !== false) continue;
    const [user, other] = [path, `${path}/cgroup.procs`].map(soleOwner);
    return user !== undefined && user !== 0 && user === other ? user : undefined;
  }
  return undefined;
}

/** undefined: others may write to it too, or it is gone. */
function soleOwner(path: string): number | undefined {
  try {
    const { uid, mode } = statSync(path);
    return (mode & WRITABLE_BY_OTHERS) === 0 ? uid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether nobody but root can make groups in there or move processes into them. The group's own directory and
 * the file that processes are moved by are what delegation hands over. undefined: it is not there.
 */
export function isRoots(directory: string): boolean | undefined {
  if (!isRootsFile(directory)) return inodeOf(directory) === undefined ? undefined : false;
  return ['cgroup.procs', 'tasks'].every((file) => isRootsFile(`${directory}/${file}`) !== false);
}

function isRootsFile(path: string): boolean | undefined {
  try {
    const { uid, mode } = statSync(path);
    return uid === 0 && (mode & WRITABLE_BY_OTHERS) === 0;
  } catch {
    return undefined;
  }
}
