/**
 * GET of the Kubernetes API: one answer, or a watch's stream of objects. Every wait, body and line has a bound. Failures are
 * values: what goes wrong here goes wrong every day.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { Access } from './access.ts';
import { LineSplitter } from './line-splitter.ts';

/** Low-cardinality words, an attribute of metrics. */
export type FailureReason =
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'gone'
  | 'throttled'
  | 'server_error'
  | 'http_error'
  | 'unreachable'
  | 'timeout'
  | 'credentials'
  | 'malformed'
  | 'truncated'
  | 'too_large';

export interface Failure {
  readonly reason: FailureReason;
  readonly message: string;
  /** What the server asked for, ms. */
  readonly retryAfterMs?: number;
}

export interface ApiLimits {
  /** From the request to the answer's header, and between two pieces of its body. */
  readonly timeoutMs: number;
  /** A watch that says nothing for so long is dead: the server sends a bookmark about once a minute. */
  readonly watchIdleMs: number;
  readonly bodyBytes: number;
  readonly lineBytes: number;
}

export const API_LIMITS: ApiLimits = {
  timeoutMs: 30_000,
  watchIdleMs: 150_000,
  bodyBytes: 64 * 1024 * 1024,
  // An object has at most 1.5 MB in etcd; as JSON it may be somewhat larger.
  lineBytes: 4 * 1024 * 1024,
};

export interface Request {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly accept?: string;
  readonly signal: AbortSignal;
}

const ERROR_BYTES = 4096;
const KEEP_ALIVE_MS = 15_000;
const MAX_RETRY_AFTER_S = 300;

export class ApiClient {
  readonly #access: Access;
  readonly #limits: ApiLimits;

  constructor(access: Access, limits: ApiLimits = API_LIMITS) {
    this.#access = access;
    this.#limits = limits;
  }

  /** The body as parsed JSON. */
  async get(request: Request): Promise<{ readonly value: unknown } | Failure> {
    const answer = await this.#open(request);
    if ('reason' in answer) return answer;
    const body = await readBody(answer, this.#limits.bodyBytes, this.#limits.timeoutMs);
    if ('reason' in body) return body;
    try {
      return { value: JSON.parse(body.text) as unknown };
    } catch {
      return { reason: 'malformed', message: 'the answer is not JSON' };
    }
  }

  /**
   * Every line of the answer as parsed JSON, until it ends.
   * @param onOpen the server has accepted the watch
   * @param onObject returns a failure to end the watch with it
   * @returns undefined: the server ended it in good order, as it does every few minutes
   */
  async watch(
    request: Request,
    onOpen: () => void,
    onObject: (value: unknown) => Failure | undefined,
  ): Promise<Failure | undefined> {
    const answer = await this.#open(request);
    if ('reason' in answer) return answer;
    onOpen();
    const lines = new LineSplitter(this.#limits.lineBytes);
    const idle = idleTimer(answer, this.#limits.watchIdleMs);
    try {
      for await (const chunk of answer) {
        idle.refresh();
        for (const line of lines.push(chunk as Buffer)) {
          const failure = line === undefined ? tooLarge('a watch event') : parsed(line, onObject);
          if (failure !== undefined) return failure;
        }
      }
      if (lines.pending > 0) return { reason: 'truncated', message: 'the watch ended within an event' };
      return undefined;
    } catch (error) {
      return networkFailure(error);
    } finally {
      idle.stop();
      answer.destroy();
    }
  }

  async #open({ path, query, accept, signal }: Request): Promise<IncomingMessage | Failure> {
    let options: RequestOptions;
    try {
      options = await this.#access.options();
    } catch (error) {
      return { reason: 'credentials', message: (error as Error).message };
    }
    const url = new URL(this.#access.base);
    url.pathname = url.pathname.replace(/\/$/, '') + path;
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    const headers = { ...options.headers, accept: accept ?? 'application/json', 'user-agent': 'whodns' };
    const answer = await send(url, { ...options, headers }, signal, this.#limits.timeoutMs);
    return 'reason' in answer || answer.statusCode === 200 ? answer : httpFailure(answer);
  }
}

/** Resolves with the header of the answer. */
function send(
  url: URL,
  options: RequestOptions,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<IncomingMessage | Failure> {
  return new Promise((resolve) => {
    const method = url.protocol === 'http:' ? httpRequest : httpsRequest;
    const outgoing = method(url, { ...options, method: 'GET', signal });
    const timer = setTimeout(() => outgoing.destroy(new TimeoutError('no answer in time')), timeoutMs);
    outgoing.on('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
    outgoing.on('response', (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    // Stays for errors after the answer, which its reader sees as well.
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      resolve(networkFailure(error));
    });
    outgoing.end();
  });
}

class TimeoutError extends Error {}

function networkFailure(error: unknown): Failure {
  const { message, code } = error as NodeJS.ErrnoException;
  if (error instanceof TimeoutError) return { reason: 'timeout', message };
  return { reason: 'unreachable', message: code === undefined ? message : `${message} (${code})` };
}

function tooLarge(what: string): Failure {
  return { reason: 'too_large', message: `${what} is too large` };
}

function parsed(line: string, onObject: (value: unknown) => Failure | undefined): Failure | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { reason: 'malformed', message: 'a watch event is not JSON' };
  }
  return onObject(value);
}

/** Ends the answer when nothing comes for so long. */
function idleTimer(answer: IncomingMessage, ms: number): { refresh(): void; stop(): void } {
  const timer = setTimeout(() => answer.destroy(new TimeoutError('nothing came for too long')), ms);
  return { refresh: () => timer.refresh(), stop: () => clearTimeout(timer) };
}

async function readBody(
  answer: IncomingMessage,
  max: number,
  timeoutMs: number,
): Promise<{ readonly text: string } | Failure> {
  const idle = idleTimer(answer, timeoutMs);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of answer) {
      idle.refresh();
      length += (chunk as Buffer).length;
      if (length > max) return tooLarge('the answer');
      chunks.push(chunk as Buffer);
    }
    return { text: Buffer.concat(chunks).toString('utf8') };
  } catch (error) {
    return networkFailure(error);
  } finally {
    idle.stop();
    answer.destroy();
  }
}

const REASONS: Readonly<Record<number, FailureReason>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  410: 'gone',
  429: 'throttled',
};

export function httpReason(status: number): FailureReason {
  return REASONS[status] ?? (status >= 500 ? 'server_error' : 'http_error');
}

/** With the message of the `Status` object that Kubernetes answers with. */
async function httpFailure(answer: IncomingMessage): Promise<Failure> {
  const status = answer.statusCode ?? 0;
  const after = Number(answer.headers['retry-after']);
  const body = await readBody(answer, ERROR_BYTES, 1000);
  let detail = '';
  if ('text' in body) detail = /"message":\s?"((?:[^"\\]|\\.){1,300})/.exec(body.text)?.[1] ?? '';
  return {
    reason: httpReason(status),
    message: `HTTP status ${status}${detail === '' ? '' : `: ${detail}`}`,
    ...(after > 0 ? { retryAfterMs: Math.min(after, MAX_RETRY_AFTER_S) * 1000 } : {}),
  };
}
