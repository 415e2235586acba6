/** Where a server listens, as it is written in a setting: `http(s)://HOST:PORT/PATH`, `HOST:PORT` or `unix:PATH`. */
import { isIP, isIPv6 } from 'node:net';

export interface Endpoint {
  /** undefined: none was written. */
  readonly scheme: 'http' | 'https' | 'unix' | undefined;
  /** Without brackets; '' for a unix socket. */
  readonly host: string;
  /** undefined: none was written; 80 and 443 with their scheme count as not written. */
  readonly port: number | undefined;
  /** Of the URL, with its query; of the socket for `unix`. */
  readonly path: string;
  /** `user:password` decoded; undefined when there is none. */
  readonly credentials: string | undefined;
  /** For messages: without credentials. */
  readonly shown: string;
}

/** undefined when the text is no endpoint. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const socket = /^unix:(?:\/\/)?(\/[^\0]+)$/.exec(text)?.[1];
  if (socket !== undefined) {
    const rest = { host: '', port: undefined, credentials: undefined };
    return { scheme: 'unix', path: socket, shown: `unix:${socket}`, ...rest };
  }
  const scheme = /^(https?):\/\//i.exec(text)?.[1]?.toLowerCase() as 'http' | 'https' | undefined;
  // The scheme that stands in for a missing one has no default port that would be left out.
  const url = scheme === undefined ? `none://${text}` : text;
  if (!URL.canParse(url) || (scheme === undefined && !/^[^/?#@]+$/.test(text))) return undefined;
  const parsed = new URL(url);
  if (parsed.hostname === '') return undefined;
  return {
    scheme,
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? undefined : Number(parsed.port),
    path: `${parsed.pathname}${parsed.search}`,
    credentials: credentialsOf(parsed),
    shown: scheme === undefined ? text : `${parsed.protocol}//${parsed.host}${parsed.pathname}`,
  };
}

function credentialsOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    return `${username}:${password}`;
  }
}

/** Where we listen: `ADDRESS:PORT`, `[IPV6]:PORT`, `localhost:PORT` or `:PORT` (all addresses); port 0 is any free one. */
export interface ListenAddress {
  /** undefined: all. */
  readonly host: string | undefined;
  readonly port: number;
}

/** undefined when the text is no such address. Host names are not looked up: who listens where must not hang on DNS. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, v6, v4 = '', digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits ?? Number.NaN);
  if (Number.isNaN(port) || port > 65535) return undefined;
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port } : undefined;
  if (v4 === '') return { host: undefined, port };
  return v4 === 'localhost' || isIP(v4) === 4 ? { host: v4, port } : undefined;
}
