/** --connections: real clients, real servers; which process connected where, and by which name it had found the address. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { currentPreemption, isPreempted } from '../../src/capture/preemption.ts';
import { AGENT, Agent } from '../matrix/agent.ts';
import { loadedPrograms } from '../native/harness.ts';
import {
  ADDRESS,
  assertResolved,
  assertUnresolved,
  CLOSED_PORT,
  CONNECTOR,
  ConnectionStage,
  HOOK,
  PORT,
  SHORT_TTL,
  START_MS,
} from './connection-stage.ts';

/** Fewer in a test machine: all of them are to end within a minute. */
const MANY = process.env['WHODNS_TEST_BUILT'] === undefined ? 10_000 : 4000;
const AT_ONCE = 4;

let stage: ConnectionStage;
before(async () => {
  stage = await ConnectionStage.open();
});
after(async () => {
  await stage?.close();
  stage?.remove();
});

const www = () => `www.${stage.zone}`;
const alias = () => `alias.${stage.zone}`;
const url = (host: string) => `http://${host}:${PORT}/`;

test('an address that nobody looked up is unresolved', async () => {
  const { pid } = await stage.run(['curl', '-s', url(ADDRESS.unnamed)]);
  const [record] = await stage.recordsOf(pid);
  assert.ok(record);
  assertUnresolved(record, ADDRESS.unnamed);
  assert.equal(record.attributes['network.peer.port'], Number(PORT));
  assert.equal(record.resource['process.executable.name'], 'curl');
  assert.equal(record.attributes['whodns.attribution'], 'kernel');
});

for (const [family, address] of [
  ['4', ADDRESS.www],
  ['6', ADDRESS.www6],
] as const) {
  test(`curl -${family}`, async () => {
    const { pid } = await stage.run(['curl', `-${family}`, '-s', url(www())]);
    const [record] = await stage.recordsOf(pid);
    assert.ok(record);
    assertResolved(record, address, [www()]);
    assert.equal(record.attributes['network.type'], `ipv${family}`);
    assert.equal(record.attributes['network.transport'], 'tcp');
    assert.equal(record.attributes['network.local.address'], address);
  });
}

test('python', async () => {
  const program = `import socket; socket.create_connection(("${www()}", ${PORT})).close()`;
  const { pid } = await stage.run(['python3', '-c', program]);
  const [record] = await stage.recordsOf(pid);
  assert.ok(record);
  // getaddrinfo gives IPv6 first (RFC 6724)
  assertResolved(record, ADDRESS.www6, [www()]);
});

test('node', async () => {
  const program = `require('node:net').connect({ port: ${PORT}, host: '${www()}', family: 4 }, function () { this.destroy() })`;
  const { pid } = await stage.run([process.execPath, '-e', program]);
  const [record] = await stage.recordsOf(pid);
  assert.ok(record);
  assertResolved(record, ADDRESS.www, [www()]);
});

test('an alias: the name asked for comes first', async () => {
  const [record] = await stage.recordsOf(await stage.connect('4', alias()));
  assert.ok(record);
  assertResolved(record, ADDRESS.www, [alias(), www()]);
});

for (const mode of ['4', '6', 'mapped', 'nonblocking']) {
  test(`connect: ${mode}`, async () => {
    const [record] = await stage.recordsOf(await stage.connect(mode, www()));
    assert.ok(record);
    assertResolved(record, mode === '6' ? ADDRESS.www6 : ADDRESS.www, [www()]);
    assert.equal(record.attributes['network.type'], mode === '6' ? 'ipv6' : 'ipv4');
    assert.equal(record.resource['process.executable.path'], CONNECTOR);
  });
}

test('a connection that is refused was begun all the same', async () => {
  const [record] = await stage.recordsOf(await stage.connect('4', www(), CLOSED_PORT));
  assert.ok(record);
  assertResolved(record, ADDRESS.www, [www()]);
  assert.equal(record.attributes['network.peer.port'], Number(CLOSED_PORT));
});

test('a child that connects to what its parent looked up, and is gone', async () => {
  const [record] = await stage.recordsOf(await stage.connect('fork', `fork.any.${stage.zone}`));
  assert.ok(record);
  // Of its network namespace: others asked for names of this address before.
  const names = record.attributes['whodns.connect.names'] as string[];
  assert.equal(names[0], `fork.any.${stage.zone}`);
  assert.equal(record.attributes['whodns.connect.scope'], 'network-namespace');
  assert.equal(record.resource['process.executable.path'], CONNECTOR);
});

test('an address that two names share: the name that the process asked for', async () => {
  const [one, two] = [`one.${stage.zone}`, `two.${stage.zone}`];
  for (const name of [one, two]) {
    const [record] = await stage.recordsOf(await stage.connect('4', name));
    assert.ok(record);
    assertResolved(record, ADDRESS.shared, [name]);
  }
  // Who asked for neither may mean either: the one answered last first.
  const [record] = await stage.recordsOf(await stage.connect('4', ADDRESS.shared));
  assert.ok(record);
  assertResolved(record, ADDRESS.shared, [two, one], 'network-namespace');
});

test('an answer that had expired', async () => {
  const pid = await stage.connect('late', `short.${stage.zone}`, PORT, '2500');
  const [record] = await stage.recordsOf(pid);
  assert.ok(record);
  assertResolved(record, ADDRESS.short, [`short.${stage.zone}`], 'process', SHORT_TTL);
  assert.ok(Number(record.attributes['whodns.connect.answer_age']) >= 2500);
  assert.ok(Number(record.attributes['whodns.connect.ttl_left']) < 0);
});

test('connections within the host have no record', async () => {
  const before = stage.records().length;
  const { pid } = await stage.run(['curl', '-s', '-o', '/dev/null', url('127.0.0.1')]);
  const { pid: other } = await stage.run(['curl', '-s', '-o', '/dev/null', url('[::1]')]);
  // One that is seen comes after them: they are not late.
  await stage.recordsOf(await stage.connect('4', www()));
  assert.equal(stage.records().length, before + 1);
  assert.ok(!stage.records().some(({ resource }) => [pid, other].includes(Number(resource['process.pid']))));
});

let many: readonly number[] = [];
test(`${MANY} short connections of ${AT_ONCE} processes at once, judged at the end`, async () => {
  const each = String(MANY / AT_ONCE);
  const connecting = Array.from({ length: AT_ONCE }, (_, i) =>
    stage.connect('many', `many${i}.any.${stage.zone}`, PORT, each),
  );
  many = await Promise.all(connecting);
});

test('the connections of the agent are left out', async () => {
  const collector = `OTEL_EXPORTER_OTLP_ENDPOINT=http://${ADDRESS.unnamed}:${CLOSED_PORT}`;
  // Both become the agent: the pid is its own.
  const inside = ['env', collector, 'nsenter', '--target', String(stage.namespace.pid), '--net', '--mount'];
  const options = ['--connections', '--hook', HOOK, '--stats', `${stage.directory}/self.json`];
  const exporters = ['--exporter', 'console', '--exporter', 'otlp'];
  const agent = Agent.start([...inside, '--', ...AGENT, ...options, ...exporters]);
  try {
    // The other agent sees it trying to reach its collector: before it captures, then with what it has to send.
    const tries = () =>
      stage.records().filter(({ resource }) => resource['process.pid'] === agent.pid).length;
    const deadline = performance.now() + START_MS;
    let before = Number.POSITIVE_INFINITY;
    while (tries() <= before && performance.now() < deadline) {
      await stage.connect('4', www());
      if (before === Number.POSITIVE_INFINITY && agent.errors.includes('capturing with')) before = tries();
    }
    assert.ok(tries() > before, agent.errors);
  } finally {
    await agent.stop();
  }
  const stats = JSON.parse(readFileSync(`${stage.directory}/self.json`, 'utf8'));
  assert.ok(stats.source.counters.self > 0);
  const seen = agent.records.filter(({ event_name }) => event_name === 'whodns.connect');
  assert.ok(seen.length > 0);
  assert.deepEqual(
    seen.filter(({ resource }) => resource['process.pid'] === agent.pid),
    [],
  );
});

test('nothing of it is loaded unless asked for', async () => {
  const plain = Agent.start([...AGENT, '--hook', HOOK]);
  try {
    while (!plain.errors.includes('capturing')) {
      assert.ok(plain.running, plain.errors);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const [without, withThem] = [namesOf(plain.pid), namesOf(stage.agent.pid)];
    assert.ok(without.length > 0);
    const more = withThem.filter((name) => !without.includes(name));
    // Of packets two: the connect, and its SYN that leaves.
    assert.equal(more.length, more[0]?.startsWith('connect_t') ? 2 : 1, `${more}`);
    assert.ok(
      more.every((name) => name.startsWith('connect_')),
      `${more}`,
    );
    assert.equal(withThem.length, without.length + more.length);
  } finally {
    await plain.stop();
  }
});

test('the ledger: every connection the kernel saw is a record, here and in OTLP', async () => {
  const printed = stage.agent.records.filter(({ event_name }) => event_name === 'whodns.connect').length;
  const stats = await stage.close();
  assert.ok(stats);
  const { counters, drops } = stats.source;
  const stages = new Map(stats.stages.map((each) => [each.name, each]));
  const connections = stages.get('connections');
  assert.ok(connections);
  assert.equal(connections.in, (counters['connections'] ?? 0) - (drops['connection_ring_full'] ?? 0));
  assert.equal(connections.out, connections.in);
  assert.ok((counters['loopback'] ?? 0) >= 2);
  for (const { name, missing } of stats.stages) assert.equal(missing, 0, name);
  const exported = otlpConnections();
  assert.equal(exported.length, connections.out);
  assert.ok(printed > 0 && printed <= exported.length);
  // What the kernel skipped where it preempts (src/tables/hook-families.ts) is counted.
  const { missedRuns } = stats.source;
  assert.ok(missedRuns === 0 || isPreempted(currentPreemption()), `${missedRuns}`);
  const named = many.map(
    (pid, i) =>
      exported.filter(
        ({ resource, attributes }) =>
          attributes.includes(`"many${i}.any.${stage.zone}"`) && resource.includes(`"intValue":"${pid}"`),
      ).length,
  );
  const every = named.reduce((sum, count) => sum + count, 0);
  assert.ok(every <= MANY && every >= MANY - missedRuns, `${named}, ${missedRuns} runs skipped`);
});

/** Names of the BPF programs that a process holds. */
function namesOf(pid: number): string[] {
  const ids = new Set(loadedPrograms(pid));
  const all = JSON.parse(execFileSync('bpftool', ['-j', 'prog', 'show'], { encoding: 'utf8' })) as {
    readonly id: number;
    readonly name: string;
  }[];
  return all.filter(({ id }) => ids.has(id)).map(({ name }) => name);
}

/** Log records `whodns.connect` of the file, each with its resource, as JSON text. */
function otlpConnections(): { readonly resource: string; readonly attributes: string }[] {
  const lines = readFileSync(stage.otlp, 'utf8').split('\n').slice(0, -1);
  return lines.flatMap((line) => {
    const { resourceLogs = [] } = JSON.parse(line) as {
      resourceLogs?: {
        resource: unknown;
        scopeLogs: { logRecords: { eventName: string; attributes: unknown }[] }[];
      }[];
    };
    return resourceLogs.flatMap(({ resource, scopeLogs }) =>
      scopeLogs.flatMap(({ logRecords }) =>
        logRecords
          .filter(({ eventName }) => eventName === 'whodns.connect')
          .map(({ attributes }) => ({
            resource: JSON.stringify(resource),
            attributes: JSON.stringify(attributes),
          })),
      ),
    );
  });
}
