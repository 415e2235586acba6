/**
 * `/livez`, `/readyz` and, on request, `/metrics` by HTTP for whoever can reach the address: they say how the agent is, and
 * only /metrics says anything about the host.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseListenAddress } from '../lib/endpoint.ts';
import { UserError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { SourceStats } from '../model.ts';
import type { ConnectionBounds } from './connections.ts';
import { boundedServer, refusal, target } from './server.ts';

export type AgentState = 'starting' | 'capturing' | 'stopping' | 'broken';

export interface HealthParts {
  /** As parseListenAddress takes it. */
  readonly address: string;
  readonly state: () => AgentState;
  readonly stats: () => SourceStats;
  /** The metrics in Prometheus' text format. */
  readonly metrics: (() => Promise<string>) | undefined;
  readonly log: Log;
}

/**
 * Probes come from a few addresses, attackers from as many as they like: of the address with most the oldest gives way. A probe
 * is one packet each way; who needs longer than a second for it is not one.
 */
const BOUNDS: ConnectionBounds = { total: 768, perPeer: 640, headerMs: 1000, idleMs: 5000 };
/** Connections that wait to be accepted: fewer than one peer may have. */
const BACKLOG = 511;
/** Metrics asked for so soon after each other are the same text, which is in memory once however many do not read it. */
const SCRAPE_MS = 500;

const SAMPLE_MS = 1000;
/** So many samples in a row may find events in the ring and no batch taken. The reader needs milliseconds, or as long as one batch is worked on. */
const MAX_UNREAD = 30;

/** Whether the ring is read. Samples are counted, not time: while the event loop stood still nothing could be read either. */
export class RingWatch {
  #batches = -1;
  #unread = 0;

  sample({ ring, batches }: Pick<SourceStats, 'ring' | 'batches'>): void {
    const isUnread = batches === this.#batches && ring !== undefined && ring.used > 0;
    this.#unread = isUnread ? this.#unread + 1 : 0;
    this.#batches = batches;
  }

  get isStalled(): boolean {
    return this.#unread >= MAX_UNREAD;
  }
}

interface Reply {
  readonly status: number;
  readonly text: string | Buffer;
}

const PLAIN = 'text/plain; charset=utf-8';
/** https://prometheus.io/docs/instrumenting/exposition_formats/ */
const EXPOSITION = 'text/plain; version=0.0.4; charset=utf-8';

export class HealthServer {
  readonly #parts: HealthParts;
  readonly #server: Server;
  readonly #watch = new RingWatch();
  #timer: NodeJS.Timeout | undefined;
  #scrape: { readonly at: number; readonly reply: Promise<Reply> } | undefined;

  private constructor(parts: HealthParts) {
    this.#parts = parts;
    this.#server = boundedServer(BOUNDS, (request, response) => this.#serve(request, response));
  }

  /** @throws UserError: the address is taken or not of this host */
  static async listen(parts: HealthParts): Promise<HealthServer> {
    const health = new HealthServer(parts);
    await health.#listen();
    return health;
  }

  /** ADDRESS:PORT that it listens on. */
  get address(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #listen(): Promise<void> {
    const { address } = this.#parts;
    const at = parseListenAddress(address);
    if (at === undefined) throw new Error(`not checked: ${address}`);
    const listening = Promise.withResolvers<void>();
    this.#server.once('error', listening.reject);
    const where = at.host === undefined ? { port: at.port } : at;
    this.#server.listen({ ...where, backlog: BACKLOG }, listening.resolve);
    try {
      await listening.promise;
    } catch (error) {
      throw new UserError(`cannot listen on ${address} for --health: ${(error as Error).message}`, {
        hint: 'name a free port and an address of this host',
        cause: error,
      });
    }
    this.#timer = setInterval(() => this.#watch.sample(this.#parts.stats()), SAMPLE_MS).unref();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refused = refusal(request);
    if (refused !== undefined) return send(response, refused, 'application/json');
    const { pathname } = target(request);
    if (pathname === '/metrics' && this.#parts.metrics !== undefined)
      return send(response, await this.#scraped(this.#parts.metrics), EXPOSITION);
    send(response, this.#probe(pathname), PLAIN);
  }

  #probe(path: string): Reply {
    if (path === '/livez')
      return this.#watch.isStalled ? unwell('the ring is not read') : { status: 200, text: 'ok\n' };
    if (path !== '/readyz') return { status: 404, text: 'not found\n' };
    const state = this.#parts.state();
    return state === 'capturing' ? { status: 200, text: 'ok\n' } : unwell(state);
  }

  #scraped(scrape: () => Promise<string>): Promise<Reply> {
    const now = performance.now();
    if (this.#scrape === undefined || now - this.#scrape.at > SCRAPE_MS)
      this.#scrape = { at: now, reply: this.#metrics(scrape) };
    return this.#scrape.reply;
  }

  async #metrics(scrape: () => Promise<string>): Promise<Reply> {
    try {
      return { status: 200, text: Buffer.from(await scrape()) };
    } catch (error) {
      this.#parts.log.error(`metrics: ${(error as Error).message}`);
      return { status: 500, text: 'internal error\n' };
    }
  }
}

function unwell(why: string): Reply {
  return { status: 503, text: `${why}\n` };
}

function send(response: ServerResponse, { status, text }: Reply, type: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
