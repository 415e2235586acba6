/** A real terminal that a test can look at: tmux(1), a server of its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Why there is none; false: there is one. */
export const NO_TMUX: string | false =
  spawnSync('tmux', ['-V']).status === 0 ? false : 'tmux is not installed (apt-get install tmux)';

export class Terminal {
  readonly #socket: string;

  /** @param directory where its socket is @param command a shell command line */
  constructor(directory: string, command: string, columns: number, rows = 24) {
    this.#socket = join(directory, 'tmux');
    const size = ['-x', String(columns), '-y', String(rows)];
    const env = { ...process.env, TERM: 'xterm-256color', LC_ALL: 'C.UTF-8', NO_COLOR: '' };
    execFileSync(
      'tmux',
      [
        '-u',
        '-S',
        this.#socket,
        '-f',
        '/dev/null',
        'new-session',
        '-d',
        ...size,
        `${command}; echo "left $?"; sleep 600`,
      ],
      { env },
    );
  }

  /** What it shows; with what has scrolled away on request. */
  text(isAll = false): string {
    return this.#tmux('capture-pane', '-p', ...(isAll ? ['-S', '-', '-J'] : []));
  }

  keys(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  /** Raw bytes, as a terminal sends for a click. */
  bytes(text: string): void {
    this.#tmux('send-keys', '-l', text);
  }

  resize(columns: number, rows = 24): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** Until it shows this. @returns all that it shows then */
  async until(pattern: RegExp, milliseconds = 30_000, isAll = false): Promise<string> {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const text = this.text(isAll);
      if (pattern.test(text)) return text;
      if (performance.now() > deadline) throw new Error(`no ${pattern} in:\n${text}`);
      await sleep(200);
    }
  }

  close(): void {
    spawnSync('tmux', ['-S', this.#socket, 'kill-server']);
  }

  #tmux(...args: readonly string[]): string {
    return execFileSync('tmux', ['-u', '-S', this.#socket, ...args], { encoding: 'utf8' });
  }
}
