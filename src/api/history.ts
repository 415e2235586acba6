/** `openHistory`: what an agent with `--history` has kept, for programs. */
import { askedOf, forwarded } from '../history/forwarded.ts';
import type { HistoryQueries } from '../history/types.ts';
import { toCaptureError } from './capture-error.ts';

export type * from '../history/types.ts';

/** Lookups, connections and findings of the past. Reading needs the right to read its directory, nothing else. */
export interface History extends HistoryQueries, AsyncDisposable {
  close(): void;
}

export interface HistoryOptions {
  /** Told of files that are damaged and left out, one line each. Default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Opens the directory of a history, of an agent that runs (also while it writes) or one that has ended. What the questions throw is a
 * CaptureError too: `options`, the question is none.
 * @throws CaptureError `file`: there is no history; `rights`: it may not be read
 */
export async function openHistory(directory: string, options: HistoryOptions = {}): Promise<History> {
  const warn = options.onWarning ?? ((message: string) => process.emitWarning(message, 'WhodnsWarning'));
  // Loads the database, which nothing else here needs.
  const { readHistory } = await import('../history/reader.ts');
  const opened = await typed('file', async () => readHistory(directory, warn));
  const close = () => opened.close();
  return {
    ...forwarded((question, given) => typed('options', () => askedOf(opened, question, given))),
    close,
    [Symbol.asyncDispose]: async () => close(),
  };
}

async function typed<T>(otherwise: 'file' | 'options', act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw toCaptureError(error, otherwise);
  }
}
