/** The history of a running agent by its control socket: routes here, and the same questions on the other side. */
import { askedOf, forwarded, QUESTIONS } from '../history/forwarded.ts';
import type { HistoryQueries } from '../history/types.ts';
import { EXIT, UserError } from '../lib/errors.ts';
import { ControlError, type Routes } from './answers.ts';
import { ask } from './client.ts';

/**
 * `/history/QUESTION?q=` with the arguments as JSON.
 * @param history opens it when it is first asked; rejects with a UserError where there is none
 */
export function historyRoutes(history: () => Promise<HistoryQueries>): Routes {
  return Object.fromEntries(
    QUESTIONS.map((question) => [
      `/history/${question}`,
      async (query: URLSearchParams) => {
        const given = argumentsOf(query.get('q'));
        const queries = await history();
        try {
          return (await askedOf(queries, question, given)) ?? null;
        } catch (error) {
          if (error instanceof UserError && error.exitCode === EXIT.usage)
            throw new ControlError('bad-request', error.message);
          throw error;
        }
      },
    ]),
  );
}

function argumentsOf(text: string | null): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    if (Array.isArray(value)) return value;
  } catch {
    // said below
  }
  throw new ControlError('bad-request', 'q is no list of arguments as JSON');
}

/** What an agent keeps, asked by its socket. @param socket path of the agent's control socket */
export function remoteHistory(socket: string): HistoryQueries {
  return forwarded(async (question, given) => {
    // JSON has no undefined: an answer that there is none is null.
    return (await ask(socket, `/history/${question}`, { q: JSON.stringify(given) })) ?? undefined;
  });
}
