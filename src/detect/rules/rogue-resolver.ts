/**
 * A program that asks a server of its own choice passes by whatever the configured one logs, filters and answers. Name servers
 * ask others by trade: a process with a socket bound to a DNS port is not reported.
 */
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
    const configured = host.nameServers(event);
    if (configured === undefined || configured.includes(server.address)) return undefined;
    if (state.servers.has(server.address) || MULTICAST.test(server.address)) return undefined;
    if (host.servesNames(event) === true) return undefined;
    return {
      subject: server.address,
      message: `asked ${server.address}, which its resolv.conf does not name, for ${event.name}`,
      evidence: {
        'dns.question.name': event.name,
        'server.address': server.address,
        'server.port': server.port,
        ...(configured.length === 0 ? {} : { 'whodns.finding.configured': configured }),
      },
    };
  },
});
