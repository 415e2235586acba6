/**
 * A program that asks a server of its own choice passes by whatever the configured one logs, filters and answers. Name servers
 * ask others by trade: a process with a socket bound to a DNS port is not reported.
 */
import type { Endpoint } from '../../model.ts';
import type { Finding, LookupEvent } from '../detector.ts';
import { rule } from '../rule.ts';

const DNS_PORT = 53;
/** Multicast is no server: 224.0.0.0/4, ff00::/8. */
const MULTICAST = /^(?:22[4-9]|23\d)\.|^ff/;

interface State {
  readonly servers: ReadonlySet<string>;
}

export default rule('rogue-resolver', {
  init: (_context, settings): State => ({ servers: new Set(settings.servers) }),
  onEvent(event, { state, host }) {
    if (event.kind !== 'lookup') return undefined;
    const { raw } = event.lookup.request;
    const server = raw.dialed ?? raw.remote;
    if (server.port !== DNS_PORT) return undefined;
    const { address } = server;
    if (state.servers.has(address) || MULTICAST.test(address)) return undefined;
    return host.nameServers(event, (configured) => {
      if (configured === undefined || configured.includes(address)) return undefined;
      return host.servesNames(event, (serves) =>
        serves === true ? undefined : finding(event, server, configured),
      );
    });
  },
});

function finding(event: LookupEvent, { address, port }: Endpoint, configured: readonly string[]): Finding {
  return {
    subject: address,
    message: `asked ${address}, which its resolv.conf does not name, for ${event.name}`,
    evidence: {
      'dns.question.name': event.name,
      'server.address': address,
      'server.port': port,
      ...(configured.length === 0 ? {} : { 'whodns.finding.configured': configured }),
    },
  };
}
