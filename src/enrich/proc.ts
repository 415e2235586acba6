/**
 * /proc of one process, sure to be that process: the directory is opened once and everything is read through it, so a
 * pid that is reused meanwhile gives errors, never another process's data (procfs pins struct pid).
 */
import { closeSync, constants, openSync, readlinkSync, readSync, statSync } from 'node:fs';

/** Ticks of a second in /proc: USER_HZ, 100 on every architecture that Node runs on (include/uapi/asm-generic/param.h). */
const NS_PER_TICK = 10_000_000n;
const STAT_BYTES = 4096;
const MOST_POSITION = (1n << 63n) - (1n << 32n);

/** A process's own directory, valid inside the callback it is given to. */
export interface ProcDirectory {
  /** At most `limit` bytes; undefined: not readable. */
  read(file: string, limit: number): Buffer | undefined;
  /** `length` bytes from `position`; undefined: not all readable. */
  readAt(file: string, position: bigint, length: number): Buffer | undefined;
  /** Target of a symbolic link; undefined: not readable. */
  link(file: string): string | undefined;
  /** Inode and link count of what a file or link names; undefined: not reachable. */
  inode(file: string): { readonly inode: bigint; readonly links: bigint } | undefined;
  readonly stat: ProcStat;
}

export interface ProcStat {
  readonly parentPid: number;
  readonly tty: number;
  /** Ticks since boot. */
  readonly startTicks: bigint;
}

/**
 * Reads from `root`/`pid` if the process there is the one that started at `startTime` (ns of CLOCK_BOOTTIME). undefined:
 * it is gone, another has its pid, or /proc cannot be read. Two processes with the same pid within one tick (10 ms)
 * cannot be told apart: that takes a pid space run through in that time.
 */
export function readProcess<T>(
  root: string,
  pid: number,
  startTime: bigint,
  read: (directory: ProcDirectory) => T,
): T | undefined {
  let fd: number;
  try {
    fd = openSync(`${root}/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return undefined;
  }
  try {
    const path = `/proc/self/fd/${fd}`;
    const stat = parseStat(readFile(`${path}/stat`, STAT_BYTES));
    if (stat === undefined || stat.startTicks !== startTime / NS_PER_TICK) return undefined;
    return read(directory(path, stat));
  } finally {
    closeSync(fd);
  }
}

/** Whether the process still exists. */
export function isAlive(root: string, pid: number, startTime: bigint): boolean {
  return parseStat(readFile(`${root}/${pid}/stat`, STAT_BYTES))?.startTicks === startTime / NS_PER_TICK;
}

/** Fields 4, 7 and 22 of /proc/PID/stat (proc(5)). The name, field 2, may hold anything: the last `)` ends it. */
export function parseStat(bytes: Buffer | undefined): ProcStat | undefined {
  if (bytes === undefined) return undefined;
  const text = bytes.toString('latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [parentPid, tty, startTicks] = [fields[1], fields[4], fields[19]];
  if (parentPid === undefined || tty === undefined || startTicks === undefined) return undefined;
  if (!/^-?\d+$/.test(parentPid) || !/^-?\d+$/.test(tty) || !/^\d+$/.test(startTicks)) return undefined;
  return { parentPid: Number(parentPid), tty: Number(tty), startTicks: BigInt(startTicks) };
}

/** At most `limit` bytes of a file whose size is not known before; undefined: not readable. */
export function readFile(path: string, limit: number): Buffer | undefined {
  let fd: number;
  try {
    // A FIFO must not hold up the program; procfs and regular files do not mind.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    let bytes = Buffer.allocUnsafe(Math.min(limit, 4096));
    let length = 0;
    for (;;) {
      const got = readSync(fd, bytes, length, bytes.length - length, null);
      length += got;
      if (got === 0 || length === limit) return bytes.subarray(0, length);
      if (length === bytes.length) {
        const larger = Buffer.allocUnsafe(Math.min(limit, bytes.length * 4));
        bytes.copy(larger);
        bytes = larger;
      }
    }
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

function readPart(path: string, position: bigint, length: number): Buffer | undefined {
  // A position is a signed 64-bit number (pread(2)); addresses of user space are below.
  if (position > MOST_POSITION) return undefined;
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const bytes = Buffer.allocUnsafe(length);
      let got = 0;
      while (got < length) {
        const more = readSync(fd, bytes, got, length - got, position + BigInt(got));
        if (more === 0) return undefined;
        got += more;
      }
      return bytes;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function directory(path: string, stat: ProcStat): ProcDirectory {
  return {
    stat,
    read: (file, limit) => readFile(`${path}/${file}`, limit),
    readAt: (file, position, length) => readPart(`${path}/${file}`, position, length),
    link: (file) => {
      try {
        return readlinkSync(`${path}/${file}`, 'utf8');
      } catch {
        return undefined;
      }
    },
    inode: (file) => {
      try {
        const { ino, nlink } = statSync(`${path}/${file}`, { bigint: true });
        return { inode: ino, links: nlink };
      } catch {
        return undefined;
      }
    },
  };
}
