/**
 * The first request of a connection and nothing after it: what is pipelined (RFC 9112 section 9.3.2) never reaches the parser, which
 * would work through a thousand requests of one read in one go.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

const END = Buffer.from('\r\n\r\n');

/** Calls `onHead` once, with the request line and headers, or with as much as is more than `most` bytes. */
export function readHead(socket: Socket, max: number, onHead: (head: Buffer) => void): void {
  let head: Buffer = Buffer.alloc(0);
  const onData = (piece: Buffer): void => {
    head = head.length === 0 ? piece : Buffer.concat([head, piece]);
    const end = head.indexOf(END);
    if (end < 0 && head.length <= max) return;
    socket.off('data', onData);
    // Read and thrown away: what is unread at the close would make the kernel reset the connection, the answer with it.
    socket.resume();
    // Too long: enough for the parser to find that.
    onHead(head.subarray(0, end < 0 ? 2 * max : end + END.length));
  };
  socket.on('data', onData);
}

/** A connection that gives `head` to who reads it, and passes on what is written. */
export class FirstRequest extends Duplex {
  readonly #socket: Socket;
  /** It no longer counts among the connections that have to give way, and may do nothing for that long. */
  readonly exempt: (idleMs: number) => void;

  constructor(socket: Socket, head: Buffer, release: () => void) {
    super();
    this.#socket = socket;
    this.exempt = (idleMs) => {
      release();
      socket.setTimeout(idleMs);
    };
    socket.once('close', () => this.destroy());
    socket.on('error', () => this.destroy());
    this.push(head);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroySoon();
    done(error);
  }
}
