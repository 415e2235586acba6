/** Whether HTTP/2 is spoken behind a Unix socket. */
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';

const ANSWER_MS = 2000;

/**
 * Resolves when the other end has sent its settings, which a server does at once (RFC 9113 section 3.4). grpc-js waits for them without
 * end and keeps the socket even when its channel is closed: so it only sees sockets that passed here.
 */
export function speaksHttp2(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const session = connectHttp2('http://localhost', { createConnection: () => socket });
    const end = (error?: Error) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      session.destroy();
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const stop = () => end(new Error('stopped'));
    const timer = setTimeout(() => end(new Error('no answer')), ANSWER_MS);
    signal.addEventListener('abort', stop);
    session.on('remoteSettings', () => end());
    session.on('error', end);
    socket.on('error', end);
    session.on('close', () => end(new Error('the connection was closed')));
  });
}
