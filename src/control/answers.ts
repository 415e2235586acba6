/** What a route answers, and how its failure is told: `{error: {code, message}}` in JSON. */
import { UserError } from '../lib/errors.ts';

/** Path -> answer as JSON can hold it; a bigint becomes its decimal text. Its failures: `ControlError`, `UserError`. */
export type Routes = Readonly<Record<string, (query: URLSearchParams) => unknown | Promise<unknown>>>;

/** Error codes and their status of HTTP. */
const STATUS = {
  'bad-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  unavailable: 503,
  timeout: 504,
  internal: 500,
} as const;
export type ControlErrorCode = keyof typeof STATUS;

/** Thrown by a route: the client shows the message. */
export class ControlError extends Error {
  readonly code: ControlErrorCode;

  constructor(code: ControlErrorCode, message: string) {
    super(message);
    this.name = 'ControlError';
    this.code = code;
  }
}

export interface Answer {
  readonly status: number;
  /** JSON. */
  readonly text: string;
}

/**
 * Never rejects: every failure is an answer.
 * @param onDefect told of a failure that no route should have; the client only learns that there was one
 */
export async function answer(
  routes: Routes,
  path: string,
  query: URLSearchParams,
  timeoutMs: number,
  onDefect: (error: unknown) => void,
): Promise<Answer> {
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined)
    return failure('not-found', `no such route; there are ${Object.keys(routes).join(', ')}`);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new ControlError('timeout', `no answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    const value = await Promise.race([route(query), late.promise]);
    return { status: 200, text: `${JSON.stringify(value ?? null, plain)}\n` };
  } catch (error) {
    if (error instanceof ControlError) return failure(error.code, error.message);
    if (error instanceof UserError) return failure('unavailable', error.message);
    onDefect(error);
    return failure('internal', 'internal error, see the log of the agent');
  } finally {
    clearTimeout(timer);
  }
}

export function failure(code: ControlErrorCode, message: string): Answer {
  return { status: STATUS[code], text: `${JSON.stringify({ error: { code, message } })}\n` };
}

function plain(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
