/** Stands in front of the real API server, forwards everything, and spoils what the test says. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scope } from '../e2e/certificates.ts';
import type { Cluster } from './cluster.ts';

export type Fault =
  /** Answered without asking the server. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** Forwarded so much later. */
  | { readonly delayMs: number }
  /** Never answered. */
  | 'hang'
  /** The stream ends in the middle of its first event: with the connection, or in good order. */
  | 'cut'
  | 'end-early';

export class FaultProxy {
  /** Decides about each request. */
  fault: (request: IncomingMessage) => Fault | undefined = () => undefined;
  /** Path and query of every request, in order. */
  readonly seen: string[] = [];
  readonly #cluster: Cluster;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
    const { key, cert } = cluster.certificate;
    this.#server = createServer(
      { key: readFileSync(key), cert: readFileSync(cert) },
      (incoming, outgoing) => {
        this.#handle(incoming, outgoing).catch(() => outgoing.destroy());
      },
    );
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
    });
  }

  static async start(t: Scope, cluster: Cluster): Promise<FaultProxy> {
    const proxy = new FaultProxy(cluster);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    t.after(() => {
      proxy.dropConnections();
      proxy.#server.close();
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** Ends all connections, as a load balancer that is replaced. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  requests(part: string): number {
    return this.seen.filter((url) => url.includes(part)).length;
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    this.seen.push(incoming.url ?? '');
    const fault = this.fault(incoming);
    if (fault === 'hang') return;
    if (typeof fault === 'object' && 'status' in fault) {
      outgoing.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
      outgoing.end(fault.body ?? JSON.stringify({ kind: 'Status', message: `fault ${fault.status}` }));
      return;
    }
    if (typeof fault === 'object') await sleep(fault.delayMs);
    this.#forward(incoming, outgoing, fault === 'cut' || fault === 'end-early' ? fault : undefined);
  }

  #forward(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    fault: 'cut' | 'end-early' | undefined,
  ): void {
    const ca = readFileSync(this.#cluster.authority.file);
    const { method, url, headers } = incoming;
    const upstream = request(
      `${this.#cluster.url}${url}`,
      { method, headers, ca, agent: false },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        outgoing.flushHeaders();
        answer.on('error', () => outgoing.destroy());
        if (fault === undefined) answer.pipe(outgoing);
        else answer.once('data', (chunk: Buffer) => spoil(outgoing, chunk, fault));
      },
    );
    upstream.on('error', () => outgoing.destroy());
    outgoing.on('close', () => upstream.destroy());
    incoming.pipe(upstream);
  }
}

function spoil(outgoing: ServerResponse, chunk: Buffer, fault: 'cut' | 'end-early'): void {
  const half = chunk.subarray(0, chunk.length / 2);
  if (fault === 'end-early') outgoing.end(half);
  else outgoing.write(half, () => outgoing.destroy());
}
