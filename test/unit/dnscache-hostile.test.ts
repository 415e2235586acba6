/** Names and answers made to hurt: everything stays bounded, and nothing is believed that does not follow from the question. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerCache, cacheTable } from '../../src/control/dns-cache.ts';
import { DnsCache } from '../../src/dnscache/cache.ts';
import { at, told } from './dnscache-answers.ts';

const HOST = { kind: 'host' } as const;

describe('DNS cache: hostile answers', () => {
  it('10 000 records: as many as fit, the first ones, again and again', () => {
    const cache = new DnsCache();
    const answers = Array.from({ length: 10_000 }, (_, i) => `big.test 60 A 10.1.${i >> 8}.${i & 255}`);
    cache.add(told({ name: 'small.test', answers: ['small.test 60 A 10.0.0.1'] }));
    for (const when of [0, 1, 2]) cache.add(told({ at: when, name: 'big.test', answers }));
    assert.equal(cache.get('big.test', HOST, at(3)).ip_addresses.length, 1024);
    assert.equal(cache.stats().nodes, 2 + 1025);
    assert.equal(cache.stats().refused, 3 * (10_000 - 1024));
    assert.deepEqual(cache.get('10.1.0.0', HOST, at(3)).dns_queries, ['big.test']);
    assert.deepEqual(cache.get('small.test', HOST, at(3)).ip_addresses, ['10.0.0.1']);
  });

  it('ever new addresses under one name: the old ones give way', () => {
    const cache = new DnsCache();
    for (let i = 0; i < 20_000; i++)
      cache.add(
        told({
          at: i,
          name: 'pool.test',
          answers: [`pool.test 5 A 10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`],
        }),
      );
    assert.ok(cache.stats().nodes <= 1025);
    assert.equal(cache.get('pool.test', HOST, at(19_999)).ip_addresses.length, 5);
  });

  it('a chain of 10 000 aliases, forwards and backwards', () => {
    const chain = Array.from({ length: 10_000 }, (_, i) => `n${i}.test 60 CNAME n${i + 1}.test`);
    for (const answers of [chain, chain.toReversed()]) {
      const cache = new DnsCache();
      cache.add(told({ name: 'n0.test', answers }));
      assert.ok(cache.stats().nodes <= 1025);
      assert.ok(cache.get('n0.test', HOST, at(1)).dns_queries.includes('n1.test'));
    }
  });

  it('10 000 names for one address: each is found, and one fell out does not take the others along', () => {
    const cache = new DnsCache({ trees: 5000 });
    for (let i = 0; i < 10_000; i++)
      cache.add(told({ name: `v${i}.test`, answers: [`v${i}.test 60 A 10.0.0.1`] }));
    assert.equal(cache.get('10.0.0.1', HOST, at(1)).dns_queries.length, 5000);
    assert.deepEqual(cache.get('v5000.test', HOST, at(1)).ip_addresses, ['10.0.0.1']);
    assert.equal(cache.stats().evictions, 5000);
  });

  it('a server that adds records nobody asked for is not believed, not even where the chain is a cycle', () => {
    const cache = new DnsCache();
    const answers = [
      'evil.test 60 CNAME other.test',
      'other.test 60 CNAME evil.test',
      'bank.test 60 A 6.6.6.6',
      '1.0.0.10.in-addr.arpa 60 PTR bank.test',
    ];
    cache.add(told({ name: 'evil.test', answers, additionals: ['bank.test 60 A 6.6.6.7'] }));
    for (const key of ['bank.test', '6.6.6.6', '6.6.6.7', '10.0.0.1'])
      assert.ok('found' in cache.find(key, HOST, at(1)), key);
    assert.equal(cache.stats().unrelated, 2);
  });

  it('names that look like addresses or reverse names are names', () => {
    const cache = new DnsCache();
    cache.add(told({ name: '8.8.8.8', answers: ['8.8.8.8 60 A 6.6.6.6'] }));
    cache.add(told({ name: '::1', type: 'AAAA', answers: ['::1 60 AAAA 2001:db8::6'] }));
    cache.add(told({ name: 'x.test', answers: ['x.test 60 CNAME 9.9.9.9.in-addr.arpa'] }));
    for (const key of ['8.8.8.8', '::1', '9.9.9.9']) assert.ok('found' in cache.find(key, HOST, at(1)), key);
    assert.equal(cache.nameOf('8.8.8.8', at(1), [HOST]), undefined);
  });

  it('thousands of network namespaces and containers come and go', () => {
    const cache = new DnsCache({ trees: 100 });
    for (let i = 0; i < 5000; i++)
      cache.add(
        told({
          name: 'a.test',
          namespace: i,
          container: `c${i}`,
          answers: ['a.test 60 A 10.0.0.1', 'a.test 60 CNAME b.test'],
        }),
      );
    assert.equal(cache.stats().trees, 100);
    assert.deepEqual(cache.get('a.test', HOST, at(1)).ip_addresses, ['10.0.0.1']);
    assert.ok('found' in cache.find('a.test', { kind: 'container', containerId: 'c1' }, at(1)));
    for (let i = 4900; i < 5000; i++)
      assert.ok(
        'dns_root' in cache.find('a.test', { kind: 'container', containerId: `c${i}` }, at(1)),
        String(i),
      );
  });

  it('control characters and overrides never reach a terminal', () => {
    const cache = new DnsCache({ now: () => at(1) });
    const name = '\u001b[2jred\u202e.test';
    cache.add(told({ name, answers: [`${name} 60 CNAME \u009b31m.test`, '\u009b31m.test 60 A 10.0.0.1'] }));
    for (const query of ['action=get&key=10.0.0.1', 'action=list']) {
      const text = cacheTable(
        JSON.parse(JSON.stringify(answerCache(cache, new URLSearchParams(query)), bigints)),
      );
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is what is tested
      assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
      assert.match(text, /\\x1b\[2jred\\u\{202e\}\.test/);
    }
  });
});

function bigints(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
