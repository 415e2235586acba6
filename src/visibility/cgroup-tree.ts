/**
 * The control groups of pods and containers below a mount, kept up to date: by inotify on the groups above containers (mkdir
 * and rmdir are seen there), and by a look at everything now and then, for watches that could not be had.
 *
 * Only what root has named is there (enrich/containers/cgroup-claims.ts): neither groups inside containers nor those that somebody
 * made in a part of the tree that was given to him.
 */
import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { isRoots } from '../enrich/containers/cgroup-claims.ts';
import { type CgroupMount, inodeOf } from '../enrich/containers/cgroup-mounts.ts';
import { containerOf, podUidOf } from '../enrich/containers/container.ts';

export interface WorkloadGroup {
  /** Below the mount, e.g. `/kubepods/burstable/pod<uid>/<id>`. */
  readonly path: string;
  readonly mount: CgroupMount;
  /** cgroup v2: the id the kernel programs see. */
  readonly id: bigint;
  /** `pods`: the group above all pods. */
  readonly kind: 'container' | 'pod' | 'pods';
  readonly containerId: string | undefined;
  readonly podUid: string | undefined;
}

export interface CgroupTreeOptions {
  readonly mounts: readonly CgroupMount[];
  /** Called after a change, not more often than every few milliseconds. */
  readonly onChange: () => void;
}

/** As deep as the kernel programs look (bpf/visibility.h, CGROUP_DEPTH_MAX). */
const MAX_DEPTH = 20;
/** Groups known at once, nearest to the root first; further ones are counted. */
const MAX_GROUPS = 16_384;
const MAX_WATCHES = 4096;
/** Several groups are made for one container. */
const SETTLE_MS = 10;
const RESCAN_MS = 5000;
const PODS = /^(?:[a-z0-9]+-)?kubepods(?:\.slice)?$/;

interface Node {
  readonly mount: CgroupMount;
  readonly path: string;
  readonly depth: number;
  readonly children: Set<string>;
  readonly workload: WorkloadGroup | undefined;
  watcher: FSWatcher | undefined;
}

export class CgroupTree {
  /** Groups not looked at because there were too many. */
  skipped = 0;
  readonly #options: CgroupTreeOptions;
  /** Key: mount path and path. */
  readonly #nodes = new Map<string, Node>();
  readonly #dirty = new Set<string>();
  #watches = 0;
  #isWatching = false;
  #settle: NodeJS.Timeout | undefined;
  #rescan: NodeJS.Timeout | undefined;

  constructor(options: CgroupTreeOptions) {
    this.#options = options;
  }

  /** Looks at everything, then keeps looking. */
  start(): void {
    this.#isWatching = true;
    this.refresh();
    this.#rescan = setInterval(() => {
      if (this.refresh()) this.#options.onChange();
    }, RESCAN_MS);
    this.#rescan.unref();
  }

  stop(): void {
    this.#isWatching = false;
    this.#watches = 0;
    clearInterval(this.#rescan);
    clearTimeout(this.#settle);
    for (const node of this.#nodes.values()) node.watcher?.close();
    this.#nodes.clear();
  }

  *workloads(): Iterable<WorkloadGroup> {
    for (const { workload } of this.#nodes.values()) if (workload !== undefined) yield workload;
  }

  /** The hierarchies' own groups. */
  roots(): { readonly mount: CgroupMount; readonly id: bigint }[] {
    return this.#options.mounts.flatMap((mount) => {
      const id = inodeOf(mount.path);
      return id === undefined ? [] : [{ mount, id }];
    });
  }

  /** True if something came or went. */
  refresh(): boolean {
    this.skipped = 0;
    let changed = false;
    for (const mount of this.#options.mounts) {
      const key = `${mount.path}\0/`;
      if (!this.#nodes.has(key)) changed = this.#add(mount, '/', 0);
      // Nearest to the root first, so that what is nested deep in one container cannot crowd out others.
      const queue = [key];
      for (let i = 0; i < queue.length; i++) {
        if (this.#list(queue[i] ?? '')) changed = true;
        for (const child of this.#nodes.get(queue[i] ?? '')?.children ?? []) queue.push(child);
      }
    }
    return changed;
  }

  /** Something was seen that is not here yet: looks now. */
  prompt(): void {
    for (const { path } of this.#options.mounts) this.#touch(`${path}\0/`, true);
  }

  #touch(key: string, everything = false): void {
    if (everything) this.#dirty.clear();
    this.#dirty.add(everything ? '' : key);
    this.#settle ??= setTimeout(() => this.#flush(), SETTLE_MS).unref();
  }

  #flush(): void {
    this.#settle = undefined;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    let changed = false;
    if (dirty.includes('')) changed = this.refresh();
    else for (const key of dirty) if (this.#listBelow(key)) changed = true;
    if (changed) this.#options.onChange();
  }

  /** One group and what is new below it. */
  #listBelow(key: string): boolean {
    const before = new Set(this.#nodes.get(key)?.children);
    let changed = this.#list(key);
    for (const child of this.#nodes.get(key)?.children ?? [])
      if (!before.has(child) && this.#listBelow(child)) changed = true;
    return changed;
  }

  /** Compares one directory with what is known of it. */
  #list(key: string): boolean {
    const node = this.#nodes.get(key);
    if (node === undefined || node.depth >= MAX_DEPTH) return false;
    const directory = node.mount.path + node.path;
    // The group of a container stays as long as it is there; what is inside is its own affair.
    if (node.workload?.kind === 'container')
      return inodeOf(directory) !== node.workload.id && this.#remove(key);
    const names = directoriesIn(directory);
    if (names === undefined) return node.depth > 0 && this.#remove(key);
    // Asked after the names were read: those were root's if the group still is.
    const areRoots = isRoots(directory) === true;
    let changed = false;
    const present = new Set<string>();
    for (const name of names) {
      const path = node.path === '/' ? `/${name}` : `${node.path}/${name}`;
      const child = `${node.mount.path}\0${path}`;
      present.add(child);
      if (!areRoots || this.#nodes.has(child)) continue;
      if (!this.#add(node.mount, path, node.depth + 1)) continue;
      node.children.add(child);
      changed = true;
    }
    for (const child of node.children) if (!present.has(child) && this.#remove(child)) changed = true;
    return changed;
  }

  #add(mount: CgroupMount, path: string, depth: number): boolean {
    if (this.#nodes.size >= MAX_GROUPS) {
      this.skipped++;
      return false;
    }
    const id = inodeOf(mount.path + path);
    if (id === undefined) return false;
    const workload = workloadAt(mount, path, id);
    const node: Node = { mount, path, depth, children: new Set(), workload, watcher: undefined };
    const key = `${mount.path}\0${path}`;
    this.#nodes.set(key, node);
    if (workload?.kind !== 'container') this.#watch(node, key);
    return true;
  }

  #watch(node: Node, key: string): void {
    if (!this.#isWatching || this.#watches >= MAX_WATCHES) return;
    try {
      // `rename` is a directory made or removed; writes to the group's files are `change`.
      node.watcher = watch(node.mount.path + node.path, { persistent: false }, (type) => {
        if (type === 'rename') this.#touch(key);
      });
      node.watcher.on('error', () => {}); // the rescan stays
      this.#watches++;
    } catch {
      // no watch to be had (fs.inotify.max_user_watches): the rescan stays
    }
  }

  #remove(key: string): boolean {
    const node = this.#nodes.get(key);
    if (node === undefined) return false;
    for (const child of node.children) this.#remove(child);
    if (node.watcher !== undefined) {
      node.watcher.close();
      this.#watches--;
    }
    this.#nodes.delete(key);
    const above = node.path.slice(0, node.path.lastIndexOf('/')) || '/';
    this.#nodes.get(`${node.mount.path}\0${above}`)?.children.delete(key);
    return true;
  }
}

/** What the last component of a path is the group of. */
export function workloadAt(mount: CgroupMount, path: string, id: bigint): WorkloadGroup | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const container = containerOf(path);
  if (container !== undefined) {
    if (containerOf(path.slice(0, path.lastIndexOf('/'))) !== undefined) return undefined;
    return { path, mount, id, kind: 'container', containerId: container.id, podUid: container.podUid };
  }
  const podUid = podUidOf(name);
  if (podUid !== undefined) return { path, mount, id, kind: 'pod', containerId: undefined, podUid };
  if (PODS.test(name)) return { path, mount, id, kind: 'pods', containerId: undefined, podUid: undefined };
  return undefined;
}

function directoriesIn(path: string): string[] | undefined {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch {
    return undefined; // gone
  }
}
