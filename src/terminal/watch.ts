/** A run that lasts as long as the program that it watches (program.ts). */

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { parseMounts } from '../enrich/containers/cgroup-mounts.ts';
import { allOf } from '../filter/ast.ts';
import { Program, type ProgramOptions } from './program.ts';

/** What a terminal sends to all of its foreground group: the program has it already. */
const OF_TERMINAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];
const PASSED_ON: readonly NodeJS.Signals[] = [
  ...OF_TERMINAL,
  'SIGTERM',
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
];
/** What the program asked last is still in the kernel's ring. */
const RING_MS = 500;

export class Watch {
  /** The same run, of the program alone. */
  readonly config: Config;
  readonly #program: Program;

  private constructor(program: Program, config: Config) {
    this.#program = program;
    this.config = config;
  }

  /** With all rights that there are. @throws UserError */
  static start(
    command: ProgramOptions['command'],
    environment: ProgramOptions['environment'],
    config: Config,
  ): Watch {
    const program = Program.start({ command, environment, mount: ownMount() });
    const filters = [program.filter, ...(config.lookupFilter === undefined ? [] : [config.lookupFilter])];
    const watched: Config = {
      ...config,
      lookupFilter: allOf(filters),
      connections: config.emit === 'lookup',
    };
    return new Watch(program, watched);
  }

  /** The agent sees everything. @param hasTerminal whether there is a terminal that sends signals @returns the exit code */
  async run(hasTerminal: () => boolean): Promise<number> {
    for (const signal of PASSED_ON)
      process.on(signal, () => {
        if (OF_TERMINAL.includes(signal) && hasTerminal()) return;
        this.#program.signal(signal);
      });
    this.#program.release();
    const code = await this.#program.ended;
    await sleep(RING_MS);
    return code;
  }

  async close(): Promise<void> {
    await this.#program.close();
  }
}

/** As this process itself sees it, which it still does without rights: the group is removed by this path. */
function ownMount(): string | undefined {
  return parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'), '').v2?.path;
}
