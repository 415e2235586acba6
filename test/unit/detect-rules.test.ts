/** Each built-in rule: what it finds, what it must not, and what names made to exhaust or evade it do. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ExecutableFacts } from '../../src/detect/detector.ts';
import type { Resolution } from '../../src/model.ts';
import { RCODES } from '../../src/tables/rcodes.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { letters, random, type Scene, sceneOf } from './detect-events.ts';
import { identity, record } from './sink-events.ts';

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const WORDS =
  'mail shop news video image login static cdn api assets blog forum search store cloud media'.split(' ');

function word(next: () => number): string {
  return WORDS[Math.floor(next() * WORDS.length)] ?? '';
}

function evidence(scene: Scene, index = 0): Readonly<Record<string, unknown>> {
  return scene.findings[index]?.attributes ?? {};
}

describe('tunnel', () => {
  it('finds data in names', async () => {
    const scene = await sceneOf(['tunnel']);
    const next = random(1);
    for (let i = 0; i < 600; i++)
      scene.ask(i / 100, { name: `${letters(45, next, BASE32)}.t.evil.example`, rcode: RCODES.NOERROR });
    assert.deepEqual(scene.rules(), ['tunnel']);
    const found = evidence(scene);
    assert.equal(found['whodns.finding.domain'], 'evil.example');
    assert.equal(found['whodns.finding.kind'], 'names');
    assert.ok(Number(found['whodns.finding.count']) >= 250);
    assert.match(String(found['whodns.finding.record.uid']), /^[0-9a-f-]{36}$/);
    assert.equal(scene.findings[0]?.severity, 17);
    assert.equal(scene.ledger.stage('detect').snapshot().missing, 0);
  });

  it('finds data in TXT answers to few names a second', async () => {
    const scene = await sceneOf(['tunnel']);
    const next = random(2);
    for (let i = 0; i < 300; i++) {
      const name = `${letters(8, next)}.evil.example`;
      const answers = [record(name, RR_TYPES.TXT, `"${letters(40, next)}"`)];
      scene.ask(i / 20, { name, type: RR_TYPES.TXT, answers });
    }
    // Some 110 bytes a message, 2200 a second.
    assert.deepEqual(scene.rules(), []);
    const lower = await sceneOf(['tunnel'], ['tunnel.payload=1000']);
    for (let i = 0; i < 300; i++) {
      const name = `${letters(8, next)}.evil.example`;
      lower.ask(i / 20, { name, type: RR_TYPES.TXT, answers: [record(name, RR_TYPES.TXT, '"x"')] });
    }
    assert.deepEqual(lower.rules(), ['tunnel']);
    assert.equal(evidence(lower)['whodns.finding.kind'], 'answers');
  });

  it('is not fooled by other domains in between, nor by the case of letters', async () => {
    const scene = await sceneOf(['tunnel']);
    const next = random(3);
    for (let i = 0; i < 1200; i++) {
      const junk = i % 2 === 0;
      const name = junk ? `www.${letters(10, next)}.com` : `${letters(45, next, BASE32)}.EVIL.example`;
      scene.ask(i / 200, { name });
    }
    assert.deepEqual(scene.rules(), ['tunnel']);
  });

  it('leaves alone: few names often, short names, slow names, reverse lookups, search lists, excluded domains', async () => {
    const scene = await sceneOf(['tunnel'], ['tunnel.exclude=hash.example']);
    const next = random(4);
    const process = (pid: number) => identity({ pid });
    for (let i = 0; i < 3000; i++) {
      const at = i / 100;
      const long = letters(45, next, BASE32);
      scene.ask(at, {
        name: 'a-very-long-name-that-stays-the-same.api.example',
        process: process(1),
      });
      scene.ask(at, { name: `${i}.pool.ntp.example`, process: process(2) });
      if (i % 10 === 0) scene.ask(at, { name: `${long}.cdn.example`, process: process(3) });
      scene.ask(at, {
        name: `${i % 250}.${i % 100}.2.1.in-addr.arpa`,
        type: RR_TYPES.PTR,
        process: process(4),
      });
      const search = { base: long, step: 0, wasted: 0 };
      scene.ask(at, { name: `${long}.default.svc.cluster.local`, search, process: process(5) });
      scene.ask(at, { name: `${long}.hash.example`, process: process(6) });
    }
    assert.deepEqual(scene.rules(), []);
  });
});

describe('nxdomain-burst', () => {
  const burst = async (name: (i: number) => string, settings: readonly string[] = []) => {
    const scene = await sceneOf(['nxdomain-burst'], settings);
    for (let i = 0; i < 200; i++) scene.ask(i / 20, { name: name(i), rcode: RCODES.NXDOMAIN, answers: [] });
    return scene;
  };

  it('finds generated domains', async () => {
    const next = random(5);
    const tlds = ['com', 'net', 'org', 'info', 'biz'];
    const scene = await burst((i) => `${letters(12 + (i % 5), next)}.${tlds[i % 5]}`);
    assert.deepEqual(scene.rules(), ['nxdomain-burst']);
    assert.equal(evidence(scene)['whodns.finding.kind'], 'generated-domains');
  });

  it('finds hexadecimal ones', async () => {
    const next = random(6);
    const scene = await burst(() => `${letters(16, next, '0123456789abcdef')}.net`);
    assert.equal(evidence(scene)['whodns.finding.kind'], 'generated-domains');
  });

  it('calls words and repetition a misconfiguration', async () => {
    const next = random(7);
    for (const name of [
      () => 'db.old-datacentre.example',
      () => `${word(next)}-${word(next)}.example`,
      (i: number) => `host${i}.internal.example`,
    ]) {
      const scene = await burst(name);
      assert.equal(evidence(scene)['whodns.finding.kind'], 'misconfiguration');
    }
  });

  it('leaves alone: few failures among many answers, blocklists by address, reverse lookups, search lists, a server', async () => {
    const next = random(8);
    const shared = await sceneOf(['nxdomain-burst']);
    for (let i = 0; i < 2000; i++) {
      const fails = i % 3 === 0;
      const rcode = fails ? RCODES.NXDOMAIN : RCODES.NOERROR;
      shared.ask(i / 100, { name: `${letters(12, next)}.com`, rcode, answers: [] });
    }
    assert.deepEqual(shared.rules(), []);
    const listed = await burst((i) => `${i}.2.0.192.zen.list.example`);
    assert.deepEqual(listed.rules(), []);
    const reverse = await burst((i) => `${i}.2.0.192.in-addr.arpa`);
    assert.deepEqual(reverse.rules(), []);
    const searched = await sceneOf(['nxdomain-burst']);
    for (let i = 0; i < 500; i++) {
      const base = `${letters(10, next)}.com`;
      const name = `${base}.default.svc.cluster.local`;
      const search = { base, step: 0, wasted: 0 };
      searched.ask(i / 50, { name, rcode: RCODES.NXDOMAIN, answers: [], search });
    }
    assert.deepEqual(searched.rules(), []);
    const server = await sceneOf(['nxdomain-burst'], [], { serves: true });
    for (let i = 0; i < 200; i++)
      server.ask(i / 20, { name: `${letters(12, next)}.com`, rcode: RCODES.NXDOMAIN, answers: [] });
    assert.deepEqual(server.rules(), []);
  });
});

describe('new-domain-connect', () => {
  const worker = identity({ resource: { 'process.executable.path': '/usr/bin/worker' } });
  const usual = (scene: Scene, hours: number) => {
    for (let i = 0; i < hours * 60; i++)
      for (const domain of ['db.corp.example', 'api.partner.example'])
        scene.ask(i * 60, { name: domain, process: worker });
  };
  const HOUR = 3600;
  const NEW = {
    name: 'x.evil.example',
    answers: [record('x.evil.example', 1, '203.0.113.66')],
    process: worker,
  };

  it('finds a first connection of a settled workload, whatever process of it connects', async () => {
    const scene = await sceneOf(['new-domain-connect']);
    usual(scene, 25);
    scene.ask(25 * HOUR, NEW);
    scene.connect(25 * HOUR + 2, '203.0.113.66', 443, { ...worker, pid: 99 });
    assert.deepEqual(scene.rules(), ['new-domain-connect']);
    assert.equal(evidence(scene)['whodns.finding.domain'], 'evil.example');
    assert.equal(evidence(scene)['network.peer.port'], 443);
    assert.ok(Math.abs(Number(evidence(scene)['whodns.finding.seconds']) - 2) < 0.01);
    scene.connect(25 * HOUR + 3, '203.0.113.66', 443, worker);
    assert.equal(scene.findings.length, 1, 'once');
  });

  it('leaves alone: while learning, a connection too late or elsewhere, one that never settles, an excluded domain', async () => {
    const learning = await sceneOf(['new-domain-connect']);
    usual(learning, 2);
    learning.ask(2 * HOUR, NEW);
    learning.connect(2 * HOUR + 1, '203.0.113.66', 443, worker);
    const late = await sceneOf(['new-domain-connect']);
    usual(late, 25);
    late.ask(25 * HOUR, NEW);
    late.connect(25 * HOUR + 1, '203.0.113.67', 443, worker);
    late.connect(25 * HOUR + 11, '203.0.113.66', 443, worker);
    const browser = await sceneOf(['new-domain-connect']);
    for (let i = 0; i < 30 * 60; i++) browser.ask(i * 60, { name: `www.site${i}.example`, process: worker });
    browser.ask(30 * HOUR, NEW);
    browser.connect(30 * HOUR + 1, '203.0.113.66', 443, worker);
    const excluded = await sceneOf(['new-domain-connect'], ['new-domain-connect.exclude=evil.example']);
    usual(excluded, 25);
    excluded.ask(25 * HOUR, NEW);
    excluded.connect(25 * HOUR + 1, '203.0.113.66', 443, worker);
    for (const scene of [learning, late, browser, excluded]) assert.deepEqual(scene.rules(), []);
  });

  it('keeps its memory bounded whatever is asked', async () => {
    const scene = await sceneOf(
      ['new-domain-connect'],
      ['new-domain-connect.learning=0s', 'new-domain-connect.settled-domains=0'],
    );
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 200_000; i++) {
      const resource = { 'process.executable.path': `/x/${i % 5000}` };
      scene.ask(i / 1000, { name: `n${i}.d${i}.example`, process: identity({ pid: i + 1, resource }) });
    }
    assert.ok(process.memoryUsage().heapUsed - before < 200e6);
  });
});

describe('non-cluster-domain', () => {
  const pod = identity({ resource: { 'k8s.namespace.name': 'payments', 'k8s.pod.name': 'p-1' } });
  const INTERNAL = ['non-cluster-domain.internal=k8s.namespace.name=payments'];

  it('finds an outside name of an internal workload', async () => {
    const scene = await sceneOf(['non-cluster-domain'], INTERNAL);
    scene.ask(0, {
      name: 'google.com.payments.svc.cluster.local',
      search: { base: 'google.com', step: 0, wasted: 0 },
      process: pod,
    });
    scene.ask(0, { name: 'google.com', search: { base: 'google.com', step: 3, wasted: 2 }, process: pod });
    assert.deepEqual(scene.rules(), ['non-cluster-domain']);
    assert.equal(evidence(scene)['whodns.finding.subject'], 'google.com');
  });

  it('leaves alone: cluster names, fan-out, others, given domains, names without a known top level', async () => {
    const scene = await sceneOf(
      ['non-cluster-domain'],
      [...INTERNAL, 'non-cluster-domain.domains=corp.example'],
    );
    scene.ask(0, { name: 'db.payments.svc.cluster.local', process: pod });
    scene.ask(0, { name: 'db.ec2.internal', search: { base: 'db', step: 3, wasted: 0 }, process: pod });
    scene.ask(0, { name: 'db.x.com', search: { base: 'db', step: 4, wasted: 0 }, process: pod });
    scene.ask(0, { name: 'git.corp.example', process: pod });
    scene.ask(0, { name: 'db.payments', process: pod });
    scene.ask(0, { name: 'db', process: pod });
    scene.ask(0, { name: '1.0.96.10.in-addr.arpa', process: pod });
    scene.ask(0, { name: 'google.com' });
    assert.deepEqual(scene.rules(), []);
    const none = await sceneOf(['non-cluster-domain']);
    none.ask(0, { name: 'google.com', process: pod });
    assert.deepEqual(none.rules(), [], 'nobody is declared internal');
  });

  it('refuses a selector that is none', async () => {
    await assert.rejects(
      sceneOf(['non-cluster-domain'], ['non-cluster-domain.internal=payments']),
      /RESOURCE-ATTRIBUTE=VALUE/,
    );
  });
});

describe('unknown-binary', () => {
  const running = (path: string, extra: object = {}, container?: string) =>
    identity({ containerId: container, resource: { 'process.executable.path': path, ...extra } });
  const DELETED = { 'whodns.process.executable.deleted': true };
  const kindOf = async (
    process: ReturnType<typeof running>,
    executable?: ExecutableFacts,
    settings: readonly string[] = [],
  ) => {
    const scene = await sceneOf(['unknown-binary'], settings, executable === undefined ? {} : { executable });
    for (let i = 0; i < 5; i++) scene.ask(i, { process });
    assert.ok(scene.findings.length < 2, 'once');
    return evidence(scene)['whodns.finding.kind'];
  };

  it('finds each kind', async () => {
    const plain = { path: '', deleted: false, replaced: false, added: undefined };
    assert.equal(await kindOf(running('/memfd:x', DELETED)), 'memory-file');
    assert.equal(await kindOf(running('/usr/bin/x', DELETED)), 'deleted');
    assert.equal(await kindOf(running('/tmp/x')), 'writable-path');
    assert.equal(
      await kindOf(running('/tmp/x', DELETED), { ...plain, deleted: true, replaced: true }),
      'deleted',
    );
    assert.equal(
      await kindOf(running('/app/x', {}, 'c'.repeat(64)), { ...plain, added: true }),
      'not-in-image',
    );
    assert.equal(
      await kindOf(running('/usr/bin/nc'), undefined, ['unknown-binary.only=/usr/bin/curl']),
      'not-listed',
    );
    assert.equal(await kindOf(running('/opt/x'), { ...plain, deleted: true }), 'deleted', 'deleted later');
  });

  it('leaves alone: installed files, upgrades, allowed paths, what is not known', async () => {
    const upgraded = { path: '', deleted: true, replaced: true, added: undefined };
    assert.equal(await kindOf(running('/usr/bin/curl')), undefined);
    assert.equal(await kindOf(running('/usr/sbin/sshd', DELETED), upgraded), undefined);
    assert.equal(
      await kindOf(running('/tmp/go-build/x'), undefined, ['unknown-binary.allow=/tmp/go-build']),
      undefined,
    );
    assert.equal(await kindOf(running('/tmpfiles/x')), undefined);
    assert.equal(await kindOf(identity({ resource: {} })), undefined);
  });
});

describe('rogue-resolver', () => {
  it('finds another server, once each, up to a limit over all processes', async () => {
    const scene = await sceneOf(['rogue-resolver'], [], { servers: ['10.0.0.53'] });
    for (let i = 0; i < 10; i++) scene.ask(i, {});
    assert.deepEqual(scene.rules(), ['rogue-resolver']);
    assert.equal(evidence(scene)['server.address'], '192.0.2.53');
    assert.deepEqual(evidence(scene)['whodns.finding.configured'], ['10.0.0.53']);
    assert.equal(scene.ledger.stage('detect').filtered.get('cooldown'), 9);
    for (let i = 0; i < 5000; i++) scene.ask(10, { process: identity({ pid: i + 10 }) });
    const stage = scene.ledger.stage('detect').snapshot();
    assert.ok(scene.findings.length < 300);
    assert.ok((stage.dropped['limit'] ?? 0) > 4000);
    assert.equal(stage.missing, 0);
  });

  it('judges by what the program dialled', async () => {
    const scene = await sceneOf(['rogue-resolver'], [], { servers: ['10.96.0.10'] });
    scene.ask(0, {
      raw: { dialed: { address: '10.96.0.10', port: 53 }, remote: { address: '10.42.0.7', port: 53 } },
    });
    assert.deepEqual(scene.rules(), []);
  });

  it('leaves alone: configured ones, name servers, multicast, unknown configuration', async () => {
    const configured = await sceneOf(['rogue-resolver'], [], { servers: ['192.0.2.53'] });
    const further = await sceneOf(['rogue-resolver'], ['rogue-resolver.servers=192.0.2.53'], { servers: [] });
    const server = await sceneOf(['rogue-resolver'], [], { servers: [], serves: true });
    const unknown = await sceneOf(['rogue-resolver']);
    const multicast = await sceneOf(['rogue-resolver'], [], { servers: [] });
    for (const scene of [configured, further, server, unknown]) scene.ask(0, {});
    multicast.ask(0, { raw: { remote: { address: '224.0.0.251', port: 53 } } });
    for (const scene of [configured, further, server, unknown, multicast])
      assert.deepEqual(scene.rules(), []);
  });
});

describe('encrypted-dns', () => {
  const resolution = (...names: string[]): Resolution => ({
    names,
    scope: 'process',
    answered: 1n,
    expires: 2n,
  });

  it('finds DNS over TLS, and DNS over HTTPS by address and by name', async () => {
    const scene = await sceneOf(['encrypted-dns']);
    scene.connect(0, '203.0.113.1', 853);
    scene.connect(0, '1.1.1.1', 443);
    scene.connect(0, '203.0.113.2', 443, identity(), resolution('alias.example', 'dns.google'));
    assert.deepEqual(
      scene.findings.map(({ attributes }) => [
        attributes['whodns.finding.kind'],
        attributes['whodns.finding.subject'],
      ]),
      [
        ['tls', '203.0.113.1'],
        ['https', '1.1.1.1'],
        ['https', 'dns.google'],
      ],
    );
  });

  it('leaves alone: other ports and endpoints, allowed addresses, name servers', async () => {
    const scene = await sceneOf(['encrypted-dns'], ['encrypted-dns.allow=203.0.113.1']);
    scene.connect(0, '203.0.113.1', 853);
    scene.connect(0, '1.1.1.1', 80);
    scene.connect(0, '203.0.113.2', 443, identity(), resolution('www.example.com'));
    const server = await sceneOf(['encrypted-dns'], [], { serves: true });
    server.connect(0, '203.0.113.1', 853);
    assert.deepEqual([...scene.rules(), ...server.rules()], []);
  });
});
