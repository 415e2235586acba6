/** The socket of a service manager (sd_notify(3)), which Node itself cannot open. */
import { loadAddon } from './addon.ts';

/** A descriptor on which each write is one message, and none blocks. @throws Error: why it could not be connected */
export function connectDatagram(path: string): number {
  const connected = loadAddon().connectDatagram(path);
  if ('error' in connected) throw new Error(`${path}: ${connected.error.code}`);
  return connected.fd;
}
