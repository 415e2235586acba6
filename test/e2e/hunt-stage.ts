/**
 * What docs/hunting.md is made of: a real agent with a history, programs that do what there is to hunt for, and the commands of the
 * page, run by a shell as they stand there.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readHistory } from '../../src/history/reader.ts';
import type { StoredConnection, StoredLookup } from '../../src/history/types.ts';
import { Agent } from '../matrix/agent.ts';
import { finish, Namespace } from '../matrix/namespace.ts';
import { MAIN } from '../matrix/program.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';

const RESOLVER = '192.0.2.53';
const SLOW = '192.0.2.54';
/** Nobody told the host to ask it. */
const STRANGER = '198.51.100.53';
const EVIL = '203.0.113.66';
const SHOP = '203.0.113.80';
const BEACONS = 4;
const BEACON_MS = 2000;
const PATIENCE_MS = 60_000;
const LIMIT_MS = 60_000;
const LINES = [
  'local=/internal/',
  `host-record=www.shop.example,${SHOP}`,
  `host-record=evil.example,${EVIL}`,
  'host-record=c2.example,203.0.113.90',
  'host-record=db.internal,10.0.3.7',
  'txt-record=shop.example,v=spf1 -all',
];
/** Answers every question with no data, late. */
const SLOW_SERVER = `
import socket, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("${SLOW}", 53))
print("ready", flush=True)
while True:
    question, client = server.recvfrom(4096)
    time.sleep(0.5)
    server.sendto(question[:2] + b"\\x81\\x80" + question[4:6] + bytes(6) + question[12:], client)
`;
/** Asks a server of its own choice, and lives on: its resolv.conf can be read. */
const BYPASS = `
import socket, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(("${STRANGER}", 53))
for i in range(10):
    client.send(bytes.fromhex("123401000001000000000000") + b"\\x04evil\\x07example\\0\\0\\1\\0\\1")
    client.recv(512)
    time.sleep(1)
`;
const WEB_SERVER = `
import socket
servers = [socket.create_server(("", port)) for port in (80, 443)]
print("ready", flush=True)
import select
while True:
    for server in select.select(servers, [], [])[0]:
        client = server.accept()[0]
        client.send(b"HTTP/1.0 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        client.close()
`;

/** What is different each time, and part of a question. */
export interface Facts {
  readonly pid: number;
  readonly localPort: number;
  /** A capture file in the directory where the commands run. */
  readonly capture: string;
}

export class HuntStage {
  readonly #namespace: Namespace;
  readonly #server: NameServer;
  readonly #servers: ReturnType<Namespace['spawn']>[];
  readonly #agent: Agent;
  readonly #directory: string;

  private constructor(
    namespace: Namespace,
    server: NameServer,
    servers: ReturnType<Namespace['spawn']>[],
    directory: string,
  ) {
    this.#namespace = namespace;
    this.#server = server;
    this.#servers = servers;
    this.#directory = directory;
    const own = ['example', 'internal'].flatMap((domain) => ['--include-domain', domain]);
    const options = ['--exporter', 'none', '--history', this.#history, '--detect', 'rogue-resolver'];
    this.#agent = Agent.start([process.execPath, MAIN, 'run', ...options, ...own], () => false);
  }

  static async open(): Promise<HuntStage> {
    const namespace = await Namespace.open();
    for (const address of [RESOLVER, SLOW, STRANGER, EVIL, SHOP])
      await namespace.run(['ip', 'address', 'add', `${address}/32`, 'dev', 'lo']);
    writeFileSync(
      join(namespace.directory, 'resolv.conf'),
      `nameserver ${RESOLVER}\nsearch shop.internal internal\noptions timeout:2 attempts:1 ndots:3\n`,
    );
    const server = await startDnsmasq(namespace, { name: 'example', lines: LINES }, [RESOLVER, STRANGER]);
    const servers: ReturnType<Namespace['spawn']>[] = [];
    for (const program of [SLOW_SERVER, WEB_SERVER]) {
      const child = namespace.spawn(['python3', '-c', program], ['ignore', 'pipe', 'inherit']);
      servers.push(child);
      await new Promise((resolve) => child.stdout?.once('data', resolve));
    }
    const directory = mkdtempSync(join(tmpdir(), 'whodns-hunt-'));
    const stage = new HuntStage(namespace, server, servers, directory);
    await stage.#until(() => stage.#agent.errors.includes('capturing with'), 'the agent captures');
    return stage;
  }

  get #history(): string {
    return join(this.#directory, 'history');
  }

  /** All that the page asks about. The agent has ended then: what it saw is kept. */
  async play(): Promise<Facts> {
    const python =
      'import socket; [socket.getaddrinfo(name, 443) for name in ("db.internal.", "www.shop.example.")]';
    const { pid } = await this.#run('python3', '-c', python);
    await this.#run('curl', '-s', '-m', '5', 'http://www.shop.example./');
    await this.#run('curl', '-s', '-m', '5', 'http://evil.example.:443/');
    for (let i = 0; i < 3; i++) await this.#run('getent', 'hosts', 'tpyo.internal.');
    await this.#run('getent', 'hosts', 'db.internal');
    await this.#run('getent', 'hosts', 'www.shop.example');
    await this.#run('dig', '+noall', '+tries=1', `@${SLOW}`, 'MX', 'shop.example');
    const bypass = this.#run('python3', '-c', BYPASS);
    for (let i = 0; i < BEACONS; i++) {
      await this.#run('wget', '-q', '-T', '1', '-t', '1', '-O', '/dev/null', 'http://c2.example./');
      if (i < BEACONS - 1) await sleep(BEACON_MS);
    }
    await bypass;
    this.#makeCommand();
    const localPort = await this.#kept();
    await this.#agent.stop();
    const capture = 'capture.pcap';
    spawnSync('cp', [
      join(import.meta.dirname, '../golden/pcaps/dns_udp.pcap'),
      join(this.#directory, capture),
    ]);
    return { pid, localPort, capture };
  }

  /** Runs a line of the page as it stands there. @returns standard output */
  ask(command: string): string {
    const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', command], {
      cwd: this.#directory,
      encoding: 'utf8',
      timeout: LIMIT_MS,
      env: { PATH: `${join(this.#directory, 'bin')}:${process.env['PATH']}`, WHODNS_HISTORY: this.#history },
    });
    assert.equal(status, 0, `${command} (${status}): ${stdout}${stderr}`);
    assert.equal(stderr, '', command);
    return stdout;
  }

  async close(): Promise<void> {
    await this.#agent.stop().catch(() => {});
    for (const child of this.#servers) child.kill('SIGKILL');
    await this.#server.stop();
    await this.#namespace.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #run(...argv: readonly string[]): Promise<{ readonly pid: number }> {
    return finish(this.#namespace.spawn(argv), LIMIT_MS);
  }

  /** @returns the source port of the connection that there is a question about */
  async #kept(): Promise<number> {
    const history = readHistory(this.#history, (message) => assert.fail(message));
    try {
      let port = 0;
      await this.#until(async () => {
        const { rows } = await history.search({ name: 'c2.example', limit: 1000 });
        const beacons = rows.filter((row) => (row as StoredLookup).type === 'A');
        const found = await history.search({ kinds: ['connection'], address: EVIL, port: 443 });
        const findings = await history.search({ kinds: ['finding'] });
        port = (found.rows[0] as StoredConnection | undefined)?.local.port ?? 0;
        return beacons.length >= BEACONS && port !== 0 && findings.rows.length > 0;
      }, 'everything is kept');
      return port;
    } finally {
      history.close();
    }
  }

  async #until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await isTrue())) {
      assert.ok(this.#agent.running && performance.now() < deadline, `${what}: ${this.#agent.errors}`);
      await sleep(200);
    }
  }

  /** `whodns`, as where it is installed. */
  #makeCommand(): void {
    const bin = join(this.#directory, 'bin');
    mkdirSync(bin);
    const command = join(bin, 'whodns');
    writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(command, 0o755);
  }
}
