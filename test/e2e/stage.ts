/**
 * Where the hard cases of attribution are played: a network namespace with a real server, the real agent beside it, and
 * build/clients/actor, which says who it is before each query.
 *
 * WHODNS_TEST_HOOK names the hook family (default: the agent's own choice). In a test machine the clients are built already
 * (WHODNS_TEST_BUILT=1).
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildClients, CLIENTS } from '../clients/build.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';

const HOOK = process.env.WHODNS_TEST_HOOK ?? 'auto';
export const SERVER = '127.0.0.1';
/** What the stage's own server answers to every name. */
export const ANSWER = '192.0.2.1';
export const ACTOR = join(CLIENTS, 'actor');
/** The agent's time-out in these tests; a process that has exited does not read its answer. */
const TIMEOUT_S = 2;
export const PATIENCE_MS = 90_000;
/** Software emulation on a busy host starts the agent in a minute. */
const START_MS = 400_000;

/** What an actor said before a query. `pid` is in its own PID namespace. */
export interface Claim {
  readonly pid: number;
  readonly name: string;
}

export class Stage {
  readonly zone: string;
  /** Names whose request the kernel skipped, by its own count. */
  readonly skipped = new Set<string>();
  /** Temporary directory, removed by close(). */
  readonly directory: string;
  /** A second program that plays the same roles, so that a wrong executable shows. */
  readonly other: string;
  readonly namespace: Namespace;
  readonly agent: Agent;
  readonly #servers: NameServer[];

  private constructor(
    zone: string,
    directory: string,
    namespace: Namespace,
    server: NameServer,
    options: readonly string[],
  ) {
    this.zone = zone;
    this.directory = directory;
    this.other = join(directory, 'other-actor');
    this.namespace = namespace;
    this.#servers = [server];
    copyFileSync(ACTOR, this.other);
    const control = ['--control', join(directory, 'control')];
    this.agent = Agent.start(
      [...AGENT, '--hook', HOOK, '--timeout', `${TIMEOUT_S}s`, ...control, ...options],
      // The agent sees the whole host: what others ask meanwhile would fill the memory.
      (record) => nameOf(record).endsWith(zone),
    );
  }

  /** Starts everything, the agent with further options; ready when it has recorded a first query. */
  static async open(...options: readonly string[]): Promise<Stage> {
    if (process.env.WHODNS_TEST_BUILT === undefined) buildClients();
    const zone = `a${randomBytes(4).toString('hex')}.test`;
    const directory = mkdtempSync(join(tmpdir(), 'whodns-stage-'));
    const namespace = await Namespace.open();
    const stage = new Stage(zone, directory, namespace, await serve(namespace, zone, ANSWER), options);
    try {
      await stage.#firstRecord();
    } catch (error) {
      await stage.close(); // what still runs would keep the test from ending
      throw error;
    }
    return stage;
  }

  async #firstRecord(): Promise<void> {
    const probe = `probe.${this.zone}`;
    const deadline = performance.now() + START_MS;
    while (!this.agent.records.some((record) => nameOf(record) === probe)) {
      const waiting = this.agent.running && performance.now() < deadline;
      assert.ok(waiting, `the agent recorded nothing; it said: ${this.agent.errors}`);
      await this.namespace.run([ACTOR, 'ask', SERVER, probe]);
      await sleep(200);
    }
  }

  async close(): Promise<void> {
    try {
      await this.agent.stop();
    } finally {
      for (const server of this.#servers) await server.stop();
      await this.namespace.close();
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  /** A second namespace with its own server, same addresses and zone, other answer; `use` runs, then it is closed. */
  async withTwin(answer: string, use: (twin: Namespace, server: NameServer) => Promise<void>): Promise<void> {
    const twin = await Namespace.open();
    const server = await serve(twin, this.zone, answer);
    const logged: NameServer['requests'] = server.requests;
    try {
      await use(twin, server);
    } finally {
      const requests = logged();
      this.#servers.push({ ...server, requests: () => requests });
      await server.stop();
      await twin.close();
    }
  }

  /** Runs an actor in the namespace to its end. */
  async play(role: string, ...roleArguments: readonly string[]): Promise<Claim[]> {
    return this.playAs(ACTOR, role, ...roleArguments);
  }

  async playAs(program: string, role: string, ...roleArguments: readonly string[]): Promise<Claim[]> {
    return this.#play([program, role, SERVER, ...roleArguments]);
  }

  /** @param environment NAME=value: all there is in the actor's environment */
  async playWith(environment: readonly string[], role: string, ...roleArguments: string[]): Promise<Claim[]> {
    return this.#play(['env', '-i', ...environment, ACTOR, role, SERVER, ...roleArguments]);
  }

  async #play(argv: readonly string[]): Promise<Claim[]> {
    const { exitCode, output, errors } = await this.namespace.run(argv);
    assert.equal(exitCode, 0, `${argv.slice(-3).join(' ')}: ${errors}`);
    return claimsOf(output);
  }

  /** The one record of that name. */
  async recordOf(name: string): Promise<JsonRecord> {
    return only(await this.recordsOf(name, 1));
  }

  /** Waits for `count` records of that name and asserts that there are no more. */
  async recordsOf(name: string, count: number): Promise<JsonRecord[]> {
    const ours = (record: JsonRecord): boolean => nameOf(record) === name;
    await this.agent.waitFor((records) => records.filter(ours).length >= count, PATIENCE_MS);
    await this.agent.assertRingKept();
    const found = this.agent.records.filter(ours);
    assert.equal(found.length, count, `records of ${name}: ${JSON.stringify(found)}`);
    return found;
  }

  /** After everything: as many records of every name as the servers' logs hold requests for it. Probes are left out. */
  async assertNothingMore(): Promise<void> {
    await sleep(TIMEOUT_S * 1000 + 500);
    await this.agent.assertRingKept();
    const isPlayed = (name: string): boolean => name.endsWith(`.${this.zone}`) && !name.startsWith('probe.');
    const logged = this.#servers.flatMap((server) => server.requests().map((request) => request.name));
    const recorded = this.agent.records.map(nameOf);
    // The requests that the burst test found to be skipped by the kernel, and counted, have no record.
    const seen = logged.filter((name) => !this.skipped.has(name));
    assert.deepEqual(recorded.filter(isPlayed).sort(), seen.filter(isPlayed).sort());
  }
}

function serve(namespace: Namespace, zone: string, answer: string): Promise<NameServer> {
  return startDnsmasq(namespace, { name: zone, lines: [`address=/${zone}/${answer}`] }, [SERVER]);
}

export function nameOf(record: JsonRecord): string {
  return String(record.attributes['dns.question.name']);
}

/** The lines "PID NAME" of an actor's output. */
export function claimsOf(output: string): Claim[] {
  return [...output.matchAll(/^(\d+) (\S+)$/gm)].map((match) => ({
    pid: Number(match[1]),
    name: match[2] ?? '',
  }));
}

/** The record names this process and program, and the kernel said so. */
export function assertOwner(record: JsonRecord, pid: number, executable: string): void {
  const { resource, attributes } = record;
  assert.deepEqual(
    {
      pid: resource['process.pid'],
      path: resource['process.executable.path'],
      name: resource['process.executable.name'],
      attribution: attributes['whodns.attribution'],
    },
    { pid, path: executable, name: executable.replace(/.*\//, ''), attribution: 'kernel' },
  );
}

export function only<T>(values: readonly T[]): T {
  assert.equal(values.length, 1);
  return values[0] as T;
}
