/** Each rule with a real program that does the thing, through the kernel and the real agent out to OTLP. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildClients } from '../clients/build.ts';
import { ACTOR } from '../e2e/stage.ts';
import { letters, random } from '../unit/detect-events.ts';
import { type Arrived, DetectStage, HOST, latestSum, PATIENCE_MS, ROOT } from './stage.ts';

const NODE = process.execPath;
const PROGRAMS = join(ROOT, 'test/detect/programs');
const POD =
  'search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\noptions ndots:5\n';

let stage: DetectStage;

before(async () => {
  buildClients();
  stage = await DetectStage.open(
    (id) => [
      `server=/tunnel-${id}.test/127.0.0.3`,
      ...['known', 'fresh', 'other', 'dot'].map((name) => `address=/${name}-${id}.test/${HOST}`),
      'local=/cluster.local/',
      'host-record=db.default.svc.cluster.local,127.0.0.1',
      'address=/google.com/127.0.0.1',
      `address=/dns.google/${HOST}`,
    ],
    (_id, directory) => [
      ...['--detect', 'all', '--connections', '--timeout', '2s'],
      ...['--detect-set', 'new-domain-connect.learning=3s'],
      ...['--detect-set', `non-cluster-domain.internal=process.executable.path=${directory}/internal-getent`],
      // The checkout may lie below /tmp.
      ...[NODE, `${directory}/worker`, `${directory}/doh-curl`, `${directory}/internal-getent`].flatMap(
        (path) => ['--detect-set', `unknown-binary.allow=${path}`],
      ),
    ],
  );
  await stage.serve([NODE, join(PROGRAMS, 'tunnel-server.ts'), '127.0.0.3', `tunnel-${stage.id}.test`]);
  const pages = join(stage.directory, 'www');
  mkdirSync(pages);
  writeFileSync(join(pages, 'index.html'), 'hello\n');
  await stage.serve(['busybox', 'httpd', '-f', '-p', `${HOST}:80`, '-h', pages], '');
});
after(() => stage.close());

/** The finding is on the process's resource, names its query's record, and is counted. */
async function assertFinding(found: Arrived, pid: number, severity: string): Promise<void> {
  const rule = String(found.attributes['security_rule.name']);
  assert.equal(found.resource['process.pid'], `int:${pid}`);
  assert.equal(found.record.eventName, 'whodns.finding');
  assert.equal(found.record.severityNumber, severity);
  assert.ok((found.record.body?.stringValue ?? '').startsWith(`${rule}: `));
  const uid = found.attributes['whodns.finding.record.uid'];
  const cause = [...stage.agent.records('whodns.query'), ...stage.agent.records('whodns.connect')].find(
    ({ attributes }) => attributes['log.record.uid'] === uid,
  );
  assert.ok(cause, 'the record it rests on has arrived');
  assert.equal(cause.resource['process.executable.path'], found.resource['process.executable.path']);
  assert.notEqual(found.attributes['log.record.uid'], uid, 'it has an identifier of its own');
  const deadline = performance.now() + PATIENCE_MS;
  while (latestSum(stage.agent.receiver, 'whodns.findings', { 'security_rule.name': rule }) === 0) {
    assert.ok(performance.now() < deadline, `${rule} is not counted`);
    await sleep(100);
  }
}

test('tunnel: a tunnel that carries data both ways', async () => {
  const program = join(PROGRAMS, 'tunnel-client.ts');
  const domain = `tunnel-${stage.id}.test`;
  const pid = await stage.run(NODE, program, '127.0.0.1', domain, '700', '90', '60');
  const found = await stage.finding('tunnel', ({ resource }) => resource['process.pid'] === `int:${pid}`);
  await assertFinding(found, pid, 'SEVERITY_NUMBER_ERROR');
  assert.equal(found.attributes['whodns.finding.domain'], domain);
});

test('tunnel: few messages, much in the answers', async () => {
  const program = join(PROGRAMS, 'tunnel-client.ts');
  const domain = `tunnel-${stage.id}.test`;
  const pid = await stage.run(NODE, program, '127.0.0.1', domain, '150', '25', '10');
  const found = await stage.finding('tunnel', ({ resource }) => resource['process.pid'] === `int:${pid}`);
  await assertFinding(found, pid, 'SEVERITY_NUMBER_ERROR');
  assert.equal(found.attributes['whodns.finding.kind'], 'answers');
});

test('nxdomain-burst: generated domains, and a misconfiguration', async () => {
  const next = random(42);
  const list = join(stage.directory, 'names');
  const ask = async (names: readonly string[]) => {
    writeFileSync(list, `${names.join('\n')}\n`);
    return stage.run('dig', '+tries=1', '-f', list);
  };
  const generated = await ask(Array.from({ length: 120 }, () => `${letters(14, next)}.test`));
  const found = await stage.finding(
    'nxdomain-burst',
    (each) => each.resource['process.pid'] === `int:${generated}`,
  );
  await assertFinding(found, generated, 'SEVERITY_NUMBER_WARN');
  assert.equal(found.attributes['whodns.finding.kind'], 'generated-domains');
  const wrong = await ask(Array.from({ length: 120 }, () => 'db.old-datacentre.test'));
  const other = await stage.finding(
    'nxdomain-burst',
    (each) => each.resource['process.pid'] === `int:${wrong}`,
  );
  assert.equal(other.attributes['whodns.finding.kind'], 'misconfiguration');
});

test('new-domain-connect: curl to a fresh domain', async () => {
  const curl = stage.copyOf('/usr/bin/curl', 'worker');
  const get = (name: string) => stage.run(curl, '-4', '-s', '-m', '5', `http://${name}-${stage.id}.test/`);
  for (let i = 0; i < 8; i++) {
    await get('known');
    await sleep(500);
  }
  assert.ok(!stage.findings().some(({ resource }) => resource['process.executable.path'] === curl));
  const pid = await get('fresh');
  const found = await stage
    .finding('new-domain-connect', ({ resource }) => resource['process.pid'] === `int:${pid}`)
    .catch((error: unknown) => {
      const seen = [...stage.agent.records('whodns.query'), ...stage.agent.records('whodns.connect')]
        .filter(({ resource }) => resource['process.executable.path'] === curl)
        .map(({ record, resource }) => `${resource['process.pid']} ${record.body?.stringValue}`);
      throw new Error(`${String(error)}\nseen of it:\n${seen.join('\n')}`);
    });
  await assertFinding(found, pid, 'SEVERITY_NUMBER_WARN');
  assert.equal(found.attributes['whodns.finding.domain'], `fresh-${stage.id}.test`);
  assert.equal(found.attributes['network.peer.address'], HOST);
});

test('unknown-binary: in memory, deleted, in /tmp', async () => {
  const name = `x-${stage.id}.test`;
  const memory = await stage.run(ACTOR, 'memfd', '127.0.0.1', name);
  const kindOf = (pid: number) =>
    stage.finding('unknown-binary', ({ resource }) => resource['process.pid'] === `int:${pid}`);
  const found = await kindOf(memory);
  await assertFinding(found, memory, 'SEVERITY_NUMBER_ERROR');
  assert.equal(found.attributes['whodns.finding.kind'], 'memory-file');
  const doomed = await stage.run(stage.copyOf(ACTOR, 'doomed'), 'deleted', '127.0.0.1', name);
  assert.equal((await kindOf(doomed)).attributes['whodns.finding.kind'], 'deleted');
  const temporary = join(stage.namespace.directory, 'dropped');
  await stage.run('cp', ACTOR, temporary);
  const dropped = await stage.run(temporary, 'ask', '127.0.0.1', name);
  assert.equal((await kindOf(dropped)).attributes['whodns.finding.kind'], 'writable-path');
});

test('rogue-resolver: a query to another server', async () => {
  const pid = await stage.run('dig', '+tries=1', '@127.0.0.2', `known-${stage.id}.test`);
  const found = await stage.finding(
    'rogue-resolver',
    ({ resource }) => resource['process.pid'] === `int:${pid}`,
  );
  await assertFinding(found, pid, 'SEVERITY_NUMBER_WARN');
  assert.equal(found.attributes['server.address'], '127.0.0.2');
  assert.deepEqual(found.attributes['whodns.finding.configured'], ['127.0.0.1']);
});

test('encrypted-dns: DNS over TLS, DNS over HTTPS by name', async () => {
  const tls = await stage.run('kdig', '+tls', '+timeout=1', '+retry=0', `@${HOST}`, `dot-${stage.id}.test`);
  const found = await stage.finding(
    'encrypted-dns',
    ({ resource }) => resource['process.pid'] === `int:${tls}`,
  );
  await assertFinding(found, tls, 'SEVERITY_NUMBER_WARN');
  assert.equal(found.attributes['whodns.finding.kind'], 'tls');
  // A workload of its own: curl may be known to the agent from elsewhere on the host, as one that has settled.
  const curl = stage.copyOf('/usr/bin/curl', 'doh-curl');
  const https = await stage.run(curl, '-4', '-s', '-m', '5', 'https://dns.google/dns-query?name=example.com');
  const other = await stage.finding(
    'encrypted-dns',
    ({ resource }) => resource['process.pid'] === `int:${https}`,
  );
  assert.equal(other.attributes['whodns.finding.kind'], 'https');
  assert.equal(other.attributes['whodns.finding.subject'], 'dns.google');
});

test('non-cluster-domain and search-list folding: a pod that asks for google.com', async () => {
  stage.useResolvConf(POD);
  const getent = stage.copyOf('/usr/bin/getent', 'internal-getent');
  // In a mount namespace of their own, as a pod has it: the file of one that is known is read again after half a minute only.
  const script = '"$0" ahosts db; "$0" ahosts google.com; sleep 1';
  await stage.run('unshare', '--mount', 'sh', '-c', script, getent);
  const found = await stage.finding('non-cluster-domain');
  assert.equal(found.attributes['dns.question.name'], 'google.com');
  const asked = stage
    .queries()
    .filter(({ resource }) => resource['process.executable.path'] === getent)
    .map(({ attributes: at, resource }) => ({
      pid: Number(String(resource['process.pid']).slice('int:'.length)),
      text: `${at['dns.question.name']} ${at['whodns.search.base']} ${at['whodns.search.step']}`,
    }));
  await assertFinding(found, asked.at(-1)?.pid ?? 0, 'SEVERITY_NUMBER_WARN');
  assert.deepEqual([...new Set(asked.map(({ text }) => text))].toSorted(), [
    'db.default.svc.cluster.local db int:0',
    'google.com google.com int:3',
    'google.com.cluster.local google.com int:2',
    'google.com.default.svc.cluster.local google.com int:0',
    'google.com.svc.cluster.local google.com int:1',
  ]);
  const deadline = performance.now() + PATIENCE_MS;
  const wasted = () =>
    latestSum(stage.agent.receiver, 'whodns.search.wasted', { 'process.executable.name': 'internal-getent' });
  while (wasted() < 6) {
    assert.ok(performance.now() < deadline, `wasted: ${wasted()}`);
    await sleep(100);
  }
  assert.equal(wasted(), 6);
  stage.useResolvConf('nameserver 127.0.0.1\n');
});

test('nothing else was found', () => {
  const others = stage
    .findings()
    .map(
      ({ attributes, resource }) =>
        `${attributes['security_rule.name']} ${resource['process.executable.name']}`,
    );
  // The resolver relays the tunnel, and that is found too; the copy of curl is new to every domain but the first.
  const expected = new Set([
    'tunnel node',
    'tunnel dnsmasq',
    'nxdomain-burst dig',
    'new-domain-connect worker',
    'unknown-binary memfd:whodns-test',
    'unknown-binary doomed',
    'unknown-binary dropped',
    'rogue-resolver dig',
    'encrypted-dns kdig',
    'encrypted-dns doh-curl',
    'non-cluster-domain internal-getent',
  ]);
  assert.deepEqual(new Set(others), expected);
  assert.doesNotMatch(stage.agent.errors, /switched off/);
});
