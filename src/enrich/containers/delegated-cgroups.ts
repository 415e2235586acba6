/**
 * Which cgroups a user may make for himself: those below a directory that is not root's (cgroups(7), delegation). They have one
 * share of every bound together (lib/fairness.ts), else whoever makes a thousand of them has a thousand shares.
 */
import { existsSync, statSync } from 'node:fs';
import type { RawProcess } from '../../model.ts';

/** Where version 2 is mounted beside version 1 (systemd(1), hybrid). */
const HYBRID = '/sys/fs/cgroup/unified';
const MAX_DEPTH = 32;
const MAX_REMEMBERED = 4096;

export class DelegatedCgroups {
  readonly #mount: string;
  /** By cgroup id; 0n: not delegated. */
  readonly #roots = new Map<bigint, bigint>();

  /** @param mount of the cgroup hierarchy, version 2 */
  constructor(mount = existsSync(HYBRID) ? HYBRID : '/sys/fs/cgroup') {
    this.#mount = mount;
  }

  /** Id of the topmost delegated cgroup that it is in; undefined: none, or it cannot be seen. */
  rootOf({ owner, cgroupPath, cgroupVersion }: RawProcess): bigint | undefined {
    if (cgroupVersion !== 2 || cgroupPath.length < 2) return undefined;
    const known = this.#roots.get(owner.cgroupId);
    const root = known ?? this.#find(cgroupPath);
    if (known === undefined) {
      if (this.#roots.size >= MAX_REMEMBERED) this.#roots.clear();
      this.#roots.set(owner.cgroupId, root);
    }
    return root === 0n ? undefined : root;
  }

  #find(cgroupPath: string): bigint {
    let directory = this.#mount;
    for (const part of cgroupPath.split('/', MAX_DEPTH)) {
      if (part === '' || part === '.') continue;
      if (part === '..') return 0n;
      directory += `/${part}`;
      const found = statSync(directory, { bigint: true, throwIfNoEntry: false });
      if (found === undefined) return 0n;
      // On 64-bit machines the inode of a cgroup's directory is its id.
      if (found.uid !== 0n) return found.ino;
    }
    return 0n;
  }
}
