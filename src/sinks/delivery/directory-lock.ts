/**
 * One agent to a directory (a spool, a history). Node has no flock(2), so the lock is a file that names its holder: boot, PID namespace, process id
 * and start time. A holder that is not running any more is recognised at once where its PID namespace is ours; a holder in
 * another one (agents in two containers) cannot be looked up and counts as running while it touches the file.
 */
import { randomUUID } from 'node:crypto';
import {
  linkSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../lib/errors.ts';
import { readTrusted } from '../../lib/safe-file.ts';

const TOUCH_MS = 5000;
const SILENT_MS = 30_000;
const MAX_LOCK_BYTES = 200;

/** What is locked, for people. */
export interface Locked {
  readonly what: string;
  /** Where its directory is given. */
  readonly flag: string;
}

/** @throws UserError when another agent holds the directory. @returns releases it */
export function lockDirectory(directory: string, locked: Locked): () => void {
  const path = join(directory, 'lock');
  const own = `${path}.${randomUUID()}`;
  const holder = `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${pidNamespace()} ${process.pid} ${startTime(process.pid)}`;
  writeFileSync(own, holder, { mode: 0o600, flag: 'wx' });
  try {
    // link(2) is atomic and fails where the name exists: the file is never seen half written.
    if (!linked(own, path)) {
      const other = holderOf(path);
      if (isRunning(other, holder, path)) throw inUse(directory, other, locked);
      breakLock(path, other);
      if (!linked(own, path)) throw inUse(directory, holderOf(path), locked);
    }
  } finally {
    rmSync(own, { force: true });
  }
  const touch = setInterval(() => touched(path), TOUCH_MS).unref();
  return () => {
    clearInterval(touch);
    if (holderOf(path) === holder) rmSync(path, { force: true });
  };
}

export class InUseError extends UserError {}

function inUse(directory: string, holder: string | undefined, { what, flag }: Locked): InUseError {
  const pid = holder?.split(' ')[2] ?? 'unknown';
  return new InUseError(`the ${what} ${directory} is in use by another agent (process ${pid})`, {
    hint: `give each agent a directory of its own with ${flag}`,
  });
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a dead holder's lock. One that another agent took in the meantime is put back. */
function breakLock(path: string, dead: string | undefined): void {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch {
    return; // somebody was faster
  }
  if (holderOf(aside) !== dead) linked(aside, path);
  rmSync(aside, { force: true });
}

function isRunning(other: string | undefined, own: string, path: string): boolean {
  if (other === undefined) return false;
  const [boot, namespace, pid, start] = other.split(' ');
  const [ownBoot, ownNamespace] = own.split(' ');
  if (boot !== ownBoot || pid === undefined || start === undefined) return false;
  if (namespace === ownNamespace) return startTime(Number(pid)) === start;
  return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < SILENT_MS;
}

function holderOf(path: string): string | undefined {
  try {
    return readTrusted(path, MAX_LOCK_BYTES).toString('latin1');
  } catch {
    return undefined;
  }
}

function touched(path: string): void {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // the directory was taken away: the writes say so
  }
}

function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}

/** Field 22 of /proc/PID/stat (proc(5)): clock ticks since boot; undefined if there is no such process or it has ended. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
