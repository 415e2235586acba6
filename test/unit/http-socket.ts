/** An HTTP server on a Unix socket. */
import { createServer, type RequestListener } from 'node:http';

/** @returns what listens at a path when it is called; `close` cuts its connections. */
export function http(listener: RequestListener): (path: string) => Promise<{ close(): void }> {
  return (path) =>
    new Promise((resolve) => {
      const server = createServer(listener);
      const close = () => {
        server.close();
        server.closeAllConnections();
      };
      server.listen(path, () => resolve({ close }));
    });
}
