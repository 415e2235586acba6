/** The inspector's process and the socket to it: whole messages in both directions. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { decodeHead, encodeHead, HEAD_BYTES } from './protocol.ts';

/** The supervisor ends when its socket does; more time than this means that it cannot. */
const END_MS = 1000;

export interface ChannelOptions {
  readonly program: string;
  readonly procRoot: string;
  /** An answer of the worker of a place; undefined: that worker has ended. */
  readonly onMessage: (place: number, answer: Buffer | undefined) => void;
  /** The inspector could not be started, or has ended. Once; not after close(). */
  readonly onEnd: (reason: string) => void;
}

export class Channel {
  readonly #options: ChannelOptions;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headLength = 0;
  #body: Buffer | undefined;
  #bodyLength = 0;
  #place = 0;
  #ended = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    // Nothing but the socket: a worker that is stuck for good must not hold the agent's streams open. A session of its own: what a terminal
    // sends to the agent's group is not meant for it.
    this.#child = spawn(options.program, [options.procRoot], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      cwd: '/',
      env: {},
      detached: true,
    });
    this.#child.unref();
    this.#socket = this.#child.stdio[3] as Socket;
    this.#socket.unref();
    this.#child.on('error', ({ message }) => this.#end(message));
    this.#child.on('exit', (code, signal) =>
      this.#end(signal === null ? `exit code ${code}` : `signal ${signal}`),
    );
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // The exit says why.
    this.#socket.on('error', () => undefined);
  }

  /** pid of the supervisor; undefined: it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(place: number, request: Buffer): void {
    this.#socket.write(Buffer.concat([encodeHead(request.length, place), request]));
  }

  /** Ends the worker of a place. It may take its time: onMessage tells. */
  kill(place: number): void {
    this.#socket.write(encodeHead(0, place));
  }

  /** While something is waited for the program does not end by itself. */
  hold(isWaiting: boolean): void {
    if (isWaiting) this.#socket.ref();
    else this.#socket.unref();
  }

  /** Resolves when the supervisor has ended, or was given up. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#socket.destroy();
    const child = this.#child;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once('exit', resolve);
    child.ref();
    const late = setTimeout(resolve, END_MS);
    await promise;
    clearTimeout(late);
    child.off('exit', resolve);
    child.unref();
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.destroy();
    this.#options.onEnd(reason);
  }

  #receive(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#ended; ) {
      if (this.#body === undefined) {
        const copied = chunk.copy(this.#head, this.#headLength, at, at + HEAD_BYTES - this.#headLength);
        at += copied;
        this.#headLength += copied;
        if (this.#headLength < HEAD_BYTES) return;
        this.#headLength = 0;
        const { size, place } = decodeHead(this.#head);
        this.#place = place;
        if (size === 0) this.#options.onMessage(place, undefined);
        else this.#body = Buffer.allocUnsafe(size);
        this.#bodyLength = 0;
        continue;
      }
      const copied = chunk.copy(this.#body, this.#bodyLength, at);
      at += copied;
      this.#bodyLength += copied;
      if (this.#bodyLength < this.#body.length) return;
      const whole = this.#body;
      this.#body = undefined;
      this.#options.onMessage(this.#place, whole);
    }
  }
}
