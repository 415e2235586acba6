/** A file in place of a history: read into one of its own, below $TMPDIR, which is asked as any other and then removed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Agent } from '../agent.ts';
import { FileBytes, STANDARD_INPUT } from '../capture/file-bytes.ts';
import type { Config } from '../config/config.ts';
import { readHistory } from '../history/reader.ts';
import type { HistoryQueries } from '../history/types.ts';
import type { Log } from '../lib/log.ts';
import { readOtlpFile } from './otlp-file.ts';

export interface FileOptions {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
  /** Interrupted: what was read until then is searched. */
  readonly stopped: Promise<void>;
}

/** Of the history: a larger file's oldest lookups are left out. */
const MAX_BYTES = 4 * 1024 ** 3;
const STOP_MS = 60_000;
const BRACE = 0x7b;

/** @param file a capture or OTLP/JSON lines, also packed; `-` is standard input @throws UserError: it cannot be read */
export async function openFile(
  options: FileOptions,
  file: string,
): Promise<{ readonly queries: HistoryQueries; readonly close: () => Promise<void> }> {
  const { log } = options;
  const bytes = await FileBytes.open(file);
  const directory = mkdtempSync(join(tmpdir(), 'whodns-search-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    // No capture begins with a brace.
    if ((await bytes.fill(1))?.[0] === BRACE) await readRecords(options, bytes, directory);
    else await readCapture(options, file === STANDARD_INPUT ? streamOf(bytes) : file, directory);
  } finally {
    await bytes.close();
  }
  const history = readHistory(directory, (message) => log.warn(message));
  const close = async (): Promise<void> => {
    history.close();
    remove();
  };
  return { queries: history, close };
}

async function readRecords(
  { log, stopped }: FileOptions,
  bytes: FileBytes,
  directory: string,
): Promise<void> {
  let isStopped = false;
  void stopped.then(() => {
    isStopped = true;
  });
  await readOtlpFile(bytes, { directory, maxBytes: MAX_BYTES, log, isStopped: () => isStopped });
}

async function readCapture(
  { config, version, log, stopped }: FileOptions,
  file: string | Readable,
  directory: string,
): Promise<void> {
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
    await Promise.race([agent.finished, stopped]);
  } finally {
    // What is still waiting for its answer at the end of the file is a lookup too.
    await agent.stop(STOP_MS);
  }
  for (const line of agent.captureReport?.errors ?? []) log.error(line);
  for (const line of agent.captureReport?.warnings ?? []) log.warn(line);
}

/** What is left, unpacked. */
function streamOf(bytes: FileBytes): Readable {
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let next = await bytes.next(); next !== undefined; next = await bytes.next()) yield next;
  }
  return Readable.from(chunks(), { objectMode: false });
}
