/** Where the containers run: a network namespace with a name server, control groups of the test's own, and the agent beside it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { finish, Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { CgroupTree } from './cgroups.ts';

export const PATIENCE_MS = 30_000;

interface Stats {
  readonly stages: readonly { readonly name: string; readonly missing: number; readonly held: number }[];
  readonly metadata: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly source: { readonly drops: Readonly<Record<string, number>> };
}

export class Site {
  readonly zone = `c${randomBytes(4).toString('hex')}.test`;
  /** Short: the path of a socket has 107 bytes. */
  readonly directory = mkdtempSync('/tmp/whodns-c-');
  readonly cgroups = new CgroupTree();
  readonly namespace: Namespace;
  #server: NameServer | undefined;
  #agent: Agent | undefined;

  private constructor(namespace: Namespace) {
    this.namespace = namespace;
  }

  static async open(): Promise<Site> {
    const site = new Site(await Namespace.open());
    // Runtimes make files of their own there, wherever they are told to be: those go with the namespace.
    for (const shared of ['/run', '/opt']) {
      const { exitCode, errors } = await site.namespace.run(['mount', '-t', 'tmpfs', 'tmpfs', shared]);
      assert.equal(exitCode, 0, errors);
    }
    const zone = { name: site.zone, lines: [`address=/${site.zone}/192.0.2.1`] };
    site.#server = await startDnsmasq(site.namespace, zone, ['127.0.0.1']);
    return site;
  }

  async startAgent(options: readonly string[]): Promise<void> {
    this.#agent = Agent.start([...AGENT, '--stats', `${this.directory}/stats.json`, ...options]);
    assert.ok(await this.agent.waitFor(() => this.agent.errors.includes('capturing'), PATIENCE_MS));
  }

  get agent(): Agent {
    if (this.#agent === undefined) throw new Error('no agent');
    return this.#agent;
  }

  /** Ends the agent; what it counted. */
  async stopAgent(): Promise<Stats> {
    assert.equal(await this.agent.stop(), 0, this.agent.errors);
    return JSON.parse(readFileSync(`${this.directory}/stats.json`, 'utf8')) as Stats;
  }

  async close(): Promise<void> {
    await this.#agent?.stop();
    await this.#server?.stop();
    await this.namespace.close();
    await this.cgroups.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async recordsOf(name: string): Promise<readonly JsonRecord[]> {
    const ours = (record: JsonRecord) => record.attributes['dns.question.name'] === name;
    await this.agent.waitFor((records) => records.some(ours), PATIENCE_MS);
    return this.agent.records.filter(ours);
  }

  /** Every record of the name says so (getent asks for A and AAAA), and there is one. */
  async assertRecords(name: string, wanted: Readonly<Record<string, unknown>>): Promise<void> {
    const records = await this.recordsOf(name);
    assert.notEqual(records.length, 0, `no record of ${name}; ${this.agent.errors}`);
    for (const { resource } of records) {
      const shown = Object.fromEntries(Object.keys(wanted).map((key) => [key, resource[key]]));
      assert.deepEqual(shown, wanted);
    }
  }

  /** getent, from a control group laid out by hand. */
  async askFrom(cgroup: string, name: string): Promise<void> {
    const script = 'read -r line && exec getent hosts "$1"';
    const child = this.namespace.spawn(['sh', '-c', script, 'sh', name], ['pipe', 'pipe', 'pipe']);
    const finished = finish(child, PATIENCE_MS);
    if (child.pid === undefined) await once(child, 'spawn');
    assert.ok(this.cgroups.move(child.pid ?? 0, cgroup) > 0, 'no control group took the process');
    child.stdin?.end('go\n');
    const { exitCode, errors } = await finished;
    assert.equal(exitCode, 0, errors);
  }
}
