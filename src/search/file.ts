/** A file in place of a history: read into one of its own, below $TMPDIR, which is asked as any other and then removed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from '../agent.ts';
import type { Config } from '../config/config.ts';
import { readHistory } from '../history/reader.ts';
import type { HistoryQueries } from '../history/types.ts';
import type { Log } from '../lib/log.ts';

export interface FileOptions {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
}

/** Of the history: a larger file's oldest lookups are left out. */
const MAX_BYTES = 4 * 1024 ** 3;
const STOP_MS = 60_000;

/** @throws UserError: it cannot be read */
export async function openFile(
  { config, version, log }: FileOptions,
  file: string,
): Promise<{ readonly queries: HistoryQueries; readonly close: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-search-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  const kept = { logs: [], metrics: [], traces: false, history: directory, historyBytes: MAX_BYTES };
  const agent = await Agent.create({
    config: { ...config, ...kept, command: 'replay', emit: 'lookup' },
    version,
    log,
    file,
    stdout: process.stdout,
    color: false,
    environment: {},
  });
  await agent.start();
  try {
    await agent.finished;
  } finally {
    // What is still waiting for its answer at the end of the file is a lookup too.
    await agent.stop(STOP_MS);
  }
  for (const line of agent.captureReport?.errors ?? []) log.error(line);
  for (const line of agent.captureReport?.warnings ?? []) log.warn(line);
  const history = readHistory(directory, (message) => log.warn(message));
  const close = async (): Promise<void> => {
    history.close();
    remove();
  };
  return { queries: history, close };
}
