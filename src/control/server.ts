/**
 * The agent's control socket: HTTP over a Unix socket that only its owner may open. Everything a client can make it keep
 * or wait for is bounded.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Log } from '../lib/log.ts';
import { type Answer, answer, failure, type Routes } from './answers.ts';
import { type ConnectionBounds, Connections } from './connections.ts';
import { FirstRequest, readHead } from './first-request.ts';
import { listenAt } from './socket-file.ts';

/** Request line and headers. */
const MAX_REQUEST_BYTES = 8192;
/** For a route to answer. */
const PATIENCE_MS = 5000;

/** Whoever may open the socket is root or the agent's own user: the kernel does not say more of a peer to Node. */
const BOUNDS: ConnectionBounds = { total: 32, perPeer: 32, headerMs: 1000, idleMs: 30_000 };

export class ControlServer {
  readonly #server: Server;
  readonly #remove: () => void;

  private constructor(server: Server, remove: () => void) {
    this.#server = server;
    this.#remove = remove;
  }

  /** @throws UserError: the socket cannot be made */
  static async listen(path: string, routes: Routes, log: Log): Promise<ControlServer> {
    const server = boundedServer(BOUNDS, (request, response) => serve(routes, request, response, log));
    return new ControlServer(server, await listenAt(server, path));
  }

  close(): void {
    this.#remove();
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/**
 * One request a connection, without a body; few connections, short requests, no endless waits. When there are too many, those
 * go first that have not sent their request yet, of the peer that has most, the oldest: so no number of slow ones keeps out one
 * that asks at once.
 */
export function boundedServer(
  bounds: ConnectionBounds,
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Server {
  const server = createServer(
    {
      maxHeaderSize: MAX_REQUEST_BYTES,
      headersTimeout: bounds.headerMs,
      requestTimeout: bounds.headerMs,
      connectionsCheckingInterval: 500,
      keepAlive: false,
    },
    (request, response) => {
      response.shouldKeepAlive = false;
      void handle(request, response);
    },
  );
  const connections = new Connections(bounds);
  const parse = server.listeners('connection') as ((connection: Duplex) => void)[];
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.on('error', () => socket.destroy());
    socket.setTimeout(bounds.idleMs, () => socket.destroy());
    readHead(socket, MAX_REQUEST_BYTES, (head) => {
      connections.asked(socket);
      const release = () => connections.release(socket);
      for (const listener of parse) listener.call(server, new FirstRequest(socket, head, release));
    });
  });
  return server;
}

/** Its sender is known: strangers do not make its connection give way. How many there are of these, the caller bounds. */
export function exempt({ socket }: IncomingMessage, idleMs: number): void {
  const connection: unknown = socket;
  if (connection instanceof FirstRequest) connection.exempt(idleMs);
}

async function serve(
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
  log: Log,
): Promise<void> {
  const refused = refusal(request);
  if (refused !== undefined) return send(response, refused);
  const { pathname, searchParams } = target(request);
  const found = await answer(routes, pathname, searchParams, PATIENCE_MS, (error) =>
    log.error(
      `control ${pathname}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    ),
  );
  send(response, found);
}

/** undefined: a request as it should be. */
export function refusal({ method, headers, url }: IncomingMessage): Answer | undefined {
  if (method !== 'GET') return failure('method-not-allowed', 'only GET');
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0')
    return failure('bad-request', 'a request has no body');
  if (!URL.canParse(url ?? '', ORIGIN)) return failure('bad-request', 'the path is not well-formed');
  return undefined;
}

const ORIGIN = 'http://whodns';

export function target({ url }: IncomingMessage): URL {
  return new URL(url ?? '', ORIGIN);
}

function send(response: ServerResponse, { status, text }: Answer): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
