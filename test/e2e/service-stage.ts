/**
 * A name service that something puts back ends in the place of: servers, a client and the agent, for redirect.test.ts and
 * translation.test.ts. What the client asks is the service, port 53; who answers is SERVER4 or SERVER6 at a port of BACKEND_PORTS.
 *
 * WHODNS_TEST_HOOK names the hook family (default: the agent's own choice).
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { end } from '../matrix/children.ts';
import { Namespace } from '../matrix/namespace.ts';
import { PRELUDE, SERVER4, SERVER6 } from './paths.ts';
import { nameOf } from './stage.ts';

const HOOK = process.env.WHODNS_TEST_HOOK ?? 'auto';
export const PYTHON = ['python3', join(import.meta.dirname, 'redirect.py')];
const START_MS = 180_000;
const PATIENCE_MS = 15_000;
export const SERVICE4 = '192.0.2.53';
export const SERVICE6 = '2001:db8::53';
/** Back ends listen at other ports than the service, among them that of mDNS, and at the same. */
export const BACKEND_PORTS = [1053, 5353, 53];
export const WAYS = ['connected', 'sendto', 'sendmsg', 'sendmmsg', 'tcp'];
export const ADDRESSES = [SERVICE4, SERVICE6, `::ffff:${SERVICE4}`];

export interface Played {
  /** By name: from where the answer came, as the program saw it. */
  readonly seen: Readonly<Record<string, string>>;
  readonly records: readonly JsonRecord[];
}

export class ServiceStage {
  readonly client: Namespace;
  readonly host: Namespace;
  readonly server: Namespace;
  #backend: ChildProcess | undefined;

  private constructor(client: Namespace, host: Namespace, server: Namespace) {
    this.client = client;
    this.host = host;
    this.server = server;
  }

  /** @param script lays the way between client and server, in terms of PRELUDE */
  static async open(script: string): Promise<ServiceStage> {
    const stage = new ServiceStage(await Namespace.open(), await Namespace.open(), await Namespace.open());
    try {
      stage.#lay(script);
      await sleep(2000); // IPv6 addresses are tried out first
      const places = BACKEND_PORTS.flatMap((port) => [`${SERVER4}/${port}`, `${SERVER6}/${port}`]);
      const backend = stage.server.spawn([...PYTHON, 'serve', ...places], ['ignore', 'pipe', 'inherit']);
      stage.#backend = backend;
      if (backend.stdout !== null) await once(backend.stdout, 'data');
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  #lay(script: string): void {
    const env = {
      ...process.env,
      C: String(this.client.pid),
      H: String(this.host.pid),
      S: String(this.server.pid),
    };
    const { status, stderr } = spawnSync('sh', ['-c', PRELUDE + script], { env, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  }

  /** The first packet of each family then waits for its neighbour. */
  async forgetNeighbours(): Promise<void> {
    for (const family of ['-4', '-6']) await this.client.run(['ip', family, 'neigh', 'flush', 'dev', 'near']);
  }

  async close(): Promise<void> {
    if (this.#backend !== undefined) await end(this.#backend, 'SIGKILL');
    for (const namespace of [this.client, this.host, this.server]) await namespace.close();
  }
}

/** The agent, and the zone of the names that it is judged by. */
export class ServiceAgent {
  readonly zone = `r${randomBytes(4).toString('hex')}.test`;
  readonly #directory = mkdtempSync(join(tmpdir(), 'whodns-service-'));
  #agent: Agent | undefined;

  /** @param stage where the service is there */
  async start({ client }: ServiceStage): Promise<void> {
    const control = ['--control', join(this.#directory, 'control')];
    const agent = Agent.start([...AGENT, '--hook', HOOK, '--timeout', '3s', ...control], (record) =>
      nameOf(record).endsWith(this.zone),
    );
    this.#agent = agent;
    const deadline = performance.now() + START_MS;
    while (!agent.records.some((record) => nameOf(record).includes('.probe.'))) {
      assert.ok(agent.running && performance.now() < deadline, `no record: ${agent.errors}`);
      await client.run([...PYTHON, 'ask', 'sendto', SERVER4, `probe.${this.zone}`]);
      await sleep(200);
    }
  }

  /** Hook family, as its records say. */
  get hook(): unknown {
    return this.#agent?.records[0]?.attributes['whodns.hook'];
  }

  /** The client runs redirect.py; each name is one record of it, and there are no more. */
  async play(
    { client }: ServiceStage,
    words: readonly string[],
    zone: string,
    isRecorded = (_name: string) => true,
  ): Promise<Played> {
    const agent = this.#agent as Agent;
    const { exitCode, output, errors, pid } = await client.run([...PYTHON, ...words, zone]);
    assert.equal(exitCode, 0, errors);
    const seen = JSON.parse(output) as Record<string, string>;
    const names = Object.keys(seen).filter(isRecorded);
    const isOurs = (record: JsonRecord): boolean => nameOf(record).endsWith(zone);
    await agent.waitFor((records) => records.filter(isOurs).length >= names.length, PATIENCE_MS);
    await agent.assertRingKept();
    const records = agent.records.filter(isOurs);
    assert.deepEqual(records.map(nameOf).sort(), names.toSorted());
    for (const { resource } of records) assert.equal(resource['process.pid'], pid);
    return { seen, records };
  }

  async stop(): Promise<void> {
    try {
      await this.#agent?.stop();
    } finally {
      rmSync(this.#directory, { recursive: true });
    }
  }
}

/** The program asked the service, and has its answer. @param peer where it went, `address/port`; undefined: the record does not know */
export function assertService({ attributes }: JsonRecord, address: string, peer: string | undefined): void {
  const service = address === SERVICE6 ? SERVICE6 : SERVICE4;
  const said = JSON.stringify(attributes);
  assert.deepEqual([attributes['server.address'], attributes['server.port']], [service, 53], said);
  const { 'network.peer.address': peerAddress, 'network.peer.port': peerPort } = attributes;
  assert.equal(peerAddress === undefined ? undefined : `${peerAddress}/${peerPort}`, peer, said);
  assert.equal(attributes['dns.response_code'], 'NOERROR', said);
  assert.deepEqual(attributes['dns.answers'], ['192.0.2.1']);
  assert.equal(attributes['error.type'], undefined);
}

/** Where a back end answers questions to `address`. */
export function backendOf(address: string, port: number): string {
  return `${address === SERVICE6 ? SERVER6 : SERVER4}/${port}`;
}
