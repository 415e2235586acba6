/** Where a server listens, as it is written in a setting: `http(s)://HOST:PORT/PATH`, `HOST:PORT` or `unix:PATH`. */

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
