/** `whodns top`: of the agent that runs, else of one that it is itself for as long. */
import { existsSync } from 'node:fs';
import type { Config } from '../../config/config.ts';
import { ask } from '../../control/client.ts';
import { remoteHistory } from '../../control/history.ts';
import type { HistoryQueries } from '../../history/types.ts';
import { UserError } from '../../lib/errors.ts';
import type { TerminalInput, TerminalOutput } from './screen.ts';
import { showTop } from './top.ts';

/** Of the packaged unit (deploy/systemd). */
export const DEFAULT_CONTROL = '/run/whodns/control.sock';
/** ms between two looks at what was lost. */
const LOST_MS = 2000;

/** An agent of its own. */
export interface OwnAgent {
  readonly history: HistoryQueries;
  readonly stats: () => Stats;
}

interface Stats {
  readonly stages: readonly { readonly dropped: Readonly<Record<string, number>> }[];
  readonly source: { readonly drops: Readonly<Record<string, number>> };
}

export interface TopCommand {
  readonly config: Config;
  readonly input: TerminalInput;
  readonly output: TerminalOutput & { readonly isTTY?: boolean };
  readonly stopped: Promise<unknown>;
  /** Begins to capture. */
  readonly capture: () => Promise<OwnAgent>;
}

/** @throws UserError: no terminal, no agent where one was named, or nothing can be captured */
export async function top({ config, input, output, stopped, capture }: TopCommand): Promise<void> {
  if (output.isTTY !== true || input.isTTY !== true)
    throw new UserError('whodns top needs a terminal', { hint: 'whodns search and --json are for programs' });
  const socket = config.control ?? (existsSync(DEFAULT_CONTROL) ? DEFAULT_CONTROL : undefined);
  const remote = socket === undefined ? undefined : await remoteOf(socket, config.control !== undefined);
  const { history, stats } = remote ?? (await capture());
  let lost: number | undefined;
  let looked = Number.NEGATIVE_INFINITY;
  await showTop({
    history,
    input,
    output,
    stopped,
    filter: config.filter,
    lost: async () => {
      const now = performance.now();
      if (now - looked < LOST_MS) return lost;
      looked = now;
      lost = lostOf(await stats());
      return lost;
    },
  });
}

/** @param isNamed it is an error where no agent answers */
async function remoteOf(
  socket: string,
  isNamed: boolean,
): Promise<{ readonly history: HistoryQueries; readonly stats: () => Promise<Stats> } | undefined> {
  const history = remoteHistory(socket);
  try {
    await history.status();
  } catch (error) {
    if (isNamed) throw error;
    return undefined;
  }
  return { history, stats: async () => (await ask(socket, '/stats')) as Stats };
}

function lostOf({ stages, source }: Stats): number {
  const sum = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((a, b) => a + Number(b), 0);
  return sum(source.drops) + stages.reduce((all, { dropped }) => all + sum(dropped), 0);
}
