/** Whose answers count: processes, containers and network namespaces; what an address was called when a program connects. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DnsCache } from '../../src/dnscache/cache.ts';
import { type Scope, scopesOf } from '../../src/dnscache/scope.ts';
import { PROCESS } from './correlate-events.ts';
import { at, type Told, told } from './dnscache-answers.ts';

const HOST: Scope = { kind: 'host' };
const inContainer = (containerId: string): Scope => ({ kind: 'container', containerId });
const inNamespace = (networkNamespace: number): Scope => ({ kind: 'network-namespace', networkNamespace });
const ofProcess = (pid: number): Scope => ({ kind: 'process', pid, startTime: BigInt(pid) });

function addresses(cache: DnsCache, key: string, scope: Scope, when = at(1)): readonly string[] {
  const answer = cache.find(key, scope, when);
  return 'found' in answer ? [] : [...answer.ip_addresses].sort();
}

function names(cache: DnsCache, key: string, scope: Scope, when = at(1)): readonly string[] {
  const answer = cache.find(key, scope, when);
  return 'found' in answer ? [] : [...answer.dns_queries].sort();
}

const A: Partial<Told> = { container: 'a', namespace: 10, pid: 1 };
const B: Partial<Told> = { container: 'b', namespace: 20, pid: 2 };

describe('DNS cache: scope', () => {
  it('what one container was told is not what another one was (split horizon)', () => {
    const cache = new DnsCache();
    cache.add(told({ ...A, name: 'api.corp', answers: ['api.corp 60 A 10.0.0.1'] }));
    cache.add(told({ ...B, name: 'api.corp', answers: ['api.corp 60 A 203.0.113.9'] }));
    cache.add(told({ ...A, name: 'gone.corp', answers: ['gone.corp 60 A 10.0.0.2'] }));
    cache.add(
      told({ ...B, name: 'gone.corp', rcode: 3, authorities: ['corp 60 SOA ns.corp a.corp 1 2 3 4 60'] }),
    );
    assert.deepEqual(addresses(cache, 'api.corp', inContainer('a')), ['10.0.0.1']);
    assert.deepEqual(addresses(cache, 'api.corp', inContainer('b')), ['203.0.113.9']);
    assert.deepEqual(addresses(cache, 'api.corp', inNamespace(20)), ['203.0.113.9']);
    assert.deepEqual(addresses(cache, 'api.corp', ofProcess(1)), ['10.0.0.1']);
    assert.deepEqual(addresses(cache, 'api.corp', HOST), ['10.0.0.1', '203.0.113.9']);
    for (const scope of [inContainer('c'), inNamespace(30), ofProcess(3)])
      assert.deepEqual(addresses(cache, 'api.corp', scope), [], scope.kind);
    assert.deepEqual(names(cache, '10.0.0.1', inContainer('b')), []);
    const gone = cache.find('gone.corp', inContainer('b'), at(1));
    assert.equal('found' in gone && gone.negative?.rcode, 'NXDOMAIN');
    assert.deepEqual(addresses(cache, 'gone.corp', HOST), ['10.0.0.2']);
  });

  it('a container cannot lengthen the chain of another one', () => {
    const cache = new DnsCache();
    cache.add(
      told({ ...A, name: 'www.corp', answers: ['www.corp 60 CNAME bank.corp', 'bank.corp 60 A 10.0.0.1'] }),
    );
    cache.add(told({ ...B, name: 'bank.corp', answers: ['bank.corp 60 A 6.6.6.6'] }));
    assert.deepEqual(addresses(cache, 'www.corp', HOST), ['10.0.0.1']);
    assert.deepEqual(names(cache, '6.6.6.6', HOST), ['bank.corp']);
  });

  it('processes of one container: each what it was told itself', () => {
    const cache = new DnsCache();
    cache.add(
      told({
        ...A,
        pid: 1,
        name: 'pool.test',
        answers: ['pool.test 60 A 10.0.0.1', 'pool.test 60 A 10.0.0.2'],
      }),
    );
    cache.add(
      told({
        ...A,
        pid: 2,
        at: 5,
        name: 'pool.test',
        answers: ['pool.test 60 A 10.0.0.2', 'pool.test 60 A 10.0.0.3'],
      }),
    );
    assert.deepEqual(addresses(cache, 'pool.test', ofProcess(1)), ['10.0.0.1', '10.0.0.2']);
    assert.deepEqual(addresses(cache, 'pool.test', ofProcess(2), at(6)), ['10.0.0.2', '10.0.0.3']);
    assert.deepEqual(addresses(cache, 'pool.test', inContainer('a')), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    assert.deepEqual(addresses(cache, 'pool.test', ofProcess(1), at(60)), []);
    assert.deepEqual(addresses(cache, 'pool.test', ofProcess(2), at(60)), ['10.0.0.2', '10.0.0.3']);
    assert.deepEqual(addresses(cache, 'pool.test', { kind: 'process', pid: 1 }), ['10.0.0.1', '10.0.0.2']);
    const reused: Scope = { kind: 'process', pid: 1, startTime: 77n };
    assert.deepEqual(addresses(cache, 'pool.test', reused), [], 'another process with the pid');
  });

  it('the root is a question of the scope', () => {
    const cache = new DnsCache();
    const chain = ['www.test 60 CNAME edge.test', 'edge.test 60 A 10.0.0.1'];
    cache.add(told({ pid: 1, name: 'www.test', answers: chain }));
    cache.add(told({ pid: 2, at: 1, name: 'edge.test', answers: chain.slice(1) }));
    const root = (scope: Scope) => cache.get('10.0.0.1', scope, at(2)).dns_root;
    assert.deepEqual(
      [root(ofProcess(1)), root(ofProcess(2)), root(HOST)],
      ['www.test', 'edge.test', 'edge.test'],
    );
  });

  it('many processes ask for one name: the last ones are known, and all of the container', () => {
    const cache = new DnsCache();
    for (let pid = 1; pid <= 1000; pid++)
      cache.add(told({ ...A, pid, name: 'hot.test', answers: ['hot.test 60 A 10.0.0.1'] }));
    assert.deepEqual(addresses(cache, 'hot.test', ofProcess(1000)), ['10.0.0.1']);
    assert.deepEqual(addresses(cache, 'hot.test', ofProcess(985)), ['10.0.0.1']);
    assert.deepEqual(addresses(cache, 'hot.test', ofProcess(984)), []);
    assert.deepEqual(addresses(cache, 'hot.test', inContainer('a')), ['10.0.0.1']);
    assert.equal(cache.stats().nodes, 2);
  });
});

describe('DNS cache: the name of an address', () => {
  const process = { ...PROCESS, pid: 1, startTime: 1n, containerId: 'a' };
  const scopes = scopesOf(process, 10);

  it('the scopes of a process, the narrowest first', () => {
    assert.deepEqual(
      scopes.map(({ kind }) => kind),
      ['process', 'container', 'network-namespace', 'host'],
    );
    assert.deepEqual(scopesOf({ ...PROCESS, pid: 0 }, 0), [HOST]);
  });

  it('the narrowest scope that knows it', () => {
    const cache = new DnsCache();
    const tell = (spec: Partial<Told>, name: string) =>
      cache.add(told({ ...spec, name, answers: [`${name} 60 A 10.0.0.1`] }));
    tell({ namespace: 99, pid: 9 }, 'host.test');
    assert.deepEqual(cache.nameOf('10.0.0.1', at(1), scopes)?.scope, HOST);
    tell({ container: 'side', namespace: 10, pid: 8 }, 'pod.test');
    assert.deepEqual(cache.nameOf('10.0.0.1', at(1), scopes)?.names, ['pod.test']);
    tell({ ...A, pid: 7 }, 'container.test');
    assert.deepEqual(cache.nameOf('10.0.0.1', at(1), scopes)?.names, ['container.test']);
    tell({ ...A, at: 2 }, 'own.test');
    assert.deepEqual(cache.nameOf('10.0.0.1', at(3), scopes), {
      names: ['own.test'],
      root: 'own.test',
      answeredAt: at(2),
      expiresAt: at(62),
      scope: { kind: 'process', pid: 1, startTime: 1n },
    });
    assert.equal(cache.nameOf('10.0.0.2', at(3), scopes), undefined);
    assert.equal(cache.nameOf('nonsense', at(3), scopes), undefined);
  });

  it('the question first, whatever the chain; also after everything has expired', () => {
    const cache = new DnsCache();
    const answers = ['www.test 5 CNAME edge.test', 'edge.test 10 A 10.0.0.1'];
    cache.add(told({ ...A, name: 'www.test', answers }));
    for (const when of [at(1), at(7), at(100)]) {
      const name = cache.nameOf('::ffff:10.0.0.1', when, scopes);
      assert.deepEqual(
        [name?.names, name?.root, name?.expiresAt],
        [['www.test', 'edge.test'], 'www.test', at(10)],
      );
    }
    const { hits, expiredMisses } = cache.stats();
    assert.deepEqual([hits, expiredMisses], [2, 1]);
  });

  it('at most 16 names, the last answered first, of an address that thousands share', () => {
    const cache = new DnsCache();
    for (let i = 0; i < 3000; i++)
      cache.add(told({ at: i / 1000, name: `n${i}.test`, answers: [`n${i}.test 60 A 10.0.0.1`] }));
    const name = cache.nameOf('10.0.0.1', at(4), [HOST]);
    assert.equal(name?.names.length, 16);
    assert.deepEqual(name?.names.slice(0, 2), ['n2999.test', 'n2998.test']);
  });
});

describe('DNS cache: who learnt it', () => {
  it('each link with its process and realm, also when it has expired; in the scope alone', () => {
    const cache = new DnsCache({ now: () => at(30) });
    cache.add(
      told({
        name: 'www.corp',
        pid: 7,
        container: 'a',
        answers: ['www.corp 60 CNAME end.corp', 'end.corp 10 A 10.0.0.1'],
      }),
    );
    cache.add(told({ name: 'www.corp', pid: 8, container: 'b', answers: ['www.corp 60 A 10.0.0.2'] }));
    const said = (key: string, scope: Scope = HOST) =>
      cache
        .learnt(key, scope)
        .map(({ from, to, pid, containerId, expiresAt }) =>
          [from, to, pid, containerId, expiresAt > at(30) ? 'good' : 'expired'].join(' '),
        )
        .sort();
    const inA = ['end.corp 10.0.0.1 7 a expired', 'www.corp end.corp 7 a good'];
    assert.deepEqual(said('www.corp'), [...inA, 'www.corp 10.0.0.2 8 b good'].sort());
    assert.deepEqual(said('www.corp', inContainer('a')), inA);
    assert.deepEqual(said('10.0.0.1'), inA);
    assert.deepEqual(said('10.0.0.1', ofProcess(8)), []);
    assert.deepEqual(said('nothing.corp'), []);
  });
});
