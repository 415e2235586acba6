/**
 * Where the agent may write and what it may trust: a path that no other user can bend. Every directory from / on belongs to root
 * or to the agent's user, and no one else can write to it; symbolic links on the way are resolved and each step is judged.
 * Such a path stays what it was when it was judged (Viega and McGraw, "trustworthy directories"; sshd's StrictModes does the same),
 * so what follows may go by name. In a directory with the sticky bit (/tmp) others can make files, but not replace ours.
 */
import { accessSync, constants, lstatSync, mkdirSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { UserError } from './errors.ts';

/** The kernel follows as many (path_resolution(7)). */
const MAX_LINKS = 40;
const STICKY = 0o1000;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
/** Our own descriptors: whoever started the agent gave them to it. */
const OWN_DESCRIPTORS = [`/proc/${process.pid}/fd`, '/proc/self/fd'];

/** A file's place. Nothing needs to be there yet. */
export interface Place {
  /** Absolute, without symbolic links. */
  readonly directory: string;
  readonly name: string;
  readonly path: string;
  /** What is there (lstat); undefined: nothing. */
  readonly stat: Stats | undefined;
  /** Others can make files in the directory, but not replace ours. */
  readonly shared: boolean;
  /** The path that was judged is a symbolic link. */
  readonly linked: boolean;
  /** One of our own descriptors (/dev/stdout). */
  readonly inherited: boolean;
}

/** @throws UserError: another user can bend the path, with what to do; or the system's error */
export function placeOf(path: string): Place {
  return walk(path, { mode: undefined, isDirectory: false });
}

/**
 * A directory that belongs to the agent or to root and that no one else can make files in.
 * @param mode makes what is missing, with this mode; undefined: it has to be there
 * @returns its path without symbolic links
 * @throws UserError or the system's error
 */
export function safeDirectory(path: string, mode?: number): string {
  const place = walk(path, { mode, isDirectory: true });
  if (place.shared) throw writable(place.path, lstatSync(place.path));
  return place.path;
}

/** Root, or who the agent is. */
export function isTrusted(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/** Who else can write to it; undefined: no one. A read-only mount (a ConfigMap, mode 0777) lets no one. */
export function otherWriters(path: string, { mode, gid }: Stats): string | undefined {
  const writers =
    (mode & OTHERS_WRITE) !== 0
      ? 'everyone'
      : (mode & GROUP_WRITES) !== 0 && !isTrustedGroup(gid)
        ? `group ${gid}`
        : undefined;
  return writers === undefined || isReadOnly(path) ? undefined : writers;
}

/** Root's, or the private group of the agent's user, which has his number (useradd(8), USERGROUPS_ENAB). */
function isTrustedGroup(gid: number): boolean {
  return gid === 0 || (gid === process.getegid?.() && gid === process.geteuid?.());
}

function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

interface Wanted {
  readonly mode: number | undefined;
  readonly isDirectory: boolean;
}

function walk(path: string, { mode, isDirectory }: Wanted): Place {
  const pending = steps(isAbsolute(path) ? path : join(process.cwd(), path), path);
  let directory = '/';
  let shared = judge(directory, lstatSync(directory));
  let links = 0;
  let linked = false;
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === '..') {
      directory = dirname(directory);
      shared = judge(directory, lstatSync(directory));
      continue;
    }
    const next = join(directory, name);
    const isLast = pending.length === 0;
    const stat = lstatSync(next, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() === true) {
      linked ||= isLast;
      if (OWN_DESCRIPTORS.includes(directory))
        return { directory, name, path: next, stat, shared: false, linked, inherited: true };
      if (!isTrusted(stat.uid)) throw foreign('the symbolic link', next, stat.uid);
      if (++links > MAX_LINKS) throw systemError('ELOOP', 'too many symbolic links encountered', path);
      const target = readlinkSync(next);
      if (isAbsolute(target)) {
        directory = '/';
        shared = false;
      }
      pending.unshift(...steps(target, target));
      continue;
    }
    if (isLast && !isDirectory)
      return { directory, name, path: next, stat, shared, linked, inherited: false };
    if (stat === undefined && mode !== undefined) {
      makeDirectory(next, mode);
      pending.unshift(name);
      continue;
    }
    if (stat === undefined) throw systemError('ENOENT', 'no such file or directory', path);
    if (!stat.isDirectory()) throw systemError('ENOTDIR', 'not a directory', path);
    shared = judge(next, stat);
    directory = next;
  }
  if (!isDirectory) throw systemError('EISDIR', 'illegal operation on a directory', path);
  return { directory, name: '.', path: directory, stat: undefined, shared, linked, inherited: false };
}

/** As node:fs words it. */
export function systemError(code: string, meaning: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${meaning}, open '${path}'`), { code });
}

/** The names of a path; `..` is kept, it goes by where a link leads. */
function steps(path: string, given: string): string[] {
  if (given.includes('\0')) throw new Error('the path holds a zero byte');
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** @returns whether others can make files in it @throws UserError: they can replace ours */
function judge(path: string, stat: Stats): boolean {
  if (!isTrusted(stat.uid)) throw foreign('the directory', path, stat.uid);
  const isShared = otherWriters(path, stat) !== undefined;
  if (isShared && (stat.mode & STICKY) === 0) throw writable(path, stat);
  return isShared;
}

function foreign(what: string, path: string, uid: number): UserError {
  const own = process.geteuid?.() ?? 0;
  const owners = own === 0 ? 'root' : `root or to user ${own}, who the agent is`;
  return new UserError(`${what} ${path} belongs to user ${uid}, who could put another in its place`, {
    hint: `name a path whose directories all belong to ${owners}`,
  });
}

function writable(path: string, stat: Stats): UserError {
  const writers = otherWriters(path, stat) ?? 'everyone';
  const remedy =
    writers === 'everyone'
      ? `chmod o-w ${path}, or name a directory that only the agent's user can write to`
      : `chmod g-w ${path}; a Kubernetes volume: leave fsGroup out, or name a directory of the node (hostPath)`;
  return new UserError(`the directory ${path} can be written to by ${writers}`, { hint: remedy });
}
