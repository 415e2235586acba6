/**
 * Name servers behind a load balancer at the socket (redirect.py): programs of a control group put a back end's address and port in the
 * place of the service's, as the Kubernetes networks without kube-proxy do. Each question is one record, with what the program asked as
 * its server and the back end as its peer.
 *
 * WHODNS_TEST_HOOK names the hook family (default: the agent's own choice).
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { end, ended } from '../matrix/children.ts';
import { Namespace } from '../matrix/namespace.ts';
import { PRELUDE, SERVER4, SERVER6 } from './paths.ts';
import { nameOf } from './stage.ts';

const HOOK = process.env.WHODNS_TEST_HOOK ?? 'auto';
const PYTHON = ['python3', join(import.meta.dirname, 'redirect.py')];
const ZONE = `r${randomBytes(4).toString('hex')}.test`;
const START_MS = 180_000;
const PATIENCE_MS = 15_000;
const SERVICE4 = '192.0.2.53';
const SERVICE6 = '2001:db8::53';
/** Back ends listen at other ports than the service, among them that of mDNS, and at the same. */
const PORTS = [1053, 5353, 53];
const WAYS = ['connected', 'sendto', 'sendmsg', 'sendmmsg', 'tcp'];
const ADDRESSES = [SERVICE4, SERVICE6, `::ffff:${SERVICE4}`];
const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] ?? '';
const missing = process.getuid?.() !== 0 ? 'needs root' : mount === '' && 'no cgroup v2 is mounted';

describe('translation at the socket', { skip: missing }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-redirect-'));
  /** This process and all that it starts are in a control group of their own. */
  const group = `${mount}/whodns-redirect-${process.pid}`;
  const home = `${mount}${/^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/'}`;
  let server: Namespace;
  let client: Namespace;
  let backend: ChildProcess;
  let balancer: ChildProcess | undefined;
  let agent: Agent;

  async function balance(port: number): Promise<void> {
    const [BACKEND4, BACKEND6] = [`${SERVER4}/${port}`, `${SERVER6}/${port}`];
    const [program = '', ...words] = [...PYTHON, 'balance'];
    balancer = spawn(program, words, {
      env: { ...process.env, BACKEND4, BACKEND6 },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [first] = await Promise.race([
      once(balancer.stdout as NodeJS.ReadableStream, 'data'),
      once(balancer, 'exit'),
    ]);
    assert.match(String(first), /^ready/);
  }

  /** Programs stay attached when who attached them is killed: the balancer ends by its input. */
  async function endBalance(): Promise<void> {
    if (balancer === undefined) return;
    balancer.stdin?.end();
    await ended(balancer);
    balancer = undefined;
  }

  before(async () => {
    mkdirSync(group);
    writeFileSync(`${group}/cgroup.procs`, String(process.pid));
    [server, client] = [await Namespace.open(), await Namespace.open()];
    const env = { ...process.env, C: String(client.pid), H: String(client.pid), S: String(server.pid) };
    const made = spawnSync('sh', ['-c', `${PRELUDE}link c\nclient c near\nserver far`], {
      env,
      encoding: 'utf8',
    });
    assert.equal(made.status, 0, made.stderr);
    const places = PORTS.flatMap((port) => [`${SERVER4}/${port}`, `${SERVER6}/${port}`]);
    await sleep(2000); // IPv6 addresses are tried out first
    backend = server.spawn([...PYTHON, 'serve', ...places], ['ignore', 'pipe', 'inherit']);
    if (backend.stdout !== null) await once(backend.stdout, 'data');
    await balance(1053);
    const control = ['--control', join(directory, 'control')];
    agent = Agent.start([...AGENT, '--hook', HOOK, '--timeout', '3s', ...control], (record) =>
      nameOf(record).endsWith(ZONE),
    );
    const deadline = performance.now() + START_MS;
    while (!agent.records.some((record) => nameOf(record).includes('.probe.'))) {
      assert.ok(agent.running && performance.now() < deadline, `no record: ${agent.errors}`);
      await client.run([...PYTHON, 'ask', 'sendto', SERVER4, `probe.${ZONE}`]);
      await sleep(200);
    }
  });

  after(async () => {
    try {
      await agent?.stop();
    } finally {
      await endBalance();
      if (backend !== undefined) await end(backend, 'SIGKILL');
      for (const namespace of [client, server]) await namespace?.close();
      writeFileSync(`${home}/cgroup.procs`, String(process.pid));
      rmdirSync(group);
      rmSync(directory, { recursive: true });
    }
  });

  async function play(words: readonly string[], zone: string, isRecorded = (_name: string) => true) {
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

  function assertTranslated({ attributes }: JsonRecord, address: string, port: number): void {
    const isIpv6 = address === SERVICE6;
    const { 'server.address': server_, 'server.port': port_ } = attributes;
    assert.deepEqual([server_, port_], [isIpv6 ? SERVICE6 : SERVICE4, 53], JSON.stringify(attributes));
    const peer = [attributes['network.peer.address'], attributes['network.peer.port']];
    assert.deepEqual(peer, [isIpv6 ? SERVER6 : SERVER4, port], JSON.stringify(attributes));
    assert.equal(attributes['dns.response_code'], 'NOERROR', JSON.stringify(attributes));
    assert.deepEqual(attributes['dns.answers'], ['192.0.2.1']);
    assert.equal(attributes['error.type'], undefined);
  }

  for (const port of PORTS)
    describe(`a back end at port ${port}`, () => {
      before(async () => {
        await endBalance();
        await balance(port);
        // The first packet of each waits for its neighbour.
        for (const family of ['-4', '-6']) await client.run(['ip', family, 'neigh', 'flush', 'dev', 'near']);
      });

      for (const address of ADDRESSES)
        for (const way of WAYS)
          test(`${way}, ${address}`, async () => {
            const zone = `${way}${ADDRESSES.indexOf(address)}-${port}.${ZONE}`;
            const { seen, records } = await play(['ask', way, address], zone);
            for (const record of records) assertTranslated(record, address, port);
            if (way !== 'tcp') assert.deepEqual([...new Set(Object.values(seen))], [`${address}/53`]);
          });
    });

  test('who asks the back end itself asks no name server', async () => {
    await endBalance();
    await balance(1053);
    for (const [address, place] of [
      [SERVICE4, SERVER4],
      [SERVICE6, SERVER6],
    ] as const) {
      const zone = `direct${place.includes(':') ? 6 : 4}.${ZONE}`;
      const words = ['direct', address, `${place}/1053`];
      const { records } = await play(words, zone, (name) => !name.includes('-1.'));
      for (const record of records) assertTranslated(record, address, 1053);
    }
  });

  test('without the programs nothing is translated', async () => {
    await endBalance();
    const { records } = await play(['ask', 'connected', SERVER4], `plain.${ZONE}`);
    for (const { attributes } of records) {
      assert.equal(attributes['server.address'], SERVER4);
      assert.ok([undefined, SERVER4].includes(attributes['network.peer.address'] as string));
    }
  });
});
