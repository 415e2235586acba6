/**
 * Where connections are made and judged: a network namespace with addresses of its own, a real dnsmasq, a real server on
 * one port, and the real agent with --connections.
 *
 * WHODNS_TEST_HOOK and WHODNS_TEST_BUILT as in stage.ts.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineStats } from '../../src/pipeline.ts';
import { buildClients, CLIENTS } from '../clients/build.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { type Finished, Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';

export const HOOK = process.env.WHODNS_TEST_HOOK ?? 'auto';
export const CONNECTOR = join(CLIENTS, 'connector');
export const PORT = '8080';
/** Nobody listens there. */
export const CLOSED_PORT = '8081';
/** Looked up as www and alias; as one and two; as short; never looked up. */
export const ADDRESS = {
  www: '192.0.2.1',
  www6: '2001:db8::1',
  shared: '192.0.2.2',
  short: '192.0.2.3',
  unnamed: '192.0.2.9',
};
const ZONE_TTL = 300;
export const SHORT_TTL = 1;
const PATIENCE_MS = 30_000;
export const START_MS = 400_000;

const SERVER = `
import socket, threading
server = socket.create_server(("::", ${PORT}), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
print("ready", flush=True)
while True:
    with server.accept()[0] as client:
        try:
            client.send(b"HTTP/1.0 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            client.recv(4096)
        except OSError:
            pass # reset
`;

export class ConnectionStage {
  readonly zone: string;
  readonly namespace: Namespace;
  readonly netns: number;
  readonly agent: Agent;
  readonly directory: string;
  readonly #dns: NameServer;
  #answering: ReturnType<Namespace['spawn']> | undefined;

  private constructor(zone: string, namespace: Namespace, dns: NameServer) {
    this.zone = zone;
    this.namespace = namespace;
    this.#dns = dns;
    this.netns = statSync(`/proc/${namespace.pid}/ns/net`).ino;
    this.directory = mkdtempSync(join(tmpdir(), 'whodns-connections-'));
    const options = ['--connections', '--hook', HOOK, '--timeout', '2s', '--stats', this.#stats];
    this.agent = Agent.start([
      ...AGENT,
      ...options,
      '--exporter',
      'console',
      '--exporter',
      `otlp-file:${this.otlp}`,
    ]);
  }

  get #stats(): string {
    return join(this.directory, 'stats.json');
  }

  /** OTLP/JSON lines of the agent, whole after close(). */
  get otlp(): string {
    return join(this.directory, 'otlp.jsonl');
  }

  static async open(): Promise<ConnectionStage> {
    if (process.env.WHODNS_TEST_BUILT === undefined) buildClients();
    const zone = `c${randomBytes(4).toString('hex')}.test`;
    const namespace = await Namespace.open();
    for (const address of Object.values(ADDRESS)) {
      const added = await namespace.run([
        'ip',
        'address',
        'add',
        `${address}/${address.includes(':') ? 128 : 32}`,
        'dev',
        'lo',
      ]);
      assert.equal(added.exitCode, 0, added.errors);
    }
    const lines = [
      `host-record=www.${zone},${ADDRESS.www},${ADDRESS.www6}`,
      `cname=alias.${zone},www.${zone}`,
      `host-record=one.${zone},${ADDRESS.shared}`,
      `host-record=two.${zone},${ADDRESS.shared}`,
      `host-record=short.${zone},${ADDRESS.short},${SHORT_TTL}`,
      `address=/any.${zone}/${ADDRESS.www}`,
    ];
    const dns = await startDnsmasq(namespace, { name: zone, lines }, ['127.0.0.1']);
    const stage = new ConnectionStage(zone, namespace, dns);
    try {
      await stage.#start();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  async #start(): Promise<void> {
    const server = this.namespace.spawn(['python3', '-c', SERVER], ['ignore', 'pipe', 'inherit']);
    this.#answering = server;
    process.once('exit', () => server.kill('SIGKILL'));
    await new Promise<void>((resolve, reject) => {
      server.stdout?.once('data', () => resolve());
      server.once('close', () => reject(new Error('the server ended')));
    });
    const deadline = performance.now() + START_MS;
    while (this.records().length === 0) {
      const waiting = this.agent.running && performance.now() < deadline;
      assert.ok(waiting, `the agent recorded no connection; it said: ${this.agent.errors}`);
      await this.connect('4', `probe.any.${this.zone}`);
      await sleep(200);
    }
  }

  /** Ends the agent and everything else; the agent's own statistics. */
  async close(): Promise<PipelineStats | undefined> {
    try {
      await this.agent.stop();
    } finally {
      this.#answering?.kill('SIGKILL');
      await this.#dns.stop();
      await this.namespace.close();
    }
    try {
      return JSON.parse(readFileSync(this.#stats, 'utf8')) as PipelineStats;
    } catch {
      return undefined; // it never ran
    }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Connections in the namespace so far. */
  records(): JsonRecord[] {
    return this.agent.records.filter(
      ({ event_name, attributes }) =>
        event_name === 'whodns.connect' && attributes['whodns.netns'] === this.netns,
    );
  }

  /** Waits for `count` connections of the process and asserts that there are no more. */
  async recordsOf(pid: number, count = 1): Promise<JsonRecord[]> {
    const ours = () => this.records().filter(({ resource }) => resource['process.pid'] === pid);
    await this.agent.waitFor(() => ours().length >= count, PATIENCE_MS);
    assert.equal(ours().length, count, `connections of ${pid}: ${JSON.stringify(ours()).slice(0, 2000)}`);
    return ours();
  }

  /** Runs a program in the namespace that must end well. */
  async run(argv: readonly string[]): Promise<Finished> {
    const finished = await this.namespace.run(argv);
    assert.equal(finished.exitCode, 0, `${argv.join(' ')}: ${finished.errors}`);
    return finished;
  }

  /** Runs the connector; the pid that connected. */
  async connect(mode: string, host: string, port = PORT, ...more: string[]): Promise<number> {
    const { output } = await this.run([CONNECTOR, mode, host, port, ...more]);
    return Number(output.trim());
  }
}

/** Asserts the destination, that it was resolved as `names` (the first, then any order), and that the times are plausible. */
export function assertResolved(
  record: JsonRecord,
  address: string,
  names: readonly string[],
  scope = 'process',
  ttl = ZONE_TTL,
): void {
  const { attributes } = record;
  const [first, ...others] = attributes['whodns.connect.names'] as readonly string[];
  assert.equal(attributes['network.peer.address'], address);
  assert.deepEqual([first, ...others.sort()], names);
  assert.equal(attributes['whodns.connect.scope'], scope);
  assert.equal(attributes['whodns.unresolved'], undefined);
  const age = Number(attributes['whodns.connect.answer_age']);
  const left = Number(attributes['whodns.connect.ttl_left']);
  assert.ok(age > 0 && age < 60_000, `${age} ms`);
  // What has passed and what is left are the TTL.
  assert.ok(Math.abs(age / 1000 + left - ttl) < 0.01, `${age} ms and ${left} s`);
}

export function assertUnresolved({ attributes }: JsonRecord, address: string): void {
  assert.equal(attributes['network.peer.address'], address);
  assert.equal(attributes['whodns.unresolved'], true);
  const named = Object.keys(attributes).filter((name) => name.startsWith('whodns.connect.'));
  assert.deepEqual(named, []);
}
