/** A question to a running agent over its control socket. */
import { get, type IncomingMessage } from 'node:http';
import { EXIT, UserError } from '../lib/errors.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface AskOptions {
  readonly timeoutMs?: number;
}

/**
 * @param socket path of the agent's control socket; undefined: none was configured
 * @returns what the route answered
 * @throws UserError: no agent, no right, no answer in time, or the error that the agent answered
 */
export async function ask(
  socket: string | undefined,
  path: string,
  query: Readonly<Record<string, string>> = {},
  { timeoutMs = TIMEOUT_MS }: AskOptions = {},
): Promise<unknown> {
  if (socket === undefined)
    throw new UserError('which agent? the path of its control socket is not given', {
      hint: 'whodns --control PATH starts an agent with one; name it with --control PATH or WHODNS_CONTROL here too',
      exitCode: EXIT.usage,
    });
  const given = new URLSearchParams(query).toString();
  const { status, text } = await request(socket, given === '' ? path : `${path}?${given}`, timeoutMs);
  const value = parsed(text, socket);
  if (status === 200) return value;
  const { error } = (value ?? {}) as { error?: { code?: unknown; message?: unknown } };
  throw new UserError(
    typeof error?.message === 'string'
      ? error.message
      : `the agent at ${socket} answered with status ${status}`,
    { exitCode: error?.code === 'bad-request' ? EXIT.usage : EXIT.unavailable },
  );
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

function request(socketPath: string, path: string, timeoutMs: number): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const late = AbortSignal.timeout(timeoutMs);
    const sent = get({ socketPath, path, agent: false, signal: late }, (response) => {
      collect(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), fail);
    });
    function fail(error: NodeJS.ErrnoException): void {
      sent.destroy();
      reject(late.aborted ? noAnswer(socketPath, timeoutMs) : explained(error, socketPath));
    }
    sent.on('error', fail);
  });
}

async function collect(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_ANSWER_BYTES) throw new UserError(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parsed(text: string, socket: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError(`what listens at ${socket} is not an agent: its answer is not JSON`);
  }
}

function noAnswer(socket: string, timeoutMs: number): UserError {
  return new UserError(`no answer from the agent at ${socket} within ${timeoutMs / 1000} s`, {
    hint: 'it is overloaded or stopped (kill -STOP)',
  });
}

function explained(error: NodeJS.ErrnoException, socket: string): Error {
  if (error instanceof UserError) return error;
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'ENOTDIR':
      return new UserError(`no agent listens at ${socket}`, {
        hint: 'start one with whodns --control PATH, or name its path',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
      return new UserError(`no right to ask the agent at ${socket}`, {
        hint: 'ask as the user the agent runs as (root), the socket is for its owner only',
        cause: error,
      });
    default:
      return new UserError(`cannot ask the agent at ${socket}: ${error.message}`, { cause: error });
  }
}
