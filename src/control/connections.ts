/**
 * The open connections of a server, by peer. A new one is always taken; when there are too many one that was there gives way:
 * first of those that have not sent a request yet, of the peer that has most of them, the oldest.
 */
import type { Socket } from 'node:net';

export interface ConnectionBounds {
  /** Connections at once. */
  readonly total: number;
  /** Of one peer address. More than the backlog: what is accepted in one go has been read before it could give way. */
  readonly perPeer: number;
  /** From the connection to the end of the headers. */
  readonly headerMs: number;
  /** To read the answer, or to do nothing. */
  readonly idleMs: number;
}

/** Connections of one peer in the order they came: those that have asked, and those that have not. */
interface Peer {
  readonly address: string;
  readonly silent: Set<Socket>;
  readonly asked: Set<Socket>;
}

export class Connections {
  readonly #bounds: ConnectionBounds;
  readonly #peers = new Map<string, Peer>();
  readonly #open = new Map<Socket, { readonly peer: Peer; readonly timer: NodeJS.Timeout }>();

  constructor(bounds: ConnectionBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#open.size;
  }

  add(socket: Socket): void {
    const { total, perPeer, headerMs } = this.#bounds;
    const peer = this.#peer(peerOf(socket));
    if (sizeOf(peer) >= perPeer) this.#giveWay(peer);
    if (this.#open.size >= total) this.#giveWay(this.#largest());
    this.#peers.set(peer.address, peer);
    peer.silent.add(socket);
    // Node itself looks for late headers only now and then.
    const timer = setTimeout(() => socket.destroy(), headerMs);
    this.#open.set(socket, { peer, timer });
    socket.once('close', () => this.#forget(socket));
  }

  /** Its request has come. */
  asked(socket: Socket): void {
    const known = this.#open.get(socket);
    if (known === undefined || !known.peer.silent.delete(socket)) return;
    clearTimeout(known.timer);
    known.peer.asked.add(socket);
  }

  /** It is bounded by others from now on. */
  release(socket: Socket): void {
    this.#forget(socket);
  }

  #peer(address: string): Peer {
    return this.#peers.get(address) ?? { address, silent: new Set(), asked: new Set() };
  }

  #giveWay(peer: Peer | undefined): void {
    if (peer === undefined) return;
    const [oldest] = peer.silent.size > 0 ? peer.silent : peer.asked;
    if (oldest === undefined) return;
    this.#forget(oldest);
    oldest.destroy();
  }

  /** The peer with most silent connections; with most of any, if none is silent. */
  #largest(): Peer | undefined {
    let largest: Peer | undefined;
    for (const peer of this.#peers.values())
      if (largest === undefined || rank(peer) > rank(largest)) largest = peer;
    return largest;
  }

  #forget(socket: Socket): void {
    const known = this.#open.get(socket);
    if (known === undefined) return;
    const { peer, timer } = known;
    clearTimeout(timer);
    this.#open.delete(socket);
    peer.silent.delete(socket);
    peer.asked.delete(socket);
    if (sizeOf(peer) === 0) this.#peers.delete(peer.address);
  }
}

function sizeOf({ silent, asked }: Peer): number {
  return silent.size + asked.size;
}

function rank(peer: Peer): number {
  return peer.silent.size * 1000 + peer.asked.size;
}

/** Of IPv6 the network that one machine has to itself (RFC 6177): its addresses cost it nothing. */
function peerOf({ remoteAddress = '' }: Socket): string {
  if (!remoteAddress.includes(':') || remoteAddress.startsWith('::')) return remoteAddress;
  return remoteAddress.split(':', 4).join(':');
}
