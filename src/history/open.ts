/** Config -> the history of a run. */
import type { Config } from '../config/config.ts';
import type { Ledger } from '../ledger.ts';
import { UserError } from '../lib/errors.ts';
import { safeDirectory } from '../lib/safe-path.ts';
import { InUseError, lockDirectory } from '../sinks/delivery/directory-lock.ts';
import type { Notices } from '../sinks/sink.ts';
import { HistorySink } from './sink.ts';
import { MEMORY } from './store.ts';

/** Lookups of an interactive run that stay in memory. */
const MEMORY_ROWS = 100_000;
const DIRECTORY_MODE = 0o700;

/** @param place undefined: that of the configuration @throws UserError: it cannot be kept there */
export async function openHistory(
  { historyBytes, historyAgeMs }: Pick<Config, 'historyBytes' | 'historyAgeMs'>,
  place: string,
  ledger: Ledger,
  notices: Notices,
  maxRows = MEMORY_ROWS,
): Promise<HistorySink> {
  const limits = { maxBytes: historyBytes, maxAgeMs: historyAgeMs, maxRows };
  if (place === MEMORY) return HistorySink.open({ ...limits, place, ledger, notices });
  const { directory, release } = locked(place);
  return HistorySink.open({ ...limits, place: directory, ledger, notices, release });
}

function locked(place: string): { readonly directory: string; readonly release: () => void } {
  try {
    const directory = safeDirectory(place, DIRECTORY_MODE);
    return { directory, release: lockDirectory(directory, { what: 'history', flag: '--history' }) };
  } catch (error) {
    if (error instanceof InUseError) throw error;
    const hint = error instanceof UserError && error.hint !== undefined ? { hint: error.hint } : {};
    throw new UserError(`the history ${place} cannot be used: ${(error as Error).message}`, hint);
  }
}
