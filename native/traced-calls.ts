/** Which system calls agents make once they have filtered themselves, found by strace. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Without these it is not known whose thread one is, and when it was filtered. */
const NEEDED = ['clone', 'clone3', 'seccomp'];

/**
 * Runs `command` under strace with the agents in it in log mode, so that nothing is refused and `leftOut` costs nothing.
 * @returns names of calls that are not in `leftOut`, and the exit code of the command
 */
export function tracedCalls(
  command: readonly string[],
  leftOut: readonly string[],
): { readonly calls: ReadonlySet<string>; readonly status: number | null } {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-calls-'));
  try {
    const log = join(directory, 'log');
    const names = leftOut.filter((name) => !NEEDED.includes(name)).map((name) => `?${name}`);
    const options = [
      '-f',
      '-qq',
      '--seccomp-bpf',
      '-e',
      names.length === 0 ? 'trace=all' : `trace=!${names.join(',')}`,
    ];
    const env = { ...process.env, WHODNS_SECCOMP: 'log' };
    const { status, error } = spawnSync('strace', [...options, '-e', 'signal=none', '-o', log, ...command], {
      stdio: 'inherit',
      env,
    });
    if (error !== undefined) throw error;
    return { calls: callsOfFiltered(readFileSync(log, 'latin1')), status };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Lines of strace -f: "TID call(arguments) = result", or in two pieces, "TID call(... <unfinished ...>" and "TID <... call resumed>...". */
function callsOfFiltered(log: string): ReadonlySet<string> {
  /** Thread -> first thread of its process. */
  const process = new Map<string, string>();
  const starting = new Map<string, boolean>();
  const filtered = new Set<string>();
  const calls = new Set<string>();
  for (const line of log.split('\n')) {
    const [, thread = '', resumed, call = ''] = /^(\d+) +(<\.\.\. )?(\w+)/.exec(line) ?? [];
    if (call === '' || line.includes('+++ ')) continue;
    if (call === 'clone' || call === 'clone3' || call === 'fork' || call === 'vfork') {
      if (resumed === undefined) starting.set(thread, line.includes('CLONE_THREAD'));
      const child = / = (\d+)$/.exec(line)?.[1];
      if (child !== undefined)
        process.set(child, starting.get(thread) ? (process.get(thread) ?? thread) : child);
    }
    const own = process.get(thread) ?? thread;
    if (filtered.has(own) && resumed === undefined) calls.add(call);
    if (call === 'seccomp' && line.includes('SECCOMP_SET_MODE_FILTER')) filtered.add(own);
  }
  return calls;
}
