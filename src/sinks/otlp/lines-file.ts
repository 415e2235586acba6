/**
 * A file of lines that is bounded: when it is full it becomes PATH.1, PATH.1 becomes PATH.2 and so on, the oldest is removed.
 * Where somebody else renames or removes it (logrotate), a new one is begun. A line is never cut.
 */
import {
  accessSync,
  close,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  readSync,
  renameSync,
  type Stats,
  write,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { UserError } from '../../lib/errors.ts';
import { type OpenFile, openToAppend, resemble } from '../../lib/safe-file.ts';
import { placeOf } from '../../lib/safe-path.ts';

const writeBytes = promisify(write);
const closeFile = promisify(close);
/** Of a new file; one that takes the place of a full one has its owner and mode. */
const MODE = 0o640;
const LINE_FEED = 0x0a;

export interface FileBounds {
  /** Bytes of the file at which the next one is begun; 0 = never. A write that alone is larger is a file of its own. */
  readonly maxBytes: number;
  /** Older files that are kept, PATH.1 the newest; at least 1. */
  readonly backups: number;
}

const NEVER_FULL: FileBounds = { maxBytes: 0, backups: 1 };

/** Several writers may share it: what each appends is written whole, in the order of the calls. */
export class LinesFile {
  readonly path: string;
  readonly #bounds: FileBounds;
  #descriptor: number | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #users = 0;

  private constructor(path: string, bounds: FileBounds, descriptor: number) {
    this.path = path;
    this.#bounds = bounds;
    this.#descriptor = descriptor;
  }

  /** @throws UserError when the file cannot be opened for appending */
  static open(path: string, bounds: FileBounds = NEVER_FULL): LinesFile {
    try {
      const { fd, place } = openLines(path);
      if (bounds.maxBytes > 0 && !place.linked && fstatSync(fd).isFile()) assertRenames(place.directory);
      return new LinesFile(path, bounds, fd);
    } catch (error) {
      const told = error instanceof UserError ? error.hint : undefined;
      const hint =
        told ?? 'give a path in a directory that exists and is writable: --exporter otlp-file:PATH';
      throw new UserError(`cannot write to ${path}: ${(error as Error).message}`, { hint, cause: error });
    }
  }

  /** Each user calls `release` once. */
  use(): this {
    this.#users++;
    return this;
  }

  /** Appends lines, their breaks included. Rejects when they could not be written; then nothing of them is in the file. */
  append(lines: Uint8Array): Promise<void> {
    return this.#inOrder(() => this.#write(lines));
  }

  /** Lets go of the file when what was appended before is in it, and opens what is at the path. Rejects when it cannot. */
  reopen(): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#users === 0) return;
      this.#close();
      this.#open();
    });
  }

  /** Closes the file when its last user is done. */
  async release(): Promise<void> {
    await this.#last;
    this.#users--;
    const descriptor = this.#descriptor;
    if (this.#users > 0 || descriptor === undefined) return;
    this.#descriptor = undefined;
    await closeFile(descriptor);
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { descriptor, size } = this.#fileFor(bytes.length);
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await writeBytes(descriptor, bytes, done, bytes.length - done);
        done += bytesWritten;
      }
    } catch (error) {
      // Half a line would make the next one unreadable too.
      if (size !== undefined) ftruncateSync(descriptor, size);
      throw error;
    }
  }

  /** The file that takes `bytes` more, and its size now; undefined: it has none (a terminal, /dev/null). */
  #fileFor(bytes: number): { readonly descriptor: number; readonly size: number | undefined } {
    let descriptor = this.#open();
    let file = fstatSync(descriptor);
    if (!file.isFile()) return { descriptor, size: undefined };
    const atPath = lstatSync(this.path, { throwIfNoEntry: false });
    // A symbolic link (/dev/stdout) is not ours to rename.
    if (atPath?.isSymbolicLink()) return { descriptor, size: file.size };
    if (atPath?.ino !== file.ino || atPath.dev !== file.dev) {
      this.#close();
      descriptor = this.#open();
      file = fstatSync(descriptor);
    }
    const { maxBytes } = this.#bounds;
    if (maxBytes === 0 || file.size === 0 || file.size + bytes <= maxBytes) {
      return { descriptor, size: file.size };
    }
    return { descriptor: this.#rotate(file), size: 0 };
  }

  /** In a directory that is still a safe one: its owner or mode may have changed since the file was opened. */
  #rotate(full: Stats): number {
    const { path } = placeOf(this.path);
    for (let number = this.#bounds.backups; number > 1; number--) {
      renameIfThere(`${path}.${number - 1}`, `${path}.${number}`);
    }
    renameSync(path, `${path}.1`);
    this.#close();
    const file = openLines(this.path);
    this.#descriptor = file.fd;
    resemble(file, full);
    return file.fd;
  }

  #open(): number {
    this.#descriptor ??= openLines(this.path).fd;
    return this.#descriptor;
  }

  #close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

function assertRenames(directory: string): void {
  try {
    accessSync(directory, constants.W_OK);
  } catch (cause) {
    const hint = '--otlp-file-bytes 0 leaves it to others to keep the file small';
    throw new UserError('it could not be renamed when it is full, its directory is not writable', {
      hint,
      cause,
    });
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A line that an earlier run could not finish is ended: the next one must not become part of it. */
function openLines(path: string): OpenFile {
  const opened = openToAppend(path, MODE);
  const { fd } = opened;
  try {
    const file = fstatSync(fd);
    const end = Buffer.alloc(1, LINE_FEED);
    if (file.isFile() && file.size > 0) readSync(fd, end, 0, 1, file.size - 1);
    if (end[0] !== LINE_FEED) writeSync(fd, '\n');
    return opened;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
