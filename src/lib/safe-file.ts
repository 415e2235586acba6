/** Files that the agent writes or trusts, at places that no other user can bend (safe-path.ts). */
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { UserError } from './errors.ts';
import { isTrusted, otherWriters, type Place, placeOf, systemError } from './safe-path.ts';

const { O_RDWR, O_RDONLY, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
/** Two programs that make and remove the same file in turn. */
const MAX_ATTEMPTS = 4;

export interface OpenFile {
  readonly fd: number;
  readonly place: Place;
  /** It was not there before. */
  readonly created: boolean;
}

/**
 * Opens for reading and appending: a new file of that mode, or what is there already if it is a regular file or a character
 * device. In a shared directory (/tmp) what is there has to be the agent's own. Its mode and owner are left as they are.
 * @throws UserError with what to do, or the system's error
 */
export function openToAppend(path: string, mode: number): OpenFile {
  for (let attempt = 1; ; attempt++) {
    const place = placeOf(path);
    try {
      if (place.stat === undefined) return { fd: create(place, mode), place, created: true };
      return { fd: openExisting(place), place, created: false };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const isRace = code === 'EEXIST' || (code === 'ENOENT' && place.stat !== undefined);
      if (!isRace || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/** What `replaceText` would say now. */
export function assertWritable(path: string): void {
  const place = placeOf(path);
  if (place.stat === undefined) accessSync(place.directory, constants.W_OK);
  else if (!place.inherited) closeSync(openExisting(place));
}

/** The file holds this text, and nothing of before. @throws UserError with what to do, or the system's error */
export function replaceText(path: string, text: string, mode = 0o644): void {
  const place = placeOf(path);
  if (place.inherited) {
    writeFileSync(place.path, text); // a pipe perhaps
    return;
  }
  const { fd } = openToAppend(path, mode);
  try {
    if (fstatSync(fd).isFile()) ftruncateSync(fd);
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

/** The bits of its mode and the owner that another file has; an owner that this user may not set stays as it is. */
export function resemble(file: OpenFile, { mode, uid, gid }: Stats): void {
  if (!file.created) return; // somebody else made it, and decides who reads it
  fchmodSync(file.fd, mode & 0o666);
  const is = fstatSync(file.fd);
  if (is.uid === uid && is.gid === gid) return;
  try {
    fchownSync(file.fd, uid, gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
}

/**
 * The bytes of a file that decides what the agent does: root's or the agent's own, and no one else can write to it.
 * @throws UserError with what to do, or the system's error
 */
export function readTrusted(path: string, maxBytes: number): Buffer {
  const fd = openSync(trustedFile(path).path, O_RDONLY | O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error('is not a file');
    const { size } = stat;
    if (size > maxBytes) throw new Error(`is larger than ${maxBytes} bytes`);
    const bytes = Buffer.alloc(size);
    let length = 0;
    for (let got = 1; got > 0 && length < size; length += got)
      got = readSync(fd, bytes, length, size - length, length);
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

/** As readTrusted, without reading: for what reads by itself. The place stays the same, no one else can change it. */
export function trustedFile(path: string): Place {
  const place = placeOf(path);
  if (place.inherited) return place;
  const { stat } = place;
  if (stat === undefined) throw systemError('ENOENT', 'no such file or directory', path);
  if (!stat.isFile()) throw new Error('is not a file');
  if (!isTrusted(stat.uid)) {
    throw new UserError(`it belongs to user ${stat.uid}, neither root nor the agent`, {
      hint: `chown root ${place.path}, if what it says is meant for the agent`,
    });
  }
  const writers = otherWriters(place.path, stat);
  if (writers !== undefined) throw new UserError(`${writers} can write to it: chmod go-w ${place.path}`);
  return place;
}

/** Never through a link, never what is there already. */
function create(place: Place, mode: number): number {
  return openSync(place.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND, mode);
}

function openExisting(place: Place): number {
  if (place.inherited) return checked(openSync(place.path, O_RDWR | O_APPEND), undefined);
  const stat = place.stat as Stats;
  // Opening a FIFO would wait for its reader, and hold the whole program.
  if (!stat.isFile() && !stat.isCharacterDevice()) throw notRegular();
  const isOwn = stat.isFile() && isTrusted(stat.uid) && stat.nlink === 1;
  if (place.shared && !isOwn) {
    throw new UserError(
      `others can make files in ${place.directory}, and what is there is not the agent's own`,
      {
        hint: 'remove it, or name a path in a directory that only the agent can write to',
      },
    );
  }
  const flags = O_RDWR | O_APPEND | O_NOFOLLOW | (stat.isFile() ? O_NONBLOCK : 0);
  return checked(openSync(place.path, flags), stat);
}

/** @param expected what has to be open; undefined: any regular file or character device */
function checked(fd: number, expected: Stats | undefined): number {
  const is = fstatSync(fd);
  const isSame = expected === undefined || (is.ino === expected.ino && is.dev === expected.dev);
  if (isSame && (is.isFile() || is.isCharacterDevice())) return fd;
  closeSync(fd);
  throw isSame ? notRegular() : new Error('another file took its place');
}

function notRegular(): Error {
  return new Error('not a regular file');
}
