/**
 * resolv.conf as the processes of a mount namespace see it: name servers, search list, ndots. Read when a namespace is
 * first seen, and again after a while; what is read is someone else's file.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { Inspector, Target } from '../../inspector/inspector.ts';
import { inodeOf, type Read } from '../../inspector/protocol.ts';
import { BoundedMap } from '../../lib/bounded-map.ts';
import type { Owner } from '../../model.ts';

export interface ResolverConfig {
  /** Addresses of `nameserver` lines as presented by the file, zone index removed; old ones stay for one more reading. */
  readonly servers: readonly string[];
  /** Lower case, no trailing dot, in order. */
  readonly search: readonly string[];
  readonly ndots: number;
}

/** Namespaces known at once. */
const MAX_NAMESPACES = 1024;
/** Read again at the next use after so many sweeps (of 10 s). */
const FRESH_SWEEPS = 3;
/** A namespace whose file could not be read is tried again with another process so many times between sweeps. */
const MAX_FAILURES = 8;
const FILE_BYTES = 16 * 1024;
/** MAXNS and the old MAXDNSRCH are 3 and 6; glibc has no bound on the search list since 2.26, Kubernetes allows 32. */
const MAX_SERVERS = 16;
const MAX_SEARCH = 32;
/** RES_MAXNDOTS of glibc (resolv/resolv-internal.h). */
const MAX_NDOTS = 15;
const NAMESPACE: Read = { kind: 'inode', name: 'ns/mnt' };
const FILE: Read = { kind: 'rootFile', path: '/etc/resolv.conf', limit: FILE_BYTES };

/** A prime below 2^16: with the 32 bits of a namespace's number it stays exact. */
const PLACES = 65_521;

interface Entry {
  config: ResolverConfig | undefined;
  read: number;
  failures: number;
  /** Sweep in which it was read again on request. */
  again?: number;
  /** Under way. */
  reading?: Promise<ResolverConfig | undefined> | undefined;
}

export class ResolverConfigs {
  readonly #inspector: Pick<Inspector, 'inspect' | 'refuses'> | undefined;
  readonly #entries = new BoundedMap<number, Entry>(MAX_NAMESPACES);
  /** Of init and of this program, whose namespaces outlive the agent: other processes there are often gone before they can be looked at. */
  readonly #lasting = new Map<number, ResolverConfig>();
  #sweeps = 0;

  /** @param inspector undefined: nothing is known of any namespace */
  constructor(inspector?: Pick<Inspector, 'inspect' | 'refuses'>) {
    this.#inspector = inspector;
  }

  /** Reads those that last. */
  async start(): Promise<void> {
    for (const pid of [process.pid, 1]) {
      const target = { pid, startTime: 0n, cgroupId: 0n, uid: 0 };
      const [namespace, file] = (await this.#inspector?.inspect(target, [NAMESPACE, FILE])) ?? [];
      const number = inodeOf(namespace)?.inode;
      if (number === undefined || file?.bytes === undefined) continue;
      this.#lasting.set(Number(number), parseResolvConf(file.bytes.toString('latin1')));
    }
  }

  /** What is known now; it is read, or read again, when it is time. undefined: not known (no namespace, the process is gone, no such file). */
  of(owner: Owner): ResolverConfig | undefined {
    const key = keyOf(owner);
    const entry = this.#entries.get(key);
    if (!this.#isFresh(entry)) void this.#read(key, owner);
    return entry?.config ?? this.#lasting.get(owner.mountNamespace);
  }

  /** Resolves when the file has been read for the first time; undefined: it has, or cannot be. */
  pending(owner: Owner): Promise<unknown> | undefined {
    const key = keyOf(owner);
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#read(key, owner);
    return entry.config === undefined ? entry.reading : undefined;
  }

  /** Reads again, once between sweeps at most: for when what is known does not fit what is seen. */
  async again(owner: Owner): Promise<ResolverConfig | undefined> {
    const key = keyOf(owner);
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.again === this.#sweeps) return (await entry?.reading) ?? entry?.config;
    entry.again = this.#sweeps;
    return this.#read(key, owner);
  }

  /** Call it every 10 s. */
  sweep(): void {
    this.#sweeps++;
  }

  #isFresh(entry: Entry | undefined): boolean {
    if (entry === undefined || this.#sweeps - entry.read >= FRESH_SWEEPS) return false;
    return entry.config !== undefined || entry.failures >= MAX_FAILURES;
  }

  /** undefined: it cannot be asked for. */
  #read(key: number, owner: Owner): Promise<ResolverConfig | undefined> | undefined {
    const before = this.#entries.get(key);
    if (before?.reading !== undefined) return before.reading;
    if (owner.mountNamespace === 0 || this.#inspector?.refuses(owner) !== false) return undefined;
    const entry: Entry = before ?? { config: undefined, read: this.#sweeps, failures: 0 };
    entry.reading = this.#readAny(owner).then((found) => {
      const known = entry.config ?? this.#lasting.get(owner.mountNamespace);
      entry.failures = found === undefined ? entry.failures + 1 : 0;
      entry.config = found === undefined ? known : merged(found, entry.config);
      entry.read = this.#sweeps;
      entry.reading = undefined;
      return entry.config;
    });
    this.#entries.set(key, entry);
    return entry.reading;
  }

  /** Any process of the namespace will do, be it one that took over the pid: the parent of one that is gone already is often there. */
  async #readAny(owner: Owner): Promise<ResolverConfig | undefined> {
    const { cgroupId, uid, mountNamespace } = owner;
    for (const pid of [owner.pid, owner.parentPid]) {
      if (pid === 0) continue;
      const target: Target = { pid, startTime: 0n, cgroupId, uid };
      const results = await this.#inspector?.inspect(target, [FILE], { mountNamespace });
      const bytes = results?.[0]?.bytes;
      if (bytes !== undefined) return parseResolvConf(bytes.toString('latin1'));
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
  return { ...now, servers: [...new Set([...now.servers, ...before.servers])].slice(0, 2 * MAX_SERVERS) };
}

/** resolv.conf(5): the last of `search` and `domain` holds; a line that begins otherwise is none of ours. */
export function parseResolvConf(text: string): ResolverConfig {
  const servers: string[] = [];
  let search: string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [word = '', ...values] = line.replace(/[#;].*$/, '').split(/[ \t]+/);
    if (word === 'nameserver' && servers.length < MAX_SERVERS) {
      const address = canonical((values[0] ?? '').replace(/%.*$/, ''));
      if (address !== undefined) servers.push(address);
    } else if (word === 'search' || word === 'domain') {
      const listed = values.slice(0, word === 'domain' ? 1 : MAX_SEARCH);
      search = listed.map((name) => name.toLowerCase().replace(/\.$/, '')).filter((name) => name !== '');
    } else if (word === 'options') {
      for (const option of values) {
        const match = /^ndots:(\d{1,3})$/.exec(option);
        if (match !== null) ndots = Math.min(Number(match[1]), MAX_NDOTS);
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
