/**
 * The page in the browser: its files, the answers of the history, lookups as they end, the agent's own state. Read only. One request a
 * connection, bounded as those of --health; whoever has the token does not compete with strangers for a connection.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { type Answer, answer, failure, type Routes } from '../control/answers.ts';
import type { ConnectionBounds } from '../control/connections.ts';
import { boundedServer, exempt, refusal, target } from '../control/server.ts';
import { listenAt } from '../control/socket-file.ts';
import type { HistoryQueries } from '../history/types.ts';
import type { StageSnapshot } from '../ledger.ts';
import { UserError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { type PageAddress, parsePageAddress } from '../lib/page-address.ts';
import type { SourceStats } from '../model.ts';
import { type PageFile, readPage, SAFETY } from './files.ts';
import { createToken, Guard, ownNames } from './guard.ts';
import { LiveStream } from './live.ts';
import { FilterError, historyRoutes, narrowingOf } from './questions.ts';
import { Vitals } from './vitals.ts';

/** Strangers' connections. As for --health: of the peer with most the oldest gives way. */
const BOUNDS: ConnectionBounds = { total: 128, perPeer: 96, headerMs: 1000, idleMs: 10_000 };
const BACKLOG = 64;
/** Pages that look at once; one more, and the oldest is closed. */
const MAX_STREAMS = 16;
/** A page that has read nothing for so long is gone. */
const STUCK_MS = 60_000;
/** Questions at work at once. */
const MAX_QUESTIONS = 12;
const PATIENCE_MS = 20_000;

export interface UiParts {
  /** As parsePageAddress takes it. */
  readonly address: string;
  readonly history: HistoryQueries;
  readonly stats: () => { readonly stages: readonly StageSnapshot[]; readonly source: SourceStats };
  readonly version: string;
  readonly log: Log;
}

export class UiServer {
  readonly #parts: UiParts;
  readonly #address: PageAddress;
  readonly #token = createToken();
  readonly #guard: Guard;
  readonly #files: ReadonlyMap<string, PageFile> = readPage();
  readonly #routes: Routes;
  readonly #vitals: Vitals;
  readonly #server: Server;
  readonly #streams = new Set<LiveStream>();
  #questions = 0;
  #remove: () => void = () => {};

  private constructor(parts: UiParts, address: PageAddress) {
    this.#parts = parts;
    this.#address = address;
    this.#guard = new Guard(this.#token, ownNames(address));
    this.#vitals = new Vitals(parts, () => this.#streams.size);
    this.#routes = { ...historyRoutes(parts.history), '/api/health': () => this.#vitals.health() };
    this.#server = boundedServer(BOUNDS, (request, response) => this.#serve(request, response));
  }

  /** @throws UserError: the address is taken or not of this host, the socket cannot be made */
  static async listen(parts: UiParts): Promise<UiServer> {
    const address = parsePageAddress(parts.address);
    if (address === undefined) throw new Error(`not checked: ${parts.address}`);
    const ui = new UiServer(parts, address);
    await ui.#listen();
    return ui;
  }

  /** The page's address with the token: who knows it may look. */
  get url(): string {
    return `${this.origin}/#token=${this.#token}`;
  }

  /** How to get to a socket; undefined: the address says it. */
  get note(): string | undefined {
    if (this.#address.kind === 'tcp') return undefined;
    return `from where the browser is: ssh -L 9053:${this.#address.path} HOST`;
  }

  /** undefined: strangers cannot listen in on the way. */
  get warning(): string | undefined {
    if (this.#address.kind === 'socket' || this.#address.isLoopback) return undefined;
    return '--ui listens beyond this host: lookups and the token cross the network unencrypted; 127.0.0.1 and ssh -L do not';
  }

  close(): void {
    this.#remove();
    this.#vitals.close();
    for (const stream of this.#streams) stream.close();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** Without the token. Of a socket: where ssh -L would put it. */
  get origin(): string {
    if (this.#address.kind === 'socket') return 'http://127.0.0.1:9053';
    const { address, port, family } = this.#server.address() as AddressInfo;
    if (address === '::' || address === '0.0.0.0') return `http://${hostname()}:${port}`;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  async #listen(): Promise<void> {
    if (this.#address.kind === 'socket') {
      this.#remove = await listenAt(this.#server, this.#address.path);
      return;
    }
    const { host, port } = this.#address;
    const listening = Promise.withResolvers<void>();
    this.#server.once('error', listening.reject);
    this.#server.listen(
      { port, ...(host === undefined ? {} : { host }), backlog: BACKLOG },
      listening.resolve,
    );
    try {
      await listening.promise;
    } catch (error) {
      throw new UserError(`cannot listen on ${this.#parts.address} for --ui: ${(error as Error).message}`, {
        hint: 'name a free port and an address of this host',
        cause: error,
      });
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refused = refusal(request) ?? this.#guard.refusal(request.headers);
    if (refused !== undefined) return send(response, refused);
    const { pathname, searchParams } = target(request);
    const file = this.#files.get(pathname);
    if (file !== undefined) return sendFile(response, file);
    const isPrivate = this.#guard.privateRefusal(request.headers);
    if (isPrivate !== undefined) return send(response, isPrivate);
    if (pathname === '/api/live') return this.#live(request, response, searchParams);
    if (this.#questions >= MAX_QUESTIONS)
      return send(response, failure('unavailable', 'too many questions at once'));
    exempt(request, PATIENCE_MS + BOUNDS.idleMs);
    this.#questions++;
    try {
      send(response, await this.#answer(pathname, searchParams));
    } finally {
      this.#questions--;
    }
  }

  async #answer(path: string, query: URLSearchParams): Promise<Answer> {
    try {
      if (path !== '/api/health') narrowingOf(query);
    } catch (error) {
      if (error instanceof FilterError) return filterFailure(error);
    }
    return answer(this.#routes, path, query, PATIENCE_MS, (error) => this.#defect(path, error));
  }

  async #live(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Promise<void> {
    let narrowing: ReturnType<typeof narrowingOf>;
    try {
      narrowing = narrowingOf(query);
    } catch (error) {
      if (error instanceof FilterError) return send(response, filterFailure(error));
      return send(response, failure('bad-request', (error as Error).message));
    }
    exempt(request, STUCK_MS);
    const [oldest] = this.#streams;
    if (this.#streams.size >= MAX_STREAMS) oldest?.close();
    response.writeHead(200, { ...SAFETY, 'content-type': 'application/x-ndjson; charset=utf-8' });
    const stream = new LiveStream(response, {
      history: this.#parts.history,
      hello: this.#vitals.hello(),
      beat: () => this.#vitals.beat(),
      narrowing,
      onError: (error) => this.#defect('/api/live', error),
    });
    this.#streams.add(stream);
    await stream.run();
    this.#streams.delete(stream);
  }

  #defect(path: string, error: unknown): void {
    const text = error instanceof UserError ? error.message : ((error as Error).stack ?? String(error));
    this.#parts.log.error(`ui ${path}: ${text}`);
  }
}

/** The failure of a filter, with the place where it is wrong. */
function filterFailure({ message, at, end }: FilterError): Answer {
  const { status } = failure('bad-request', message);
  return { status, text: `${JSON.stringify({ error: { code: 'bad-request', message, at, end } })}\n` };
}

function send(response: ServerResponse, { status, text }: Answer): void {
  response.writeHead(status, {
    ...SAFETY,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

function sendFile(response: ServerResponse, { type, bytes }: PageFile): void {
  response.writeHead(200, { ...SAFETY, 'content-type': type, 'content-length': bytes.length });
  response.end(bytes);
}
