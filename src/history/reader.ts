/** A history's directory for reading, also while an agent writes to it. */
import { lstatSync } from 'node:fs';
import { UserError } from '../lib/errors.ts';
import { safeDirectory } from '../lib/safe-path.ts';
import { Database, VersionError } from './database.ts';
import { historyBytes, segmentFiles } from './files.ts';
import { Queries } from './queries.ts';
import type { Segments } from './read.ts';
import { Segment } from './rows.ts';
import type { HistoryQueries } from './types.ts';

export interface OpenedHistory extends HistoryQueries {
  close(): void;
}

/**
 * @param directory which no other user can bend: whoever can could have files of others read, or made
 * @param warn told of files that are damaged, each once
 * @throws UserError: there is no history, no right to read it, or it is another user's
 */
export function readHistory(directory: string, warn: (message: string) => void): OpenedHistory {
  const segments = new Directory(trusted(directory), warn);
  segments.all();
  const queries = new Queries(segments, directory, () => historyBytes(directory));
  return Object.assign(queries, { close: () => segments.close() });
}

class Directory implements Segments {
  readonly #directory: string;
  readonly #warn: (message: string) => void;
  readonly #open = new Map<string, Segment>();
  /** Damaged, or of another version: not looked at again. */
  readonly #left = new Set<string>();

  constructor(directory: string, warn: (message: string) => void) {
    this.#directory = directory;
    this.#warn = warn;
  }

  /** As the directory is now: an agent begins new ones and removes old ones. */
  all(): readonly Segment[] {
    const files = this.#files();
    const there = new Set(files.map(({ path }) => path));
    for (const [path, segment] of this.#open)
      if (!there.has(path)) {
        segment.database.close();
        this.#open.delete(path);
      }
    return files.flatMap(({ number, path }) => {
      const known = this.#open.get(path);
      if (known !== undefined) return [known];
      const segment = this.#left.has(path) ? undefined : this.#opened(number, path);
      if (segment !== undefined) this.#open.set(path, segment);
      return segment === undefined ? [] : [segment];
    });
  }

  failed(segment: Segment, error: unknown): boolean {
    for (const [path, each] of this.#open)
      if (each === segment) {
        this.#open.delete(path);
        segment.database.close();
        this.#leave(path, error);
      }
    return true;
  }

  close(): void {
    for (const { database } of this.#open.values()) database.close();
    this.#open.clear();
  }

  #files(): ReturnType<typeof segmentFiles> {
    try {
      return segmentFiles(this.#directory);
    } catch (error) {
      throw explained(error as NodeJS.ErrnoException, this.#directory);
    }
  }

  #opened(number: number, path: string): Segment | undefined {
    try {
      // Whoever could put a link there could have another file read.
      if (!lstatSync(path).isFile()) return undefined;
      return new Segment(number, Database.read(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#leave(path, error);
      return undefined;
    }
  }

  #leave(path: string, error: unknown): void {
    // Being made, or removed, at this moment: it will be asked again.
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
    this.#left.add(path);
    const message = (error as Error).message.replaceAll(/\s+/g, ' ');
    this.#warn(
      `${path} is left out: ${error instanceof VersionError ? message : `it cannot be read (${message})`}`,
    );
  }
}

/** @returns its path without symbolic links @throws UserError */
function trusted(directory: string): string {
  try {
    return safeDirectory(directory);
  } catch (error) {
    if (!(error instanceof UserError)) throw explained(error as NodeJS.ErrnoException, directory);
    throw new UserError(`the history ${directory} is not read: ${error.message}`, {
      hint: "read another user's history as that user: sudo -u USER whodns search",
    });
  }
}

function explained(error: NodeJS.ErrnoException, directory: string): UserError {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new UserError(`there is no history in ${directory}`, {
        hint: 'whodns --history DIR keeps one; name its directory with --history DIR, or a running agent with --control PATH',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
      return new UserError(`no right to read the history in ${directory}`, {
        hint: 'read it as the user that the agent runs as (root)',
        lack: 'rights',
        cause: error,
      });
    default:
      return new UserError(`cannot read the history in ${directory}: ${error.message}`, { cause: error });
  }
}
