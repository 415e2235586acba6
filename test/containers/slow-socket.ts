/** A Unix socket in front of another, which lets the answers come late. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class SlowSocket {
  readonly path: string;
  /** Of every piece of an answer. */
  delayMs = 0;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(path: string, target: string) {
    this.path = path;
    this.#server = createServer((client) => {
      const upstream = connect(target);
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#open.add(socket);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          this.#open.delete(socket);
          other.destroy();
        });
      }
      client.on('data', (bytes) => upstream.write(bytes));
      upstream.on('data', (bytes) => {
        if (this.delayMs === 0) client.write(bytes);
        else setTimeout(() => client.writable && client.write(bytes), this.delayMs);
      });
    });
  }

  static async open(path: string, target: string): Promise<SlowSocket> {
    const slow = new SlowSocket(path, target);
    await new Promise<void>((resolve) => slow.#server.listen(path, resolve));
    return slow;
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
