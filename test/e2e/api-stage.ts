/** A zone with its server in a namespace, and programs on the host that import the package as it is built. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, ended } from '../matrix/children.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';

const LIMIT_MS = 60_000;

export class Program {
  output = '';
  errors = '';
  readonly child: ChildProcess;

  constructor(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const [file = '', ...rest] = argv;
    const plain = Object.entries(process.env).filter(([name]) => !name.startsWith('OTEL_'));
    this.child = spawn(file, rest, { env: { ...Object.fromEntries(plain), ...env }, stdio: 'pipe' });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    // One that has ended does not read what it is told.
    this.child.stdin?.on('error', () => {});
  }

  /** Lines of standard output so far, as JSON. */
  get said(): Record<string, unknown>[] {
    return this.output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + LIMIT_MS;
    while (!condition()) {
      const isRunning = this.child.exitCode === null && this.child.signalCode === null;
      assert.ok(isRunning && performance.now() < deadline, `${what}: ${this.output} ${this.errors}`);
      await sleep(20);
    }
  }

  go(): void {
    this.child.stdin?.write('\n');
  }

  /** Its exit code, when it has ended by itself. */
  async ended(): Promise<number | null | undefined> {
    return ended(this.child, LIMIT_MS);
  }

  async kill(): Promise<void> {
    await end(this.child, 'SIGKILL');
  }
}

export class ApiStage {
  readonly zone = `a${randomBytes(4).toString('hex')}.test`;
  readonly namespace: Namespace;
  readonly #server: NameServer;

  private constructor(namespace: Namespace, server: NameServer, zone: string) {
    this.namespace = namespace;
    this.#server = server;
    this.zone = zone;
  }

  static async open(): Promise<ApiStage> {
    // What `import 'whodns'` finds in a checkout is the built package.
    execFileSync(resolve('native/setup.sh'), ['build'], { stdio: 'ignore' });
    const zone = `a${randomBytes(4).toString('hex')}.test`;
    const namespace = await Namespace.open();
    const lines = [`address=/www.${zone}/192.0.2.1`, `address=/bulk.${zone}/192.0.2.2`];
    const server = await startDnsmasq(namespace, { name: zone, lines }, ['127.0.0.1']);
    return new ApiStage(namespace, server, zone);
  }

  async close(): Promise<void> {
    await this.#server.stop();
    await this.namespace.close();
  }

  /** One lookup of type A by dig, the name below the zone. */
  async ask(host: string): Promise<void> {
    const { exitCode, errors } = await this.namespace.run([
      'dig',
      '+short',
      '+tries=1',
      `${host}.${this.zone}`,
    ]);
    assert.equal(exitCode, 0, errors);
  }

  /** Many at once, by one dig. */
  async askMany(hosts: readonly string[]): Promise<void> {
    const queries = hosts.flatMap((host) => ['+short', `${host}.${this.zone}`]);
    const { exitCode, errors } = await this.namespace.run(['dig', '+tries=1', ...queries]);
    assert.equal(exitCode, 0, errors);
  }
}
