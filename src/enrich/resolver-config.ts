/**
 * resolv.conf as the processes of a mount namespace see it: name servers, search list, ndots. Read when a namespace is
 * first seen, and again after a while; what is read is someone else's file.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  statSync,
} from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { BoundedMap } from '../lib/bounded-map.ts';
import type { Owner } from '../model.ts';
import { readFile } from './proc.ts';

export interface ResolverConfig {
  /** Addresses of `nameserver` lines as presented by the file, zone index removed; old ones stay for one more reading. */
  readonly servers: readonly string[];
  /** Lower case, no trailing dot, in order. */
  readonly search: readonly string[];
  readonly ndots: number;
}

/** Namespaces known at once. */
const MOST_NAMESPACES = 1024;
/** Read again at the next use after so many sweeps (of 10 s). */
const FRESH_SWEEPS = 3;
/** A namespace whose file could not be read is tried again with another process so many times between sweeps. */
const MOST_FAILURES = 8;
const FILE_BYTES = 16 * 1024;
/** MAXNS and the old MAXDNSRCH are 3 and 6; glibc has no bound on the search list since 2.26, Kubernetes allows 32. */
const MOST_SERVERS = 16;
const MOST_SEARCH = 32;
/** RES_MAXNDOTS of glibc (resolv/resolv-internal.h). */
const MOST_NDOTS = 15;
const MOST_LINKS = 16;
/** A read here could wait for a program of the container's choice, or for a server. */
const FOREIGN_FILE_SYSTEM = /^(?:fuse|nfs|9p|cifs|smb|ceph|virtiofs|autofs)/;
const MOUNTINFO_BYTES = 512 * 1024;

/** A prime below 2^16: with the 32 bits of a namespace's number it stays exact. */
const PLACES = 65_521;

interface Entry {
  config: ResolverConfig | undefined;
  read: number;
  failures: number;
  /** Sweep in which it was read again on request. */
  again?: number;
}

export class ResolverConfigs {
  readonly #procRoot: string;
  readonly #entries = new BoundedMap<number, Entry>(MOST_NAMESPACES);
  /** Of init and of this program, whose namespaces outlive the agent: other processes there are often gone before they can be looked at. */
  readonly #lasting = new Map<number, ResolverConfig>();
  #sweeps = 0;

  constructor(procRoot = '/proc') {
    this.#procRoot = procRoot;
    for (const pid of ['self', '1']) {
      const namespace = mountNamespaceOf(`${procRoot}/${pid}`);
      const config = namespace === undefined ? undefined : readConfig(`${procRoot}/${pid}`);
      if (namespace !== undefined && config !== undefined) this.#lasting.set(namespace, config);
    }
  }

  /** undefined: not known (no namespace, the process is gone, no such file). */
  of(owner: Owner): ResolverConfig | undefined {
    const key = keyOf(owner);
    const entry = this.#entries.get(key);
    if (entry !== undefined && this.#sweeps - entry.read < FRESH_SWEEPS) {
      if (entry.config !== undefined || entry.failures >= MOST_FAILURES) return entry.config;
    }
    return owner.mountNamespace === 0 ? undefined : this.#read(key, owner, entry);
  }

  /** Reads again, once between sweeps at most: for when what is known does not fit what is seen. */
  again(owner: Owner): ResolverConfig | undefined {
    const key = keyOf(owner);
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.again === this.#sweeps) return entry?.config;
    const config = this.#read(key, owner, entry);
    const now = this.#entries.get(key);
    if (now !== undefined) now.again = this.#sweeps;
    return config;
  }

  /** Call it every 10 s. */
  sweep(): void {
    this.#sweeps++;
  }

  #read(key: number, owner: Owner, before: Entry | undefined): ResolverConfig | undefined {
    const found = this.#readAny([owner.pid, owner.parentPid], owner.mountNamespace);
    const failures = found === undefined ? (before?.failures ?? 0) + 1 : 0;
    const known = before?.config ?? this.#lasting.get(owner.mountNamespace);
    const config = found === undefined ? known : merged(found, before?.config);
    this.#entries.set(key, { config, read: this.#sweeps, failures });
    return config;
  }

  /** Any process of the namespace will do, be it one that took over the pid: the parent of one that is gone already is often there. */
  #readAny(pids: readonly number[], mountNamespace: number): ResolverConfig | undefined {
    for (const pid of pids) {
      const directory = `${this.#procRoot}/${pid}`;
      if (pid === 0 || mountNamespaceOf(directory) !== mountNamespace) continue;
      const config = readConfig(directory);
      if (config !== undefined) return config;
    }
    return undefined;
  }
}

/**
 * The kernel gives the number of a namespace that is gone to the next one (fs/proc/generic.c, proc_alloc_inum takes the lowest), so
 * a container would be taken for the one before it. Its cgroup and network namespace tell them apart.
 */
function keyOf({ mountNamespace, cgroupId, networkNamespace }: Owner): number {
  return mountNamespace * PLACES + ((Number(cgroupId) + networkNamespace * 31) % PLACES);
}

/** A resolver that runs reads the file when it pleases: servers of the last version count once more. */
function merged(now: ResolverConfig, before: ResolverConfig | undefined): ResolverConfig {
  if (before === undefined || before.servers.every((server) => now.servers.includes(server))) return now;
  return { ...now, servers: [...new Set([...now.servers, ...before.servers])].slice(0, 2 * MOST_SERVERS) };
}

function mountNamespaceOf(directory: string): number | undefined {
  try {
    return Number(statSync(`${directory}/ns/mnt`, { bigint: true }).ino);
  } catch {
    return undefined;
  }
}

function readConfig(directory: string): ResolverConfig | undefined {
  const path = pathWithin(`${directory}/root`, '/etc/resolv.conf', directory);
  const text = path === undefined ? undefined : regularFile(path);
  return text === undefined ? undefined : parseResolvConf(text);
}

/**
 * The file behind `path` under another root. The kernel would follow an absolute link from *our* root
 * (path_resolution(7)), so links are followed here. undefined: there is none, or it lies on a file system that may hang.
 */
function pathWithin(root: string, path: string, directory: string): string | undefined {
  const foreign = foreignMounts(directory);
  const rest = path.split('/').reverse();
  const walked: string[] = [];
  for (let links = 0; rest.length > 0; ) {
    const part = rest.pop() ?? '';
    if (part === '' || part === '.') continue;
    if (part === '..') {
      walked.pop();
      continue;
    }
    const inside = `/${[...walked, part].join('/')}`;
    if (foreign.has('/') || foreign.has(inside)) return undefined;
    const link = linkTarget(`${root}${inside}`);
    if (link === undefined) {
      walked.push(part);
      continue;
    }
    if (++links > MOST_LINKS || link === '') return undefined;
    if (link.startsWith('/')) walked.length = 0;
    rest.push(...link.split('/').reverse());
  }
  return `${root}/${walked.join('/')}`;
}

/** undefined: not a link. */
function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path, 'utf8') : undefined;
  } catch {
    return undefined;
  }
}

/** Mount points of a process whose file system may answer late or never (proc(5), /proc/PID/mountinfo). */
function foreignMounts(directory: string): ReadonlySet<string> {
  const found = new Set<string>();
  const text = readFile(`${directory}/mountinfo`, MOUNTINFO_BYTES)?.toString('latin1') ?? '';
  for (const line of text.split('\n')) {
    const at = line.indexOf(' - ');
    if (at >= 0 && FOREIGN_FILE_SYSTEM.test(line.slice(at + 3))) found.add(line.split(' ')[4] ?? '');
  }
  return found;
}

function regularFile(path: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    if (!fstatSync(fd).isFile()) return undefined;
    const bytes = Buffer.alloc(FILE_BYTES);
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, FILE_BYTES, 0));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** resolv.conf(5): the last of `search` and `domain` holds; a line that begins otherwise is none of ours. */
export function parseResolvConf(text: string): ResolverConfig {
  const servers: string[] = [];
  let search: string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [word = '', ...values] = line.replace(/[#;].*$/, '').split(/[ \t]+/);
    if (word === 'nameserver' && servers.length < MOST_SERVERS) {
      const address = canonical((values[0] ?? '').replace(/%.*$/, ''));
      if (address !== undefined) servers.push(address);
    } else if (word === 'search' || word === 'domain') {
      const listed = values.slice(0, word === 'domain' ? 1 : MOST_SEARCH);
      search = listed.map((name) => name.toLowerCase().replace(/\.$/, '')).filter((name) => name !== '');
    } else if (word === 'options') {
      for (const option of values) {
        const match = /^ndots:(\d{1,3})$/.exec(option);
        if (match !== null) ndots = Math.min(Number(match[1]), MOST_NDOTS);
      }
    }
  }
  return { servers, search, ndots };
}

/** As addresses of messages are shown (RFC 5952). */
function canonical(address: string): string | undefined {
  if (isIPv4(address)) return address;
  return isIPv6(address) ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : undefined;
}
