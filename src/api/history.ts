/** `openHistory`: what an agent with `--history` has kept, for programs. */
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
    search: (query) => typed('options', () => opened.search(query)),
    top: (query) => typed('options', () => opened.top(query)),
    count: (query) => typed('options', () => opened.count(query)),
    timeline: (query) => typed('options', () => opened.timeline(query)),
    edges: (query) => typed('options', () => opened.edges(query)),
    process: (key, window) => typed('options', () => opened.process(key, window)),
    name: (name, window) => typed('options', () => opened.name(name, window)),
    status: () => typed('options', () => opened.status()),
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
