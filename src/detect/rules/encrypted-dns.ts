/**
 * DNS that cannot be seen: DNS over TLS has a port of its own (RFC 7858), DNS over HTTPS is known by its endpoint, by address or
 * by the name that the address was looked up as. DNS over QUIC and HTTP/3 go by UDP, where there is no connection to see.
 */
import { readPackageFile } from '../../lib/package-files.ts';
import type { Finding, SeenConnection } from '../detector.ts';
import { rule } from '../rule.ts';

const TLS_PORT = 853;
const HTTPS_PORT = 443;
const MAX_ENDPOINTS = 20_000;

interface State {
  readonly endpoints: ReadonlySet<string>;
  readonly allow: ReadonlySet<string>;
}

export default rule('encrypted-dns', {
  needs: ['connections', 'dns'],
  init: (context, settings): State => ({
    endpoints: endpointsOf(
      settings.endpoints === ''
        ? readPackageFile('data/doh-endpoints.txt')
        : context.readText(settings.endpoints),
    ),
    allow: new Set(settings.allow),
  }),
  onEvent(event, { state, host }) {
    if (event.kind !== 'connection') return undefined;
    const { address, port } = event.connection.remote;
    const isTls = port === TLS_PORT;
    if ((!isTls && port !== HTTPS_PORT) || state.allow.has(address)) return undefined;
    const name = event.resolution?.names.find((each) => state.endpoints.has(each));
    if (!isTls && name === undefined && !state.endpoints.has(address)) return undefined;
    const found = finding(event, isTls ? 'tls' : 'https', name ?? event.resolution?.names[0]);
    // A resolver that asks upstream over TLS is what one wishes for.
    return host.servesNames(event, (serves) => (serves === true ? undefined : found));
  },
});

function finding(event: SeenConnection, kind: 'tls' | 'https', name: string | undefined): Finding {
  const { address, port } = event.connection.remote;
  const called = name === undefined ? '' : ` (${name})`;
  return {
    subject: name ?? address,
    kind,
    message: `connects to ${address} port ${port}${called}: DNS over ${kind === 'tls' ? 'TLS' : 'HTTPS'}, past the resolver`,
    evidence: {
      'network.peer.address': address,
      'network.peer.port': port,
      ...(name === undefined ? {} : { 'dns.question.name': name }),
    },
  };
}

/** One name or address a line, in lower case; `#` begins a comment. */
function endpointsOf(text: string): ReadonlySet<string> {
  const lines = text.split('\n').map((line) => line.replace(/#.*$/, '').trim().toLowerCase());
  return new Set(lines.filter((line) => line !== '').slice(0, MAX_ENDPOINTS));
}
