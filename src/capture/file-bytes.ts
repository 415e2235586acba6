import { type FileHandle, open } from 'node:fs/promises';
import { UserError } from '../lib/errors.ts';

const CHUNK = 256 * 1024;

/** A file read from front to back through a window of bounded size. Works for pipes too. */
export class FileBytes {
  readonly #handle: FileHandle;
  #window: Buffer = Buffer.alloc(0);
  #position = 0;
  /** Offset in the file of the window's first byte. */
  #base = 0;
  #ended = false;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Rejects with a UserError if the file cannot be opened. */
  static async open(path: string): Promise<FileBytes> {
    try {
      return new FileBytes(await open(path, 'r'));
    } catch (error) {
      throw unreadable(path, error);
    }
  }

  /** Offset in the file of the next byte. */
  get offset(): number {
    return this.#base + this.#position;
  }

  /** The next `size` bytes without passing them, if the window has them. */
  peek(size: number): Buffer | undefined {
    const end = this.#position + size;
    return end <= this.#window.length ? this.#window.subarray(this.#position, end) : undefined;
  }

  /** Passes `size` bytes that `peek` or `fill` has shown. */
  pass(size: number): void {
    this.#position += size;
  }

  /** Reads until the window has `size` more bytes; undefined if the file ends before. Views from before become invalid. */
  async fill(size: number): Promise<Buffer | undefined> {
    while (this.#window.length - this.#position < size && !this.#ended) await this.#read(size);
    return this.peek(size);
  }

  /** Passes `size` bytes; false if the file ends before. */
  async skip(size: number): Promise<boolean> {
    let left = size;
    for (;;) {
      const step = Math.min(left, this.#window.length - this.#position);
      this.#position += step;
      left -= step;
      if (left === 0) return true;
      if (this.#ended) return false;
      await this.#read(1);
    }
  }

  /** Whether there is any byte left. */
  async atEnd(): Promise<boolean> {
    return (await this.fill(1)) === undefined;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #read(wanted: number): Promise<void> {
    const rest = this.#window.subarray(this.#position);
    const next = Buffer.allocUnsafe(Math.max(CHUNK, wanted));
    rest.copy(next);
    const { bytesRead } = await this.#handle.read(next, rest.length, next.length - rest.length, null);
    this.#base += this.#position;
    this.#position = 0;
    this.#window = next.subarray(0, rest.length + bytesRead);
    this.#ended = bytesRead === 0;
  }
}

/** One line for an error of the file system. */
export function unreadable(path: string, error: unknown): UserError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EISDIR: 'it is a directory',
  };
  return new UserError(`cannot read ${path}: ${reasons[code] ?? code}`, { cause: error });
}
