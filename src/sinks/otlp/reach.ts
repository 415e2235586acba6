/** Whether anything listens where records shall go: one connection, closed again. */
import { connect } from 'node:net';
import type { OtlpTarget } from './target.ts';

const TIMEOUT_MS = 3000;

/** What keeps from it; undefined: something listens there. Never rejects, and keeps no program alive. */
export function reachProblem({ host, port, socket }: OtlpTarget): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const connection = socket === undefined ? connect({ host, port }) : connect(socket);
  connection.unref();
  connection.setTimeout(TIMEOUT_MS, () => {
    connection.destroy();
    resolve(`no answer within ${TIMEOUT_MS / 1000} s`);
  });
  connection.once('connect', () => {
    connection.destroy();
    resolve(undefined);
  });
  connection.once('error', (error: NodeJS.ErrnoException) => {
    // Several addresses were tried (RFC 8305): each has an error of its own.
    const [first] = 'errors' in error ? (error.errors as Error[]) : [];
    resolve(first?.message ?? (error.message === '' ? (error.code ?? 'no connection') : error.message));
  });
  return promise;
}
