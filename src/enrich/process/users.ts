/**
 * Names of user ids, from the passwd file of the host: that of its first process. A uid has a name only where that file
 * is: a container, a sandbox or a chroot in a mount namespace of its own has its own.
 */
import { statSync } from 'node:fs';
import { readFile } from '../../lib/read-file.ts';
import type { Owner } from '../../model.ts';
import { inodeOf } from '../containers/cgroup-mounts.ts';
import { hostRoots } from '../host-root.ts';

/** A larger file is read up to here: its further users have no name. */
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_USERS = 65_536;
/** How often the file is looked at for a change, ms. */
const CHECK_MS = 5_000;

/**
 * A unit of the host's service manager, the unit's own group: PrivateTmp= and its kin give it a mount namespace of its own in
 * which /etc is the host's. Not so with RootDirectory= or RootImage=, which are rare.
 */
const SERVICE = /^\/system\.slice\/(?:[^/]+\.slice\/)*[^/]+\.service$/;

export interface UserNamesOptions {
  readonly path?: string;
  /** Inode of the mount namespace in which `path` is that file; undefined: not known, so nobody has a name. */
  readonly mountNamespace?: number | undefined;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** Users of other sources (LDAP, systemd-homed) have no name here: asking NSS could block, and would itself ask DNS. */
export class UserNames {
  readonly #path: string;
  readonly #mountNamespace: number | undefined;
  readonly #now: () => number;
  #names = new Map<number, string>();
  #version = '';
  #checked = Number.NEGATIVE_INFINITY;

  constructor(options: UserNamesOptions = {}) {
    this.#path = options.path ?? '/etc/passwd';
    this.#mountNamespace = options.mountNamespace;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The names of the host that the agent runs on, as its first process sees them. */
  static ofHost(procRoot = '/proc', roots = hostRoots(procRoot)): UserNames {
    for (const { pid, prefix } of roots) {
      const namespace = inodeOf(`${procRoot}/${pid}/ns/mnt`);
      if (namespace !== undefined)
        return new UserNames({ path: `${prefix}/etc/passwd`, mountNamespace: Number(namespace) });
    }
    return new UserNames();
  }

  /** undefined: not listed, or the process may have another list. */
  name(
    { uid, mountNamespace }: Pick<Owner, 'uid' | 'mountNamespace'>,
    cgroupPath: string,
  ): string | undefined {
    if (mountNamespace !== this.#mountNamespace && !SERVICE.test(cgroupPath)) return undefined;
    const now = this.#now();
    if (now - this.#checked >= CHECK_MS) {
      this.#checked = now;
      this.#refresh();
    }
    return this.#names.get(uid);
  }

  #refresh(): void {
    const version = versionOf(this.#path);
    if (version === this.#version) return;
    this.#version = version;
    this.#names = parsePasswd(readFile(this.#path, MAX_BYTES)?.toString('utf8') ?? '');
  }
}

/** Changes whenever the file does; editors and useradd rename a new file into place. */
function versionOf(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return 'none';
  }
}

/** passwd(5). Of an id listed twice the first name counts, as getpwuid has it. */
export function parsePasswd(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':', 3);
    if (name === undefined || name === '' || id === undefined || !/^\d{1,10}$/.test(id)) continue;
    const uid = Number(id);
    if (!names.has(uid) && names.size < MAX_USERS) names.set(uid, name);
  }
  return names;
}
