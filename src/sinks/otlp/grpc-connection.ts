/** One HTTP/2 connection to a gRPC server. It is used until it says that it ends, then another one is made. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect as connectHttp2,
  constants,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { type GrpcStatus, transportStatus } from './grpc-status.ts';
import type { OtlpTarget } from './target.ts';
import type { TlsMaterial } from './transport-tls.ts';

/**
 * A connection whose other end is gone without a word answers nothing. Pings find that out while a call is under way;
 * gRPC servers refuse more frequent ones from clients without calls (gRPC keepalive, "too_many_pings").
 */
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

export class GrpcConnection {
  readonly material: TlsMaterial | undefined;
  /** The server has sent its settings: it speaks HTTP/2. */
  isOpen = false;
  readonly #session: ClientHttp2Session;
  #calls = 0;
  #keepalive: NodeJS.Timeout | undefined;
  #goaway = 0;
  #reason = 'the connection was closed';

  constructor(target: OtlpTarget, material: TlsMaterial | undefined) {
    this.material = material;
    this.#session = connectHttp2(authority(target), sessionOptions(target, material));
    this.#session.unref(); // while no call is under way it keeps nothing alive
    this.#session.on('remoteSettings', () => {
      this.isOpen = true;
    });
    this.#session.on('goaway', (code) => {
      this.#goaway = code;
    });
    this.#session.on('error', () => {}); // its calls have the error before it has
    this.#session.on('close', () => clearInterval(this.#keepalive));
  }

  /** No call can begin on it any more. */
  get isEnding(): boolean {
    return this.#session.closed || this.#session.destroyed;
  }

  /** @throws Error for headers that HTTP/2 does not have, or when it is ending */
  request(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    const stream = this.#session.request(headers);
    if (this.#calls++ === 0) this.#busy();
    stream.once('close', () => {
      if (--this.#calls === 0) this.#idle();
    });
    return stream;
  }

  /** Of a call that was cut off with the connection; undefined: the connection is not the cause. `error`: the call's own. */
  lost(error: Error | undefined): GrpcStatus | undefined {
    if (!this.isEnding) return undefined;
    const isCalm = this.#goaway === constants.NGHTTP2_ENHANCE_YOUR_CALM;
    const reason = error === undefined ? '' : causeOf(error);
    return transportStatus(
      isCalm ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE',
      reason === '' ? this.#reason : reason,
    );
  }

  /** Calls under way end on it. */
  retire(): void {
    this.#session.close();
  }

  /** Cuts the calls under way. */
  destroy(reason: string): void {
    this.#reason = reason;
    this.#session.destroy();
  }

  #busy(): void {
    this.#session.ref();
    this.#keepalive = setInterval(() => this.#ping(), KEEPALIVE_MS).unref();
  }

  #idle(): void {
    clearInterval(this.#keepalive);
    if (!this.#session.destroyed) this.#session.unref();
  }

  #ping(): void {
    if (this.#session.connecting) return;
    const dead = setTimeout(() => this.destroy('no answer to a ping'), KEEPALIVE_TIMEOUT_MS).unref();
    this.#session.ping(() => clearTimeout(dead));
  }
}

/** A call that waited for the connection has an error of its own around that of the connection. */
function causeOf({ message, code }: NodeJS.ErrnoException): string {
  const text = /\(caused by: (.*)\)$/s.exec(message)?.[1] ?? message;
  return text === '' ? (code ?? '') : text;
}

function authority({ host, port, socket, tls }: OtlpTarget): string {
  if (socket !== undefined) return 'http://localhost';
  return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function sessionOptions(
  { socket }: OtlpTarget,
  material: TlsMaterial | undefined,
): ClientSessionOptions | SecureClientSessionOptions {
  const settings = { enablePush: false };
  if (socket !== undefined) return { settings, createConnection: () => connectSocket(socket) };
  return { settings, ...material };
}
