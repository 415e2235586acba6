/**
 * Containers of rootless Podman. What they are called is the word of the user they run as, about his own processes: he may call them as he
 * likes, so it is told as unverified, and only of processes in a part of the control group tree that is his.
 *
 * His socket is a stranger's and is not opened. Podman puts conmon(8) above each container, `conmon -c ID -b BUNDLE -n NAME ...`: the
 * inspector reads its arguments, and the list of containers that stands beside the bundle (containers/storage, store.go).
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { LRUCache } from 'lru-cache';
import type { Inspector } from '../../inspector/inspector.ts';
import type { Read, ReadResult } from '../../inspector/protocol.ts';
import type { Owner } from '../../model.ts';
import { objectOf } from '../runtimes/docker-metadata.ts';
import { imageNames } from '../runtimes/image-reference.ts';
import { text } from '../runtimes/told-text.ts';
import type { Given } from './cgroup-claims.ts';

/** Users, and containers of one. The least recently used are forgotten. */
const MAX_USERS = 64;
const MAX_CONTAINERS = 256;
/** Containers of one user that are asked about at once: he can make up any number of them. Those beyond it have no name. */
const MAX_ASKED = 32;
/** Generations above a process that are looked through for its conmon. */
const MAX_ANCESTORS = 6;
/** Processes of its control group that are asked about instead. */
const MAX_MEMBERS = 2;
const LIST_CHARACTERS = 256;
const STATUS_BYTES = 4096;
const ARGS_BYTES = 8192;
const LIST_BYTES = 64 * 1024;
/** `--rm` containers of a transient store stand in the second. */
const LISTS = ['containers.json', 'volatile-containers.json'];
/** What could not be told is asked for again after this time. */
const UNKNOWN_MS = 2000;

export interface UserContainer {
  readonly name: string;
  readonly imageName: string | undefined;
  readonly imageTags: readonly string[];
}

/** Of one user. */
interface Told {
  readonly containers: LRUCache<string, Known>;
  asked: number;
}

interface Known {
  readonly container: UserContainer | undefined;
  readonly asking: Promise<void> | undefined;
  /** performance.now() */
  readonly at: number;
}

export class UserContainers {
  readonly #inspector: Pick<Inspector, 'inspect'>;
  readonly #users = new LRUCache<number, Told>({ max: MAX_USERS });

  constructor(inspector: Pick<Inspector, 'inspect'>) {
    this.#inspector = inspector;
  }

  /** @param user who owns the control group, @param id of the container as its path has it. undefined: not known, or not yet */
  find(user: number, id: string): UserContainer | undefined {
    return this.#users.get(user)?.containers.get(id)?.container;
  }

  /** Resolves when what can be known is; undefined: nothing is asked for. */
  ask(process: Owner, given: Given, id: string): Promise<void> | undefined {
    const { user } = given;
    let told = this.#users.get(user);
    if (told === undefined) {
      told = { containers: new LRUCache({ max: MAX_CONTAINERS }), asked: 0 };
      this.#users.set(user, told);
    }
    const before = told.containers.get(id);
    if (before?.asking !== undefined) return before.asking;
    if (before?.container !== undefined || told.asked >= MAX_ASKED) return undefined;
    if (before !== undefined && performance.now() - before.at < UNKNOWN_MS) return undefined;
    const asking = this.#tell(told, process, given, id);
    told.containers.set(id, { container: undefined, asking, at: performance.now() });
    return asking;
  }

  async #tell(told: Told, process: Owner, given: Given, id: string): Promise<void> {
    told.asked++;
    const container = await this.#read(process, given, id).catch(() => undefined);
    told.asked--;
    told.containers.set(id, { container, asking: undefined, at: performance.now() });
  }

  /** By the process that asked or, where that and its parents have gone, by others in its group. */
  async #read(process: Owner, { user, group }: Given, id: string): Promise<UserContainer | undefined> {
    let found = await this.#above(process, process.parentPid, user, id);
    // Of `podman exec` the monitor may end between two questions.
    for (const pid of found?.imageName === undefined ? membersOf(group) : []) {
      const other = await this.#above(process, pid, user, id);
      found = other?.imageName === undefined ? (found ?? other) : other;
      if (found?.imageName !== undefined) break;
    }
    return found;
  }

  async #above(process: Owner, from: number, user: number, id: string): Promise<UserContainer | undefined> {
    let pid = from;
    for (let i = 0; i < MAX_ANCESTORS && pid > 1; i++) {
      const [status, args] = await this.#of(process, pid, [
        { kind: 'file', name: 'status', limit: STATUS_BYTES },
        { kind: 'file', name: 'cmdline', limit: ARGS_BYTES },
      ]);
      const monitor = conmonOf(args?.bytes, id);
      if (monitor !== undefined) {
        if (uidOf(status?.bytes) !== user) return undefined;
        return {
          name: monitor.name,
          ...imageNames(await this.#image(process, pid, monitor.storage, id), [], []),
        };
      }
      pid = parentOf(status?.bytes);
    }
    return undefined;
  }

  /** What the container was made from; nothing where the list cannot be read, or is long. */
  async #image(process: Owner, pid: number, storage: string, id: string): Promise<readonly string[]> {
    if (storage === '') return [];
    const reads = LISTS.map(
      (name): Read => ({ kind: 'rootFile', path: `${storage}/${name}`, limit: LIST_BYTES }),
    );
    const lists = await this.#of(process, pid, reads);
    return lists.flatMap(({ bytes }) => imageIn(bytes, id)).slice(0, 1);
  }

  /** Counted against the process that it is asked for. */
  async #of({ cgroupId, uid }: Owner, pid: number, reads: readonly Read[]): Promise<readonly ReadResult[]> {
    return (await this.#inspector.inspect({ pid, startTime: 0n, cgroupId, uid }, reads)) ?? [];
  }
}

/** Some processes of a control group. cgroupfs is the kernel's: reading never blocks. */
function membersOf(group: string): readonly number[] {
  let file: number | undefined;
  try {
    file = openSync(`${group}/cgroup.procs`, 'r');
    const bytes = Buffer.alloc(LIST_CHARACTERS);
    const length = readSync(file, bytes);
    const lines = bytes.toString('latin1', 0, length).split('\n').slice(0, -1);
    return lines.slice(0, MAX_MEMBERS).map(Number);
  } catch {
    return []; // gone
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * Name and storage folder, if these are the arguments of a conmon of this container: of its first process, or of one that `podman exec` put
 * in it, whose `-u` and bundle are the session's.
 */
export function conmonOf(
  cmdline: Buffer | undefined,
  id: string,
): { readonly name: string; readonly storage: string } | undefined {
  const words = (cmdline?.toString('utf8') ?? '').split('\0');
  if (words[0]?.slice(words[0].lastIndexOf('/') + 1) !== 'conmon') return undefined;
  const after = (flag: string) => (words.includes(flag, 1) ? (words[words.indexOf(flag, 1) + 1] ?? '') : '');
  const name = text(after('-n'));
  if (after('-c') !== id || name === '') return undefined;
  const bundle = after('-b');
  const end = bundle.indexOf(`/${id}/userdata`);
  return { name, storage: bundle.startsWith('/') && end > 0 ? bundle.slice(0, end) : '' };
}

const numberAfter = (status: Buffer | undefined, field: string): number =>
  Number(new RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(status?.toString('latin1') ?? '')?.[1] ?? Number.NaN);

const uidOf = (status: Buffer | undefined): number => numberAfter(status, 'Uid');
const parentOf = (status: Buffer | undefined): number => numberAfter(status, 'PPid') || 0;

/** `[{id, names, image, metadata: '{"image-name": ...}'}]` */
export function imageIn(list: Buffer | undefined, id: string): string[] {
  const containers = parsed(list?.toString('utf8') ?? '');
  const found: unknown = Array.isArray(containers)
    ? containers.find((each: unknown) => objectOf(each)['id'] === id)
    : undefined;
  const { metadata } = objectOf(found);
  const image = text(objectOf(parsed(typeof metadata === 'string' ? metadata : ''))['image-name']);
  return image === '' ? [] : [image];
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}
