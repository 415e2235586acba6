/**
 * The resolver matrix: every client of clients.ts asks a real server in a namespace of its own while one agent for each hook
 * family watches; what the server logged is compared with what each agent recorded.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENTS } from '../clients/build.ts';
import { Agent, type JsonRecord } from './agent.ts';
import {
  ALL_CLIENTS,
  type Client,
  CORE_CLIENTS,
  FORWARDED,
  FORWARDER,
  SERVER_ADDRESSES,
  UPSTREAM,
} from './clients.ts';
import { type Cell, type Expectation, judge } from './judge.ts';
import { Namespace } from './namespace.ts';
import { type LoggedRequest, type NameServer, startDnsmasq, startUnbound, type Zone } from './servers.ts';
import { skippedRuns } from './skipped-runs.ts';

const HOSTS = ['www', 'alias', 'missing'] as const;
const IPV4 = '192.0.2.10';
const IPV6 = '2001:db8::10';
/** Software emulation starts three agents in some twenty seconds, on a busy host in two minutes. */
const AGENT_START_MS = 600_000;
const MARKER_MS = 60_000;
/** The agent's default time-out is 5 s; a request nobody answered comes after it. */
const LAST_RECORD_MS = 8_000;

export interface MatrixOptions {
  readonly families: readonly string[];
  /** How often each client runs. */
  readonly rounds: number;
  /** The agent's command; `--hook FAMILY` is added. */
  readonly agent: readonly string[];
  /** Nothing else on this machine asks DNS: any further record is a fault. */
  readonly alone: boolean;
  /** Only clients whose title contains this. */
  readonly only?: string;
  /** CORE_CLIENTS in place of all. */
  readonly core?: boolean;
}

export interface FamilyResult {
  readonly kernel: string;
  readonly family: string;
  /** Client's title -> cell, in the table's order. */
  readonly cells: Readonly<Record<string, Cell>>;
  /** Records of nobody's request, and agents that did not run; empty when all is well. */
  readonly faults: readonly string[];
  /** skipped-runs.ts */
  readonly skipped: number;
}

interface Run {
  readonly client: Client;
  readonly expectations: readonly Expectation[];
}

/** Runs all clients (built before: test/clients/build.ts) once for all families together. Throws if a server or client does not work; agents' faults are results. */
export async function runMatrix(options: MatrixOptions): Promise<FamilyResult[]> {
  const known = options.core === true ? CORE_CLIENTS : ALL_CLIENTS;
  const clients = known.filter((client) => client.title.includes(options.only ?? ''));
  const zone = makeZone(clients.length, options.rounds);
  const namespace = await Namespace.open();
  // TCP Fast Open, of clients and of servers (Documentation/networking/ip-sysctl.rst).
  await namespace.run(['sh', '-c', 'echo 3 >/proc/sys/net/ipv4/tcp_fastopen']);
  const dnsmasq = await startDnsmasq(namespace, zone, SERVER_ADDRESSES);
  const unbound = await startUnbound(namespace, FORWARDER, UPSTREAM);
  const agents = new Map(
    options.families.map((family) => [family, Agent.start([...options.agent, '--hook', family])]),
  );
  try {
    const watching = await startedAgents(agents, namespace, zone.name);
    const runs: Run[] = [];
    for (const [index, client] of clients.entries()) {
      runs.push(
        await runClient(client, index, { namespace, dnsmasq, unbound, zone, rounds: options.rounds }),
      );
    }
    await lastRecords(watching, runs, namespace, zone.name);
    const results: FamilyResult[] = [];
    for (const [family, agent] of agents) {
      const ended = !agent.running;
      const skipped = skippedRuns(family);
      const exitCode = await agent.stop();
      const found = { ...result(family, agent, runs, zone.name, options.alone), skipped };
      const fault = `the agent ${ended ? 'ended by itself' : 'was stopped'}, exit code ${exitCode}: ${agent.errors.slice(-1500)}`;
      results.push(ended || exitCode !== 0 ? { ...found, faults: [...found.faults, fault] } : found);
    }
    return results;
  } finally {
    try {
      for (const agent of agents.values()) await agent.stop();
    } finally {
      await unbound.stop();
      await dnsmasq.stop();
      await namespace.close();
    }
  }
}

function makeZone(clients: number, rounds: number): Zone {
  const name = `m${randomBytes(4).toString('hex')}.test`;
  const lines: string[] = [];
  for (let client = 0; client < clients; client++) {
    for (let round = 0; round < rounds; round++) {
      const domain = `r${round}.c${client}.${name}`;
      lines.push(`host-record=www.${domain},${IPV4},${IPV6}`, `cname=alias.${domain},www.${domain}`);
    }
  }
  return { name, lines };
}

/** Asks until an agent has recorded it: attached and printing. Those that end or stay silent are left out. */
async function startedAgents(
  agents: ReadonlyMap<string, Agent>,
  namespace: Namespace,
  zone: string,
): Promise<Agent[]> {
  const deadline = performance.now() + AGENT_START_MS;
  const sees = (agent: Agent): boolean => agent.records.some((record) => nameOf(record).startsWith('probe.'));
  for (;;) {
    const waiting = [...agents.values()].filter((agent) => agent.running && !sees(agent));
    if (waiting.length === 0 || performance.now() > deadline) break;
    await namespace.run([join(CLIENTS, 'sender'), 'sendto', '127.0.0.1', '53', `probe.${zone}`]);
    await sleep(200);
  }
  return [...agents.values()].filter((agent) => agent.running && sees(agent));
}

interface Site {
  readonly namespace: Namespace;
  readonly dnsmasq: NameServer;
  readonly unbound: NameServer;
  readonly zone: Zone;
  readonly rounds: number;
}

/**
 * Runs one client in all rounds. What a server logs while a process runs is what that process asked: one runs at a time, and
 * both servers log a request before they answer it.
 */
async function runClient(client: Client, index: number, site: Site): Promise<Run> {
  const expectations: Expectation[] = [];
  const forwarded = client.title === FORWARDED;
  const server = client.server.replace('::ffff:', '');
  site.namespace.useServer(client.server);
  for (let round = 0; round < site.rounds; round++) {
    const names = HOSTS.map((host) => `${host}.r${round}.c${index}.${site.zone.name}`);
    for (const together of client.single === true ? names.map((name) => [name]) : [names]) {
      const before = { dnsmasq: site.dnsmasq.requests().length, unbound: site.unbound.requests().length };
      const finished = await site.namespace.run([client.executable, ...client.argumentsFor(together)]);
      if (finished.exitCode < 0)
        throw new Error(`${client.title} did not end: ${finished.output}${finished.errors}`);
      const atDnsmasq = site.dnsmasq.requests().slice(before.dnsmasq);
      const atUnbound = site.unbound.requests().slice(before.unbound);
      const asked = forwarded ? atUnbound : atDnsmasq;
      if (!together.every((name) => asked.some((request) => request.name === name))) {
        throw new Error(`${client.title}: the server saw only ${JSON.stringify(asked)}: ${finished.errors}`);
      }
      for (const request of asked) expectations.push(expectation(request, finished.pid, client, server));
      if (!forwarded) continue;
      const { pid, executable } = site.unbound;
      for (const request of atDnsmasq)
        expectations.push(expectation(request, pid, { executable, transport: 'udp' }, UPSTREAM));
    }
  }
  return { client, expectations };
}

function expectation(
  { name, type }: LoggedRequest,
  pid: number,
  { executable, transport }: Pick<Client, 'executable' | 'transport'>,
  server: string,
): Expectation {
  const exists = !name.startsWith('missing.');
  const addresses = exists && type === 'A' ? [IPV4] : exists && type === 'AAAA' ? [IPV6] : [];
  const responseCode = exists ? 'NOERROR' : 'NXDOMAIN';
  return { name, type, pid, executable, server, transport, responseCode, addresses };
}

/**
 * Gives every agent the time to print what it has. A marker is asked last: an agent that lags (another program floods the host) has
 * MARKER_MS to come to it, after that LAST_RECORD_MS for requests that end as a time-out.
 */
async function lastRecords(
  agents: readonly Agent[],
  runs: readonly Run[],
  namespace: Namespace,
  zone: string,
): Promise<void> {
  const expected = runs.reduce((sum, run) => sum + run.expectations.length, 0);
  await namespace.run([join(CLIENTS, 'sender'), 'sendto', '127.0.0.1', '53', `end.${zone}`]);
  for (const agent of agents) {
    const marked = (records: readonly JsonRecord[]): boolean =>
      records.some((record) => nameOf(record) === `end.${zone}`);
    const complete = (records: readonly JsonRecord[]): boolean =>
      records.filter(isClients).length >= expected;
    // An agent that has ended is a fault of its own, found by the caller.
    await agent.waitFor(marked, MARKER_MS).catch(() => false);
    await agent.waitFor(complete, LAST_RECORD_MS).catch(() => false);
  }
  await sleep(200); // one too many would come now
}

function isClients(record: JsonRecord): boolean {
  return /^[a-z]+\.r\d+\.c\d+\./.test(nameOf(record));
}

function nameOf(record: JsonRecord): string {
  return String(record.attributes['dns.question.name']);
}

function result(
  family: string,
  agent: Agent,
  runs: readonly Run[],
  zone: string,
  alone: boolean,
): Omit<FamilyResult, 'skipped'> {
  const kernel = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
  const faults: string[] = [];
  const byClient = new Map<string, JsonRecord[]>();
  for (const record of agent.records) {
    const name = nameOf(record);
    const label = /\.(c\d+)\.[^.]+\.test$/.exec(name)?.[1];
    if (name.endsWith(`.${zone}`) && label !== undefined)
      byClient.set(label, [...(byClient.get(label) ?? []), record]);
    else if (!/^(probe|end)\./.test(name) && (alone || name.endsWith(zone))) {
      faults.push(`a record of nobody's request: ${JSON.stringify(record)}`);
    }
  }
  if (!agent.records.some((record) => nameOf(record) === `probe.${zone}`)) {
    const fault = `the agent recorded nothing; it said: ${agent.errors.slice(-1500)}`;
    return { kernel, family, cells: {}, faults: [...faults, fault] };
  }
  const cells = runs.map(({ client, expectations }, index) => {
    const cell = judge(expectations, byClient.get(`c${index}`) ?? [], family);
    return [client.title, cell] as const;
  });
  return { kernel, family, cells: Object.fromEntries(cells), faults };
}
