/**
 * A Unix socket at a path. The file has mode 0600 from the moment it exists (the umask holds for bind(2)), appears at its
 * path complete (link(2) after listen(2)), and only a socket that nobody listens on is ever replaced.
 */
import { randomUUID } from 'node:crypto';
import { linkSync, lstatSync, rmSync, type Stats, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { UserError } from '../lib/errors.ts';
import { placeOf } from '../lib/safe-path.ts';

/** sun_path of sockaddr_un holds 108 bytes with the closing zero (unix(7)). */
const MAX_PATH_BYTES = 107;
const CONNECT_MS = 1000;

/** @throws UserError. @returns removes the file, if it is still the one that was made */
export async function listenAt(server: Server, path: string): Promise<() => void> {
  judge(path);
  const own = `${path}.${randomUUID().slice(0, 8)}`;
  if (Buffer.byteLength(own) > MAX_PATH_BYTES)
    throw unusable(path, 'the path is too long for a Unix socket', 'use a shorter one, below /run say');
  await bind(server, own, path);
  try {
    const made = lstatSync(own);
    if (!linked(own, path)) {
      await removeStale(path);
      if (!linked(own, path)) throw inUse(path);
    }
    return () => remove(path, made);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    // libuv removes the name it was bound to when it closes (uv__pipe_close): that is this one, never the path.
    rmSync(own, { force: true });
  }
}

/** @throws UserError: another user could put a socket of his own there */
function judge(path: string): void {
  try {
    placeOf(path);
  } catch (error) {
    const hint = error instanceof UserError ? error.hint : undefined;
    throw unusable(
      path,
      (error as Error).message,
      hint ?? 'the directory has to be there and to be writable',
    );
  }
}

/** Bound in the call itself: no other code of ours runs with this umask. */
async function bind(server: Server, own: string, path: string): Promise<void> {
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => resolve());
  });
  const before = process.umask(0o177);
  try {
    server.listen({ path: own });
  } finally {
    process.umask(before);
  }
  try {
    await listening;
  } catch (error) {
    throw unusable(path, (error as Error).message, 'the directory has to be there and to be writable');
  }
}

/** @throws UserError: what is there is no socket, or somebody listens on it */
async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw unusable(path, 'there is something else than a socket', 'remove it or name another path');
  if (found.uid !== process.geteuid?.())
    throw unusable(path, 'there is a socket of another user', 'remove it or name another path');
  if (await isListenedTo(path)) throw inUse(path);
  remove(path, found);
}

/** Whatever is not a refusal counts as a listener: a full backlog, a missing right. */
function isListenedTo(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const end = (listened: boolean) => {
      socket.destroy();
      resolve(listened);
    };
    socket.setTimeout(CONNECT_MS, () => end(true));
    socket.once('connect', () => end(true));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code !== 'ECONNREFUSED'));
  });
}

/** Not if another file took its place. */
function remove(path: string, ours: Stats): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSocket() === true && found.ino === ours.ino && found.dev === ours.dev) unlinkSync(path);
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw unusable(to, (error as Error).message, 'the file system has to know hard links, as /run does');
  }
}

function inUse(path: string): UserError {
  return unusable(
    path,
    'another program listens on it',
    'give each agent a path of its own, or stop the other',
  );
}

function unusable(path: string, why: string, hint: string): UserError {
  return new UserError(`cannot make the control socket ${path}: ${why}`, { hint });
}
