/** A network namespace with a real name server, the real agent with its page, and clients that look names up. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type OutgoingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildClients } from '../clients/build.ts';
import { Agent } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';

/** As installed: the page that it serves is in the same bundle. */
export const PROGRAM: readonly string[] = [process.execPath, join(import.meta.dirname, '../../dist/main.js')];
export const AGENT: readonly string[] = [...PROGRAM, 'run', '--format', 'json'];
export const SERVER = '127.0.0.1';
export const ANSWERS = ['192.0.2.80', '192.0.2.81'] as const;
const START_MS = 60_000;

export class Stage {
  readonly zone: string;
  /** Temporary directory, removed by close(). */
  readonly directory: string;
  readonly namespace: Namespace;
  readonly #options: readonly string[];
  readonly #server: NameServer;
  #agent: Agent;
  #url = '';

  private constructor(
    zone: string,
    directory: string,
    namespace: Namespace,
    server: NameServer,
    options: readonly string[],
  ) {
    this.zone = zone;
    this.directory = directory;
    this.namespace = namespace;
    this.#server = server;
    // The agent sees the whole host: what others ask meanwhile is not of this test.
    this.#options = ['--include-domain', zone, '--control', join(directory, 'control'), ...options];
    this.#agent = this.#begin();
  }

  /** @param options of the agent; with `--ui` where it is not to be at a free port of 127.0.0.1 */
  static async open(...options: readonly string[]): Promise<Stage> {
    if (process.env['WHODNS_TEST_BUILT'] === undefined) buildClients();
    const zone = `u${randomBytes(3).toString('hex')}.test`;
    const directory = mkdtempSync(join(tmpdir(), 'whodns-ui-'));
    const namespace = await Namespace.open();
    const lines = ANSWERS.map((address) => `host-record=www.shop.${zone},api.shop.${zone},${address}`);
    const more = [
      `host-record=db.${zone},10.0.3.7`,
      `address=/any.${zone}/192.0.2.99`,
      `txt-record=txt.${zone},hello`,
    ];
    const server = await startDnsmasq(namespace, { name: zone, lines: [...lines, ...more] }, [SERVER]);
    const ui = options.includes('--ui') ? [] : ['--ui', '127.0.0.1:0'];
    const stage = new Stage(zone, directory, namespace, server, [...ui, ...options]);
    try {
      await stage.ready();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  get agent(): Agent {
    return this.#agent;
  }

  #begin(): Agent {
    return Agent.start([...AGENT, ...this.#options], () => false);
  }

  async ready(): Promise<void> {
    const deadline = performance.now() + START_MS;
    while (!this.#agent.errors.includes('capturing with')) {
      assert.ok(this.#agent.running && performance.now() < deadline, this.#agent.errors);
      await sleep(50);
    }
    const { text } = await ask(this.control, '/ui');
    this.#url = (JSON.parse(text) as { url: string }).url;
  }

  /** Path of the control socket. */
  get control(): string {
    return join(this.directory, 'control');
  }

  /** The agent ends and begins again with the same options, but at the port that it had. */
  async restart(): Promise<void> {
    const { port } = new URL(this.url);
    await this.#agent.stop();
    const at = this.#options.indexOf('--ui') + 1;
    const options = this.#options.with(at, `127.0.0.1:${port}`);
    this.#agent = Agent.start([...AGENT, ...options], () => false);
    await this.ready();
  }

  /** The address with the token. */
  get url(): string {
    return this.#url;
  }

  get origin(): string {
    return new URL(this.url).origin;
  }

  get token(): string {
    return /token=([\w-]+)$/.exec(this.url)?.[1] ?? '';
  }

  /** Runs a program in the namespace to its end. */
  async run(...argv: readonly string[]): Promise<void> {
    const { exitCode, errors } = await this.namespace.run(argv);
    assert.ok(exitCode >= 0, `${argv.join(' ')}: ${errors}`);
  }

  /** Asks with dig for names below the zone. */
  async dig(...names: readonly string[]): Promise<void> {
    const questions = names.flatMap((name) => [name === '' ? this.zone : `${name}.${this.zone}`, 'A']);
    await this.run('dig', '+tries=1', '+time=1', '+noall', '+noidnin', `@${SERVER}`, ...questions);
  }

  async close(): Promise<void> {
    try {
      await this.#agent.stop();
    } finally {
      await this.#server.stop();
      await this.namespace.close();
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  /** Asks the page's server as the page does. */
  ask(path: string, headers: OutgoingHttpHeaders = {}): Promise<Reply> {
    return ask(this.origin, path, { authorization: `Bearer ${this.token}`, ...headers });
  }
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A request as anyone can make one. @param at origin, or path of a socket */
export function ask(
  at: string,
  path: string,
  headers: OutgoingHttpHeaders = {},
  method = 'GET',
): Promise<Reply> {
  const where = at.startsWith('/')
    ? { socketPath: at }
    : { host: new URL(at).hostname, port: new URL(at).port };
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
      response.on('error', reject);
    });
    sent.setTimeout(20_000, () => sent.destroy(new Error('no answer')));
    sent.on('error', reject);
    sent.end();
  });
}
