/** Runs a program whose output goes into a file in memory: who reads a pipe would take processor time beside it. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pause, type Running, start } from './processes.ts';

const READY_LIMIT_MS = 30_000;

export interface RunToFile {
  readonly program: Running;
  /** Ends it. @returns bytes it wrote */
  finish(): Promise<number>;
}

/** @param ready what it says on stderr when it is ready */
export async function runTo(command: readonly string[], ready: RegExp): Promise<RunToFile> {
  const [file = '', ...words] = command;
  const directory = mkdtempSync(join('/dev/shm', 'whodns-bench-'));
  const path = join(directory, 'output');
  const stdout = openSync(path, 'w');
  const program = await start(file, words, { stdout });
  closeSync(stdout);
  try {
    await program.says(ready, READY_LIMIT_MS);
  } catch (error) {
    rmSync(directory, { recursive: true });
    throw error;
  }
  await pause(500);
  return {
    program,
    finish: async () => {
      await program.stop('SIGINT');
      const { size } = statSync(path);
      rmSync(directory, { recursive: true });
      return size;
    },
  };
}

/** Runs a program to its end. @returns processor seconds of it and of its descendants, and what it wrote to stdout */
export async function processorSeconds(
  command: readonly string[],
): Promise<{ readonly seconds: number; readonly output: string }> {
  const directory = mkdtempSync(join('/dev/shm', 'whodns-bench-'));
  const path = join(directory, 'output');
  const stdout = openSync(path, 'w');
  // The second line of `times` is of the children; dash writes it as 0m1.230000s.
  const program = await start('sh', ['-c', '"$@" 2>/dev/null; times >&2', 'sh', ...command], { stdout });
  closeSync(stdout);
  const code = await program.ended;
  const output = readFileSync(path, 'latin1');
  rmSync(directory, { recursive: true });
  const times = [...program.errors.matchAll(/(\d+)m([\d.]+)s/g)].slice(2);
  if (code !== 0 || times.length !== 2) throw new Error(`${command.join(' ')}: ${program.errors}`);
  return { seconds: times.reduce((sum, [, m, s]) => sum + 60 * Number(m) + Number(s), 0), output };
}
