import { type FileHandle, open } from 'node:fs/promises';
import { Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { UserError } from '../lib/errors.ts';

const CHUNK = 256 * 1024;
/** The path that names standard input. */
export const STANDARD_INPUT = '-';
const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];

/** Where bytes come from: `read` fills `target` from its start and gives their number, 0 at the end. */
interface ByteSource {
  read(target: Buffer): Promise<number>;
  close(): Promise<void>;
}

/** A file read from front to back through a window of bounded size. Works for pipes too. */
export class FileBytes {
  /** Called before each read, which may take as long as a pipe's other end likes. */
  onRead: () => Promise<void> = () => Promise.resolve();
  /** Why the file ends here, where that is not its own end: its compressed data is damaged or cut. */
  broken: string | undefined;
  #source: ByteSource;
  #window: Buffer = Buffer.alloc(0);
  #position = 0;
  /** Offset in the file of the window's first byte. */
  #base = 0;
  #ended = false;

  private constructor(source: ByteSource) {
    this.#source = source;
  }

  /**
   * @param input STANDARD_INPUT, a file or a stream; what is compressed with gzip or zstd is read unpacked
   * Rejects with a UserError if the file cannot be opened.
   */
  static async open(input: string | Readable): Promise<FileBytes> {
    try {
      const file = new FileBytes(await sourceOf(input));
      await file.#unpack().catch(async (error: unknown) => {
        await file.close();
        throw error;
      });
      return file;
    } catch (error) {
      throw unreadable(input, error);
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

  /** The next bytes, as many as are at hand, and passes them; undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    if (await this.atEnd()) return undefined;
    const next = this.#window.subarray(this.#position);
    this.#position = this.#window.length;
    return next;
  }

  /** Whether there is any byte left. */
  async atEnd(): Promise<boolean> {
    return (await this.fill(1)) === undefined;
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  async #read(wanted: number): Promise<void> {
    await this.onRead();
    const rest = this.#window.subarray(this.#position);
    const next = Buffer.allocUnsafe(Math.max(CHUNK, wanted));
    rest.copy(next);
    const count = await this.#source.read(next.subarray(rest.length)).catch((error: unknown) => {
      this.broken = damageOf(error);
      if (this.broken === undefined) throw error;
      return 0;
    });
    this.#base += this.#position;
    this.#position = 0;
    this.#window = next.subarray(0, rest.length + count);
    this.#ended = count === 0;
  }

  /** Puts a decompressor between, if the first bytes ask for one. */
  async #unpack(): Promise<void> {
    const magic = await this.fill(ZSTD.length);
    if (magic === undefined) return;
    const isGzip = GZIP.every((byte, i) => magic[i] === byte);
    if (!isGzip && !ZSTD.every((byte, i) => magic[i] === byte)) return;
    this.#source = decompressed(this.#window, this.#source, isGzip ? createGunzip() : createZstdDecompress());
    this.#window = Buffer.alloc(0);
    this.#position = 0;
    this.#base = 0;
    this.#ended = false;
  }
}

async function sourceOf(input: string | Readable): Promise<ByteSource> {
  if (typeof input !== 'string') return ofStream(input);
  return input === STANDARD_INPUT ? standardInput() : ofHandle(await open(input, 'r'));
}

function ofHandle(handle: FileHandle): ByteSource {
  return {
    read: async (target) => (await handle.read(target, 0, target.length, null)).bytesRead,
    close: () => handle.close(),
  };
}

/** Its reads end when it is closed, also those of a pipe into which no one writes. */
function standardInput(): ByteSource {
  return ofStream(process.stdin);
}

/** Everything that came before an error is given out before it; the stream waits while more than one chunk is not. */
function ofStream(stream: Readable, onClose: () => Promise<void> = () => Promise.resolve()): ByteSource {
  const chunks: Buffer[] = [];
  let isEnded = false;
  let failure: unknown;
  let wake: () => void = () => undefined;
  const end = (error?: unknown): void => {
    isEnded = true;
    failure ??= error;
    wake();
  };
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    stream.pause();
    wake();
  });
  stream.on('end', () => end());
  stream.on('close', () => end());
  stream.on('error', end);
  return {
    async read(target) {
      while (chunks.length === 0 && !isEnded) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          stream.resume();
        });
      }
      const [chunk] = chunks;
      if (chunk === undefined) {
        if (failure !== undefined) throw failure;
        return 0;
      }
      const count = chunk.copy(target);
      if (count === chunk.length) chunks.shift();
      else chunks[0] = chunk.subarray(count);
      return count;
    },
    close: () => {
      end();
      stream.destroy();
      return onClose();
    },
  };
}

/** `first` was read of `source` already. Holds some chunks of either side, however far the file unpacks. */
function decompressed(first: Buffer, source: ByteSource, unpack: Transform): ByteSource {
  async function* packed() {
    yield first;
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK);
      const count = await source.read(chunk);
      if (count === 0) return;
      yield chunk.subarray(0, count);
    }
  }
  const input = Readable.from(packed(), { objectMode: false });
  input.on('error', (error) => unpack.destroy(error));
  return ofStream(input.pipe(unpack), async () => {
    input.destroy();
    await source.close();
  });
}

/** undefined: it is no error of a decompressor. */
function damageOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'Z_BUF_ERROR') return 'the compressed data is cut';
  return /^(Z_|ZSTD_)/.test(code) ? 'the compressed data is damaged' : undefined;
}

/** One line for an error of the file system. */
export function unreadable(input: string | Readable, error: unknown): UserError {
  if (error instanceof UserError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EISDIR: 'it is a directory',
    EBADF: 'it is closed',
  };
  return new UserError(`cannot read ${nameOf(input)}: ${reasons[code] ?? code}`, {
    cause: error,
    lack: code === 'EACCES' ? 'rights' : undefined,
  });
}

/** As messages call a file. */
export function nameOf(input: string | Readable): string {
  if (typeof input !== 'string') return 'the stream';
  return input === STANDARD_INPUT ? 'standard input' : input;
}
