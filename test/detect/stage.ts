/**
 * Where detections are played: a network namespace with real name servers and a web server, the real agent beside it, and an
 * OTLP receiver that judges by the protocol.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { attributes, type LogRecord, Receiver } from '../e2e/receiver.ts';
import { end, ended, isRunning } from '../matrix/children.ts';
import { Namespace } from '../matrix/namespace.ts';
import { MAIN } from '../matrix/program.ts';
import { assertRingKeptAt } from '../matrix/ring.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const PATIENCE_MS = 30_000;
const START_MS = 60_000;
/** Of web server and DNS over TLS in the namespace. */
export const HOST = '192.0.2.10';

export interface Arrived {
  readonly resource: Readonly<Record<string, unknown>>;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly record: LogRecord;
}

/** An agent that sends to a receiver of its own. */
export class DetectingAgent {
  readonly receiver: Receiver;
  errors = '';
  readonly #child: ChildProcess;

  private constructor(receiver: Receiver, child: ChildProcess) {
    this.receiver = receiver;
    this.#child = child;
    process.once('exit', () => child.kill('SIGKILL'));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString();
    });
  }

  static async start(argv: readonly string[]): Promise<DetectingAgent> {
    const receiver = await Receiver.grpc();
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('OTEL_')));
    Object.assign(env, {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_METRIC_EXPORT_INTERVAL: '500',
      OTEL_BLRP_SCHEDULE_DELAY: '100',
    });
    const program = [MAIN, ...argv];
    const child = spawn(process.execPath, program, { stdio: ['ignore', 'ignore', 'pipe'], env });
    return new DetectingAgent(receiver, child);
  }

  get running(): boolean {
    return isRunning(this.#child);
  }

  /** Resolves with the exit code when the agent has ended by itself. */
  async ended(): Promise<number | null> {
    return ended(this.#child);
  }

  /** Records of that event name. */
  records(eventName: string): Arrived[] {
    return this.receiver.records
      .filter(({ record }) => record.eventName === eventName)
      .map(({ resource, record }) => ({ resource, attributes: attributes(record.attributes), record }));
  }

  async stop(): Promise<void> {
    await end(this.#child);
    await this.receiver.stop();
  }
}

export class DetectStage {
  /** Part of every domain of this run. */
  readonly id: string;
  readonly namespace: Namespace;
  readonly agent: DetectingAgent;
  /** For executables: not below /tmp, which a rule is about. */
  readonly directory: string;
  /** Of the agent. */
  readonly #control: string;
  readonly #servers: NameServer[];
  readonly #children: ChildProcess[] = [];

  private constructor(
    id: string,
    directory: string,
    namespace: Namespace,
    agent: DetectingAgent,
    server: NameServer,
  ) {
    this.id = id;
    this.directory = directory;
    this.namespace = namespace;
    this.agent = agent;
    this.#control = controlIn(namespace);
    this.#servers = [server];
  }

  /** @param options of the agent, given the stage's id and directory */
  static async open(
    lines: (id: string) => readonly string[],
    options: (id: string, directory: string) => readonly string[],
  ): Promise<DetectStage> {
    const id = randomBytes(4).toString('hex');
    const directory = join(ROOT, `build/detect/${id}`);
    mkdirSync(directory, { recursive: true });
    const namespace = await Namespace.open();
    // Connections to 127.0.0.0/8 are not captured: what is connected to has another address.
    // With an address of each family stub resolvers ask for both (AI_ADDRCONFIG).
    for (const address of [`${HOST}/32`, '2001:db8::10/128'])
      await namespace.run(['ip', 'address', 'add', address, 'dev', 'lo']);
    const addresses = ['127.0.0.1', '127.0.0.2'];
    const server = await startDnsmasq(namespace, { name: 'test', lines: lines(id) }, addresses);
    const control = ['--control', controlIn(namespace)];
    const agent = await DetectingAgent.start(['run', ...control, ...options(id, directory)]);
    const stage = new DetectStage(id, directory, namespace, agent, server);
    try {
      await stage.#firstRecord();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  async #firstRecord(): Promise<void> {
    const deadline = performance.now() + START_MS;
    const isSeen = () =>
      this.agent
        .records('whodns.query')
        .some(({ attributes: { 'dns.question.name': name } }) => name === `probe-${this.id}.test`);
    while (!isSeen()) {
      const waiting = this.agent.running && performance.now() < deadline;
      assert.ok(waiting, `the agent recorded nothing; it said: ${this.agent.errors}`);
      await this.namespace.run(['dig', '+tries=1', `probe-${this.id}.test`]);
      await sleep(200);
    }
  }

  /** A program under a path of its own, so that it is a workload of its own. */
  copyOf(program: string, name: string): string {
    const path = join(this.directory, name);
    copyFileSync(program, path);
    return path;
  }

  useResolvConf(text: string): void {
    writeFileSync(join(this.namespace.directory, 'resolv.conf'), text);
  }

  /** Starts a program that says `ready` when it serves, and runs until the end. */
  async serve(argv: readonly string[], says = 'ready'): Promise<void> {
    const child = this.namespace.spawn(argv, ['ignore', 'pipe', 'inherit']);
    process.once('exit', () => child.kill('SIGKILL'));
    this.#children.push(child);
    if (says !== '') await once(child.stdout as NodeJS.ReadableStream, 'data');
  }

  /** Runs a program to its end; what it gives is its own affair. */
  async run(...argv: readonly string[]): Promise<number> {
    const { pid } = await this.namespace.run(argv);
    return pid;
  }

  get networkNamespace(): string {
    return `int:${statSync(`/proc/${this.namespace.pid}/ns/net`).ino}`;
  }

  /** Findings about programs of this stage. */
  findings(): Arrived[] {
    return this.agent
      .records('whodns.finding')
      .filter(({ attributes: { 'whodns.netns': at } }) => at === this.networkNamespace);
  }

  /** The first finding of that rule, waited for. */
  async finding(rule: string, fits: (found: Arrived) => boolean = () => true): Promise<Arrived> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = this.findings().find(
        (each) => each.attributes['security_rule.name'] === rule && fits(each),
      );
      if (found !== undefined) return found;
      if (this.agent.running && performance.now() >= deadline) await this.assertRingKept();
      assert.ok(
        this.agent.running && performance.now() < deadline,
        `no finding of ${rule}; there were ${JSON.stringify(this.findings().map((each) => each.record.body))}; the agent said: ${this.agent.errors.slice(-2000)}`,
      );
      await sleep(100);
    }
  }

  async assertRingKept(): Promise<void> {
    await assertRingKeptAt(this.#control);
  }

  /** Query records of this stage. */
  queries(): Arrived[] {
    return this.agent
      .records('whodns.query')
      .filter(({ attributes: { 'whodns.netns': at } }) => at === this.networkNamespace);
  }

  async close(): Promise<void> {
    await this.agent.stop();
    for (const child of this.#children) await end(child, 'SIGKILL');
    for (const server of this.#servers) await server.stop();
    await this.namespace.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A path of a socket must be short. */
const controlIn = (namespace: Namespace): string => join(namespace.directory, 'control');

/** Value of a sum of the last export that had it, over the points that fit. */
export function latestSum(
  receiver: Receiver,
  metric: string,
  fits: Readonly<Record<string, string>>,
): number {
  for (const { scopeMetrics } of receiver.resourceMetrics.toReversed()) {
    const found = scopeMetrics.flatMap(({ metrics }) => metrics).find(({ name }) => name === metric);
    if (found === undefined) continue;
    return (found.sum?.dataPoints ?? [])
      .filter((point) => {
        const at = attributes(point.attributes);
        return Object.entries(fits).every(([name, value]) => at[name] === value);
      })
      .reduce((sum, point) => sum + Number(point.asInt ?? 0), 0);
  }
  return 0;
}
