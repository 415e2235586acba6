/** Where the page in the browser is served: the value of `--ui`. */
import { isIPv4 } from 'node:net';
import { parseListenAddress } from './endpoint.ts';

export type PageAddress =
  | { readonly kind: 'socket'; readonly path: string }
  | {
      readonly kind: 'tcp';
      /** undefined: all addresses of the host. */
      readonly host: string | undefined;
      readonly port: number;
      readonly isLoopback: boolean;
    };

/** `ADDRESS:PORT`, `[IPV6]:PORT`, `:PORT` (all addresses) or `unix:/PATH`; undefined: it is none of these. */
export function parsePageAddress(text: string): PageAddress | undefined {
  const path = /^unix:(?:\/\/)?(\/[^\0]+)$/.exec(text)?.[1];
  if (path !== undefined) return { kind: 'socket', path };
  const at = parseListenAddress(text);
  return at === undefined ? undefined : { kind: 'tcp', ...at, isLoopback: isLoopback(at.host) };
}

function isLoopback(host: string | undefined): boolean {
  if (host === undefined) return false;
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
