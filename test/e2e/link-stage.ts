/**
 * A client, a server and an intruder on one link, each in a namespace of its own, real name servers of Debian, and the agent: for multicast.test.ts and
 * transfers.test.ts.
 *
 * WHODNS_TEST_HOOK names the hook family (default: the agent's own choice).
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineStats } from '../../src/pipeline.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { end } from '../matrix/children.ts';
import { Namespace } from '../matrix/namespace.ts';
import { DebianServers } from './debian-servers.ts';
import { PRELUDE } from './paths.ts';

export const INTRUDER = '10.99.0.66';

const HOOK = process.env.WHODNS_TEST_HOOK ?? 'auto';
const START_MS = 180_000;
const PATIENCE_MS = 15_000;
const SERVER_MS = 20_000;
/** Devices `near` of the client, `far` of the server and `other` of the intruder, on a bridge of the host between. */
const LINK = `
h ip link add br0 type bridge mcast_snooping 0
for end in "near $C" "far $S" "other $I"; do
  set -- $end
  ip link add $1 netns $2 type veth peer name port-$1 netns $H
  h ip link set port-$1 master br0
  h ip link set port-$1 up
done
h ip link set br0 up
client c near
server far
inside $I ip addr add ${INTRUDER}/24 dev other
inside $I ip link set other up
for each in $C $S $I; do inside $each ip link set lo up; done
c ip route add 224.0.0.0/4 dev near
s ip route add 224.0.0.0/4 dev far
inside $I ip route add 224.0.0.0/4 dev other`;
/** What Debian's packages make when they are installed: a user, and folders below /run, where nothing of this host is then. */
const INSTALLED = `set -e
for file in passwd group; do cp /etc/$file "$0/$file"; done
echo 'avahi:x:64100:64100::/:/bin/false' >>"$0/passwd"
echo 'avahi:x:64100:' >>"$0/group"
for file in passwd group; do mount --bind "$0/$file" /etc/$file; done
mount -t tmpfs none /run
mkdir /run/avahi-daemon /run/named`;

type Places = readonly [client: Namespace, server: Namespace, intruder: Namespace, host: Namespace];

export class LinkStage {
  readonly servers: DebianServers;
  readonly client: Namespace;
  readonly server: Namespace;
  readonly intruder: Namespace;
  readonly agent: Agent;
  readonly directory: string;
  readonly #host: Namespace;
  readonly #children: ChildProcess[] = [];

  private constructor(
    servers: DebianServers,
    [client, server, intruder, host]: Places,
    agent: Agent,
    directory: string,
  ) {
    this.servers = servers;
    this.client = client;
    this.server = server;
    this.intruder = intruder;
    this.#host = host;
    this.agent = agent;
    this.directory = directory;
  }

  /** @param options of the agent */
  static async open(options: readonly string[]): Promise<LinkStage> {
    const servers = await DebianServers.open();
    const open = Namespace.open;
    const places: Places = [await open(), await open(), await open(), await open()];
    const [C, S, I, H] = places.map(({ pid }) => String(pid));
    const env = { ...process.env, C, S, I, H };
    const { status, stderr } = spawnSync('sh', ['-c', PRELUDE + LINK], { env, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    for (const each of places) {
      const { exitCode, errors } = await each.run(['sh', '-c', INSTALLED, each.directory]);
      assert.equal(exitCode, 0, errors);
    }
    const directory = mkdtempSync(join(tmpdir(), 'whodns-link-'));
    const files = ['--control', join(directory, 'control'), '--stats', join(directory, 'stats')];
    const agent = Agent.start([...AGENT, '--hook', HOOK, ...files, ...options]);
    const deadline = performance.now() + START_MS;
    while (!agent.errors.includes('capturing with')) {
      assert.ok(agent.running && performance.now() < deadline, agent.errors);
      await sleep(50);
    }
    await sleep(1500); // IPv6 addresses of link-local scope are tried out first
    return new LinkStage(servers, places, agent, directory);
  }

  /** Starts a server; resolves to its process id. @param ready what it says then, or the UDP port that it is bound to */
  async serve(where: Namespace, argv: readonly string[], ready: RegExp | number): Promise<number> {
    const child = where.spawn(argv);
    this.#children.push(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    const deadline = performance.now() + SERVER_MS;
    while (typeof ready === 'number' ? !hasUdpPort(child.pid, ready) : !ready.test(said)) {
      assert.ok(child.exitCode === null && performance.now() < deadline, `${argv.join(' ')}: ${said}`);
      await sleep(20);
    }
    return child.pid ?? 0;
  }

  async endServer(pid: number): Promise<void> {
    const child = this.#children.find((each) => each.pid === pid);
    if (child !== undefined) await end(child, 'SIGKILL');
  }

  /** Records that `isWanted`, once there are `count` of them. */
  async records(count: number, isWanted: (record: JsonRecord) => boolean): Promise<readonly JsonRecord[]> {
    await this.agent.waitFor((records) => records.filter(isWanted).length >= count, PATIENCE_MS);
    await this.agent.assertRingKept();
    return this.agent.records.filter(isWanted);
  }

  /** Ends the agent; its ledger at the end. */
  async ledger(): Promise<PipelineStats> {
    assert.equal(await this.agent.stop(), 0, this.agent.errors);
    return JSON.parse(readFileSync(join(this.directory, 'stats'), 'utf8')) as PipelineStats;
  }

  async close(): Promise<void> {
    try {
      await this.agent.stop();
    } finally {
      for (const child of this.#children) await end(child, 'SIGKILL');
      for (const each of [this.client, this.server, this.intruder, this.#host]) await each.close();
      rmSync(this.directory, { recursive: true });
    }
  }
}

/** In the network namespace of the process. */
function hasUdpPort(pid: number | undefined, port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  return ['udp', 'udp6'].some((table) => readFileSync(`/proc/${pid}/net/${table}`, 'latin1').includes(local));
}
