/**
 * A workload that asks for the same few domains for ever suddenly asks for a new one and connects to it: the classic first step
 * of command and control. Programs that meet new domains all the time (browsers, mail servers, resolvers) never settle
 * and are never reported. What was learnt is in memory only: a start of the agent begins it anew.
 */
import { RCODES } from '../../tables/rcodes.ts';
import { isAddressType } from '../../tables/rrtypes.ts';
import type { BoundedMap, Finding, InitContext, LookupEvent, SeenConnection } from '../detector.ts';
import { Domains, isArpa } from '../domain.ts';
import { rule } from '../rule.ts';
import { hashOf } from '../statistics.ts';
import { workloadOf } from '../workload.ts';

const MAX_WORKLOADS = 1024;
/** Domains remembered of a workload: the one not asked for longest is forgotten. */
const MAX_DOMAINS = 1024;
/** New domains of a workload waiting for a connection, and addresses of each. */
const MAX_WAITING = 8;
const MAX_ADDRESSES = 16;
const DNS_PORT = 53;

interface Waiting {
  readonly domain: string;
  readonly name: string;
  readonly uid: string;
  readonly at: number;
  readonly addresses: readonly string[];
}

interface Workload {
  readonly since: number;
  /** Hashes of registered domains. */
  readonly domains: BoundedMap<number, true>;
  /** When the last ones were new, oldest first: one more than a settled workload may have. */
  readonly recent: number[];
  waiting: Waiting[];
}

interface State {
  readonly workloads: BoundedMap<string, Workload>;
  readonly newMap: InitContext['boundedMap'];
  readonly exclude: Domains;
  readonly learning: number;
  readonly settled: number;
  readonly within: number;
}

export default rule('new-domain-connect', {
  needs: ['connections'],
  init: (context, settings): State => ({
    workloads: context.boundedMap(MAX_WORKLOADS),
    newMap: context.boundedMap,
    exclude: new Domains(settings.exclude),
    learning: settings.learning,
    settled: settings['settled-domains'],
    within: settings.within,
  }),
  onEvent(event, { state }) {
    const key = workloadOf(event.process);
    // Nobody is known: a capture file.
    if (key === '') return undefined;
    if (event.kind === 'connection') return connected(state.workloads.get(key), event, state);
    resolved(key, event, state);
    return undefined;
  },
});

function resolved(key: string, event: LookupEvent, state: State): void {
  const { response } = event.lookup;
  if (response === undefined || response.message.rcode !== RCODES.NOERROR) return;
  if (response.message.answers.length === 0) return;
  const { domain, at } = event;
  if (domain === '' || isArpa(domain)) return;
  let workload = state.workloads.get(key);
  if (workload === undefined) {
    workload = { since: at, domains: state.newMap(MAX_DOMAINS), recent: [], waiting: [] };
    state.workloads.set(key, workload);
  }
  const hash = hashOf(domain);
  if (workload.domains.get(hash) === true) {
    // A, then AAAA: the second answer has further addresses.
    if (workload.waiting.length > 0) addAddresses(workload, event);
    return;
  }
  const isSettled = hasSettled(workload, at, state);
  workload.domains.set(hash, true);
  workload.recent.push(at);
  if (workload.recent.length > state.settled + 1) workload.recent.shift();
  if (!isSettled || state.exclude.has(domain)) return;
  if (workload.waiting.length >= MAX_WAITING) workload.waiting.shift();
  workload.waiting.push({ domain, name: event.name, uid: event.uid, at, addresses: addressesOf(event) });
}

function hasSettled({ since, recent }: Workload, at: number, { learning, settled }: State): boolean {
  if (at - since < learning) return false;
  return recent.length <= settled || at - (recent[0] ?? at) >= learning;
}

function addAddresses(workload: Workload, event: LookupEvent): void {
  workload.waiting = workload.waiting.map((each) =>
    each.domain === event.domain
      ? { ...each, addresses: [...each.addresses, ...addressesOf(event)].slice(0, MAX_ADDRESSES) }
      : each,
  );
}

function addressesOf({ lookup }: LookupEvent): string[] {
  const answers = lookup.response?.message.answers ?? [];
  return answers
    .filter(({ type }) => isAddressType(type))
    .slice(0, MAX_ADDRESSES)
    .map(({ data }) => data);
}

function connected(
  workload: Workload | undefined,
  event: SeenConnection,
  { within }: State,
): Finding | undefined {
  if (workload === undefined || workload.waiting.length === 0) return undefined;
  const { remote } = event.connection;
  if (remote.port === DNS_PORT) return undefined;
  workload.waiting = workload.waiting.filter(({ at }) => event.at - at <= within);
  const found = workload.waiting.find(({ addresses }) => addresses.includes(remote.address));
  if (found === undefined) return undefined;
  workload.waiting = workload.waiting.filter((each) => each !== found);
  const seconds = Math.max((event.at - found.at) / 1000, 0);
  return {
    subject: found.domain,
    record: found.uid,
    message: `${found.domain} was never asked for by this workload; resolved as ${found.name} and connected to (${remote.address} port ${remote.port}) after ${seconds.toFixed(1)} s`,
    evidence: {
      'dns.question.name': found.name,
      'whodns.finding.domain': found.domain,
      'whodns.finding.seconds': seconds,
      'network.peer.address': remote.address,
      'network.peer.port': remote.port,
    },
  };
}
