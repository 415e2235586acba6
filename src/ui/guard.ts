/**
 * Who may ask. Loopback is no permission: every user of the host, and every page in the browser, reaches it. So nothing of the agent is told
 * without the token, and what a browser says of a request must fit: a page of someone else can neither ask with a name of its own that
 * leads here (DNS rebinding) nor from its own origin.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { type Answer, failure } from '../control/answers.ts';
import type { PageAddress } from '../lib/page-address.ts';

const TOKEN_BYTES = 32;

/** 256 random bits as 43 characters that need no escape in an address. */
export function createToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** Names by which a browser may ask for the page, next to IP addresses. */
export function ownNames(address: PageAddress): readonly string[] {
  const isExposed = address.kind === 'tcp' && !address.isLoopback;
  return isExposed ? ['localhost', hostname().toLowerCase()] : ['localhost'];
}

export class Guard {
  readonly #digest: Buffer;
  readonly #names: readonly string[];

  /** @param names lower case: who may be named in `Host` next to IP addresses, which no name server can point elsewhere */
  constructor(token: string, names: readonly string[]) {
    this.#digest = digestOf(token);
    this.#names = names;
  }

  /** Of any request. undefined: nothing is wrong with it. */
  refusal({ host = '', origin }: IncomingHttpHeaders): Answer | undefined {
    const name = hostOf(host);
    if (name === undefined || !(isIP(name) !== 0 || this.#names.includes(name)))
      return failure('forbidden', 'Host is neither an IP address nor a name of this host');
    if (origin !== undefined && origin !== `http://${host}`)
      return failure('forbidden', 'Origin is not this page');
    return undefined;
  }

  /** Of a request for what the agent knows. undefined: it may have it. */
  privateRefusal(headers: IncomingHttpHeaders): Answer | undefined {
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin')
      return failure('forbidden', 'only the page itself may ask');
    const [, token] = /^Bearer ([\w-]{1,128})$/.exec(headers.authorization ?? '') ?? [];
    if (token === undefined || !timingSafeEqual(digestOf(token), this.#digest))
      return failure('unauthorized', 'the token is missing or not that of this agent');
    return undefined;
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The name or address of `Host` (RFC 9110 section 7.2), lower case, without brackets and port; undefined: it is malformed. */
function hostOf(host: string): string | undefined {
  const [, v6, name] = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::\d{1,5})?$/i.exec(host) ?? [];
  return (v6 ?? name)?.toLowerCase();
}
