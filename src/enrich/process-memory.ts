/**
 * Another process's memory, read as hostile: only ranges that are mapped, and of files only those on file systems that answer
 * by themselves. Asynchronous, so that a page that does not come holds up one thread of the pool and not the agent.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { isPlainMemory, MAPS_BYTES, type Mapping, parseMaps } from './memory-map.ts';
import { isAlive } from './proc.ts';

const MOUNTS_BYTES = 1024 * 1024;
const AUXILIARY_BYTES = 4096;
const MOST_READ = 64 * 1024;
/** File systems of the kernel's own whose pages come from memory or a local disk. */
const LOCAL = new Set(
  'bcachefs btrfs erofs ext2 ext3 ext4 f2fs overlay ramfs rootfs squashfs tmpfs xfs zfs'.split(' '),
);

/** Bytes of a process's memory; undefined: not mapped, not to be read, gone. */
export interface Memory {
  read(address: bigint, length: number): Promise<Buffer | undefined>;
}

export class ProcessMemory implements Memory {
  readonly mappings: readonly Mapping[];
  /** As the kernel handed it to the program (getauxval(3)): pairs of words. */
  readonly auxiliary: Buffer;
  readonly #file: FileHandle;
  readonly #readable: readonly Mapping[];

  private constructor(
    file: FileHandle,
    mappings: readonly Mapping[],
    auxiliary: Buffer,
    local: ReadonlySet<string>,
  ) {
    this.#file = file;
    this.mappings = mappings;
    this.auxiliary = auxiliary;
    this.#readable = mappings.filter(
      (each) => isPlainMemory(each) || (each.permissions.startsWith('r') && local.has(each.device)),
    );
  }

  /** undefined: the process is gone, or reading it is not permitted. */
  static async open(root: string, pid: number, startTime: bigint): Promise<ProcessMemory | undefined> {
    const directory = `${root}/${pid}`;
    let file: FileHandle;
    try {
      file = await open(`${directory}/mem`);
    } catch {
      return undefined;
    }
    const [maps, auxiliary, mounts, hostMounts] = await Promise.all([
      readAtMost(`${directory}/maps`, MAPS_BYTES),
      readAtMost(`${directory}/auxv`, AUXILIARY_BYTES),
      readAtMost(`${directory}/mountinfo`, MOUNTS_BYTES),
      // Files of containers: their overlay shows the device of the host's file system, which they have not mounted.
      readAtMost(`${root}/1/mountinfo`, MOUNTS_BYTES),
    ]);
    // What was opened stays of this process; the other files were too if it still lives.
    if (maps === undefined || auxiliary === undefined || !isAlive(root, pid, startTime)) {
      await file.close();
      return undefined;
    }
    const local = localDevices(`${mounts ?? ''}\n${hostMounts ?? ''}`);
    return new ProcessMemory(file, parseMaps(maps.toString('latin1')), auxiliary, local);
  }

  async read(address: bigint, length: number): Promise<Buffer | undefined> {
    if (length <= 0 || length > MOST_READ || !this.#covers(address, length)) return undefined;
    try {
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await this.#file.read(bytes, 0, length, address);
      return bytesRead === length ? bytes : undefined;
    } catch {
      return undefined;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #covers(address: bigint, length: number): boolean {
    const end = address + BigInt(length);
    // Segments of one file often meet without a gap: a range may span two mappings.
    let at = address;
    for (const { start, end: until } of this.#readable) {
      if (start <= at && at < until) at = until;
      if (at >= end) return true;
    }
    return false;
  }
}

/** Devices as maps writes them, of the local file systems in one or more /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
export function localDevices(mountinfo: string): ReadonlySet<string> {
  const local = new Set<string>();
  const others = new Set<string>();
  for (const line of mountinfo.split('\n')) {
    const match = /^\d+ \d+ (\d+):(\d+) .* - (\S+) /.exec(line);
    if (match === null) continue;
    const hexadecimal = (text = '') => Number(text).toString(16).padStart(2, '0');
    (LOCAL.has(match[3] ?? '') ? local : others).add(`${hexadecimal(match[1])}:${hexadecimal(match[2])}`);
  }
  // A mount point's name may hold ` - ext4 `: what is said in two ways is not believed.
  for (const device of others) local.delete(device);
  return local;
}

async function readAtMost(path: string, limit: number): Promise<Buffer | undefined> {
  try {
    await using file = await open(path);
    const bytes = Buffer.allocUnsafe(limit);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, length, limit - length);
      length += bytesRead;
      if (bytesRead === 0 || length === limit) return Buffer.from(bytes.subarray(0, length));
    }
  } catch {
    return undefined;
  }
}
