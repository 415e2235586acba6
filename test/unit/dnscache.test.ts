/** What the cache answers: the cases of the known cache of this kind, and what is better than there. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DataNotFound, type DnsCacheAnswer, KeyNotSupported } from '../../src/dnscache/answer.ts';
import { DnsCache, type DnsCacheOptions } from '../../src/dnscache/cache.ts';
import type { Scope } from '../../src/dnscache/scope.ts';
import { at, type Told, told } from './dnscache-answers.ts';

const CHAIN: Told = {
  name: 'www.akamai.com',
  answers: [
    'www.akamai.com 300 CNAME www.akamai.com.edgekey.net',
    'www.akamai.com.edgekey.net 300 CNAME a229.g.akamai.net',
    'a229.g.akamai.net 20 A 92.80.190.231',
    'a229.g.akamai.net 20 A 92.80.190.232',
  ],
};
const CHAIN_NAMES = ['www.akamai.com', 'www.akamai.com.edgekey.net', 'a229.g.akamai.net'];

function cacheOf(answers: readonly Told[], options: DnsCacheOptions = {}): DnsCache {
  const cache = new DnsCache(options);
  for (const one of answers) cache.add(told(one));
  return cache;
}

/** Sorted: their order is no promise but that the key's own place is. */
function sorted({ ip_addresses, dns_queries, dns_root }: DnsCacheAnswer) {
  return { addresses: [...ip_addresses].sort(), names: [...dns_queries].sort(), root: dns_root };
}

function notFound(cache: DnsCache, key: string, when = at(1), scope?: Scope): DataNotFound {
  try {
    const found = cache.get(key, scope, when);
    assert.fail(`found ${JSON.stringify(found)}`);
  } catch (error) {
    assert.ok(error instanceof DataNotFound, String(error));
    assert.equal(error.code, 'DATA_NOT_FOUND');
    return error;
  }
}

describe('DNS cache: what a key leads to and what leads to it', () => {
  const cache = cacheOf([CHAIN]);

  it('a name: its canonical names and addresses', () => {
    assert.deepEqual(cache.get('www.akamai.com', undefined, at(1)), {
      ip_addresses: ['92.80.190.231', '92.80.190.232'],
      dns_queries: CHAIN_NAMES,
      dns_root: 'www.akamai.com',
    });
  });

  it('an address: every name that led there, and no sibling address', () => {
    assert.deepEqual(cache.get('92.80.190.231', undefined, at(1)), {
      ip_addresses: ['92.80.190.231'],
      dns_queries: CHAIN_NAMES,
      dns_root: 'www.akamai.com',
    });
  });

  it('the middle of a chain: both directions', () => {
    assert.deepEqual(cache.get('www.akamai.com.edgekey.net', undefined, at(1)), {
      ip_addresses: ['92.80.190.231', '92.80.190.232'],
      dns_queries: CHAIN_NAMES,
      dns_root: 'www.akamai.com',
    });
  });

  it('the reverse name of an address is the address', () => {
    assert.deepEqual(sorted(cache.get('231.190.80.92.in-addr.arpa', undefined, at(1))), {
      addresses: ['92.80.190.231'],
      names: [...CHAIN_NAMES].sort(),
      root: 'www.akamai.com',
    });
  });

  it('an answer to the reverse name: its name and the address', () => {
    const pointer = cacheOf([
      {
        name: '231.92.80.190.in-addr.arpa',
        type: 'PTR',
        answers: ['231.92.80.190.in-addr.arpa 60 PTR host.example.org'],
      },
    ]);
    for (const key of ['231.92.80.190.in-addr.arpa', '190.80.92.231', 'host.example.org']) {
      assert.deepEqual(pointer.get(key, undefined, at(1)), {
        ip_addresses: ['190.80.92.231'],
        dns_queries: ['host.example.org'],
        dns_root: '231.92.80.190.in-addr.arpa',
      });
    }
  });

  it('what an address is called by its owner says nothing of other names and addresses', () => {
    const mixed = cacheOf([
      { name: 'good.test', answers: ['good.test 60 A 10.0.0.1'] },
      { name: 'evil.test', answers: ['evil.test 60 A 10.0.0.6'] },
      { name: '6.0.0.10.in-addr.arpa', type: 'PTR', answers: ['6.0.0.10.in-addr.arpa 60 PTR good.test'] },
    ]);
    assert.deepEqual(sorted(mixed.get('10.0.0.1', undefined, at(1))), {
      addresses: ['10.0.0.1'],
      names: ['good.test'],
      root: 'good.test',
    });
    assert.deepEqual(sorted(mixed.get('10.0.0.6', undefined, at(1))), {
      addresses: ['10.0.0.6'],
      names: ['evil.test', 'good.test'],
      root: 'evil.test',
    });
    assert.deepEqual(sorted(mixed.get('evil.test', undefined, at(1))).names, ['evil.test']);
    const name = mixed.nameOf('10.0.0.6', at(1), [{ kind: 'host' }]);
    assert.deepEqual(name?.names, ['evil.test'], 'a pointer is no evidence');
  });

  it('classless reverse delegation (RFC 2317)', () => {
    const delegated = cacheOf([
      {
        name: '5.2.0.192.in-addr.arpa',
        type: 'PTR',
        answers: [
          '5.2.0.192.in-addr.arpa 60 CNAME 5.0/25.2.0.192.in-addr.arpa',
          '5.0/25.2.0.192.in-addr.arpa 60 PTR host.test',
        ],
      },
    ]);
    assert.deepEqual(sorted(delegated.get('192.0.2.5', undefined, at(1))), {
      addresses: ['192.0.2.5'],
      names: ['5.0/25.2.0.192.in-addr.arpa', 'host.test'],
      root: '5.2.0.192.in-addr.arpa',
    });
    assert.deepEqual(delegated.get('host.test', undefined, at(1)).ip_addresses, ['192.0.2.5']);
  });

  it('IPv6 in any textual form, mapped IPv4 as IPv4', () => {
    const both = cacheOf([
      {
        name: 'six.test',
        type: 'AAAA',
        answers: ['six.test 60 AAAA 2001:db8::a', 'six.test 60 AAAA ::ffff:10.1.2.3'],
      },
    ]);
    const reverse = `a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa`;
    const forms = [
      '2001:db8::a',
      '2001:DB8:0:0:0:0:0:A',
      '2001:0db8::0.0.0.10',
      '2001:db8::a%eth0',
      reverse,
      `${reverse}.`,
    ];
    for (const key of forms)
      assert.deepEqual(both.get(key, undefined, at(1)).ip_addresses, ['2001:db8::a'], key);
    for (const key of ['10.1.2.3', '::ffff:10.1.2.3', '::FFFF:0a01:0203'])
      assert.deepEqual(both.get(key, undefined, at(1)).dns_queries, ['six.test'], key);
  });

  it('services: SRV, MX and HTTPS lead to their targets and hints, "." to nothing', () => {
    const services = cacheOf([
      {
        name: '_ldap._tcp.corp.test',
        type: 'SRV',
        answers: [
          '_ldap._tcp.corp.test 60 SRV 0 100 389 dc1.corp.test',
          '_ldap._tcp.corp.test 60 SRV 0 0 0 .',
        ],
        additionals: ['dc1.corp.test 60 A 10.0.0.9', 'other.test 60 A 6.6.6.6'],
      },
      {
        name: 'web.test',
        type: 'HTTPS',
        answers: ['web.test 60 HTTPS 1 . alpn="h2" ipv4hint=10.0.0.7,10.0.0.8 ipv6hint=2001:db8::7'],
      },
      { name: 'mail.test', type: 'MX', answers: ['mail.test 60 MX 10 mx.mail.test', 'mail.test 60 MX 0 .'] },
    ]);
    assert.deepEqual(services.get('10.0.0.9', undefined, at(1)).dns_queries, [
      '_ldap._tcp.corp.test',
      'dc1.corp.test',
    ]);
    assert.deepEqual(services.get('web.test', undefined, at(1)).ip_addresses, [
      '10.0.0.7',
      '10.0.0.8',
      '2001:db8::7',
    ]);
    assert.deepEqual(services.get('mail.test', undefined, at(1)).dns_queries, ['mail.test', 'mx.mail.test']);
    notFound(services, '6.6.6.6');
  });

  it('names compare without case and final dot', () => {
    const mixed = cacheOf([{ name: 'WWW.Example.COM.', answers: ['www.EXAMPLE.com 60 A 10.0.0.1'] }]);
    for (const key of ['www.example.com', 'www.example.com.', 'wWw.ExAmPlE.cOm', ' www.example.com '])
      assert.deepEqual(mixed.get(key, undefined, at(1)).dns_queries, ['www.example.com'], key);
    assert.equal(mixed.get('10.0.0.1', undefined, at(1)).dns_root, 'www.example.com');
  });

  it('a name in another script is looked up as its punycode', () => {
    const idn = cacheOf([
      { name: 'xn--bcher-kva.example', answers: ['xn--bcher-kva.example 60 A 10.0.0.1'] },
    ]);
    assert.deepEqual(idn.get('Bücher.example', undefined, at(1)).ip_addresses, ['10.0.0.1']);
  });

  it('the root of what two questions led to is the one answered last', () => {
    const two = cacheOf([
      { name: 'a.test', answers: ['a.test 60 CNAME c.test', 'c.test 60 A 10.0.0.1'] },
      { name: 'c.test', at: 1, answers: ['c.test 60 A 10.0.0.1'] },
    ]);
    assert.equal(two.get('10.0.0.1', undefined, at(2)).dns_root, 'c.test');
    two.add(told({ name: 'a.test', at: 2, answers: ['a.test 60 CNAME c.test', 'c.test 60 A 10.0.0.1'] }));
    assert.deepEqual(two.get('10.0.0.1', undefined, at(2)), {
      ip_addresses: ['10.0.0.1'],
      dns_queries: ['a.test', 'c.test'],
      dns_root: 'a.test',
    });
  });

  it('typed errors', () => {
    assert.equal(notFound(cache, 'nobody.test').message, '"nobody.test" is not in the cache');
    for (const key of ['', '.', '  ', 'x'.repeat(1021), 7, undefined, null, {}, []]) {
      assert.throws(
        () => cache.get(key as string),
        (error) => error instanceof KeyNotSupported && error.code === 'KEY_NOT_SUPPORTED',
        String(key),
      );
    }
  });
});

describe('DNS cache: expiry', () => {
  it('an expired address is not returned, though its name is still good', () => {
    const cache = cacheOf([{ name: 'a.test', answers: ['a.test 10 A 10.0.0.1', 'a.test 60 A 10.0.0.2'] }]);
    assert.deepEqual(cache.get('a.test', undefined, at(9.9)).ip_addresses, ['10.0.0.1', '10.0.0.2']);
    assert.deepEqual(cache.get('a.test', undefined, at(10)).ip_addresses, ['10.0.0.2']);
    assert.equal(notFound(cache, '10.0.0.1', at(10)).expired, true);
  });

  it('a name whose answers have all expired is not found', () => {
    const cache = cacheOf([CHAIN]);
    assert.deepEqual(cache.get('www.akamai.com', undefined, at(21)), {
      ip_addresses: [],
      dns_queries: CHAIN_NAMES,
      dns_root: 'www.akamai.com',
    });
    assert.equal(notFound(cache, 'www.akamai.com', at(300)).message, '"www.akamai.com" has expired');
    assert.equal(notFound(cache, 'a229.g.akamai.net', at(300)).expired, true);
  });

  it('an answer renews, and may shorten', () => {
    const cache = cacheOf([
      { name: 'a.test', answers: ['a.test 10 A 10.0.0.1'] },
      { name: 'a.test', at: 9, answers: ['a.test 10 A 10.0.0.1'] },
    ]);
    assert.deepEqual(cache.get('a.test', undefined, at(18)).ip_addresses, ['10.0.0.1']);
    cache.add(told({ name: 'a.test', at: 10, answers: ['a.test 2 A 10.0.0.1'] }));
    notFound(cache, 'a.test', at(12));
  });

  it('TTLs: 0 is at once, the top bit is 0 (RFC 2181), the rest at most a week (RFC 8767)', () => {
    const cache = cacheOf([
      { name: 'zero.test', answers: ['zero.test 0 A 10.0.0.1'] },
      { name: 'top.test', answers: ['top.test 2147483648 A 10.0.0.2'] },
      { name: 'long.test', answers: ['long.test 2147483647 A 10.0.0.3'] },
    ]);
    notFound(cache, 'zero.test', at(0));
    notFound(cache, 'top.test', at(0));
    const week = 7 * 86_400;
    assert.deepEqual(cache.get('long.test', undefined, at(week - 1)).ip_addresses, ['10.0.0.3']);
    notFound(cache, 'long.test', at(week));
    assert.equal(cache.nameOf('10.0.0.1', at(5), [{ kind: 'host' }])?.root, 'zero.test');
  });
});

describe('DNS cache: shared, cyclic, negative', () => {
  it('an address shared by several names belongs to all of them and survives the eviction of one', () => {
    const cache = cacheOf(
      [
        { name: 'one.test', answers: ['one.test 60 A 10.0.0.1'] },
        { name: 'two.test', answers: ['two.test 60 A 10.0.0.1'] },
      ],
      { trees: 2 },
    );
    assert.deepEqual(cache.get('two.test', undefined, at(1)).ip_addresses, ['10.0.0.1']);
    assert.deepEqual(cache.get('one.test', undefined, at(1)).ip_addresses, ['10.0.0.1']);
    assert.deepEqual(sorted(cache.get('10.0.0.1', undefined, at(1))).names, ['one.test', 'two.test']);
    cache.add(told({ name: 'three.test', at: 1, answers: ['three.test 60 A 10.0.0.3'] }));
    assert.equal(cache.stats().trees, 2);
    assert.equal(cache.stats().evictions, 1);
    const left = cache.get('10.0.0.1', undefined, at(1)).dns_queries;
    assert.equal(left.length, 1);
    assert.deepEqual(cache.get(left[0] as string, undefined, at(1)).ip_addresses, ['10.0.0.1']);
  });

  it('a shared chain survives the eviction of one of its questions', () => {
    const cache = cacheOf(
      [
        { name: 'a.test', answers: ['a.test 60 CNAME cdn.test', 'cdn.test 60 A 10.0.0.1'] },
        { name: 'b.test', answers: ['b.test 60 CNAME cdn.test', 'cdn.test 60 A 10.0.0.1'] },
        { name: 'c.test', answers: ['c.test 60 A 10.0.0.3'] },
      ],
      { trees: 2 },
    );
    notFound(cache, 'a.test');
    assert.deepEqual(cache.get('b.test', undefined, at(1)), {
      ip_addresses: ['10.0.0.1'],
      dns_queries: ['b.test', 'cdn.test'],
      dns_root: 'b.test',
    });
  });

  it('the least recently used tree goes first, asking is use', () => {
    const names = ['a.test', 'b.test', 'c.test'];
    const cache = cacheOf(
      names.map((name) => ({ name, answers: [`${name} 60 A 10.0.0.1`] })),
      { trees: 3 },
    );
    cache.get('a.test', undefined, at(1));
    cache.add(told({ name: 'd.test', answers: ['d.test 60 A 10.0.0.4'] }));
    notFound(cache, 'b.test');
    assert.deepEqual(sorted(cache.get('10.0.0.1', undefined, at(1))).names, ['a.test', 'c.test']);
  });

  it('the number of nodes is bounded too', () => {
    const cache = new DnsCache({ trees: 100, nodes: 50 });
    for (let i = 0; i < 100; i++) {
      const answers = [1, 2, 3].map((octet) => `n${i}.test 60 A 10.0.${i}.${octet}`);
      cache.add(told({ name: `n${i}.test`, answers }));
      assert.ok(cache.stats().nodes <= 50);
    }
    assert.equal(cache.stats().trees, 12);
    assert.equal(cache.get('n99.test', undefined, at(1)).ip_addresses.length, 3);
  });

  it('CNAME cycles end', () => {
    const cache = cacheOf([
      {
        name: 'a.test',
        answers: ['a.test 60 CNAME b.test', 'b.test 60 CNAME a.test', 'b.test 60 A 10.0.0.1'],
      },
      { name: 'self.test', answers: ['self.test 60 CNAME self.test', 'self.test 60 A 10.0.0.2'] },
    ]);
    for (const key of ['a.test', 'b.test', '10.0.0.1']) {
      assert.deepEqual(
        sorted(cache.get(key, undefined, at(1))),
        { addresses: ['10.0.0.1'], names: ['a.test', 'b.test'], root: 'a.test' },
        key,
      );
    }
    assert.deepEqual(cache.get('self.test', undefined, at(1)).ip_addresses, ['10.0.0.2']);
  });

  const SOA = 'test 300 SOA ns.test admin.test 1 7200 3600 1209600';
  it('negative answers are kept for the lesser of SOA TTL and MINIMUM, and reported as such', () => {
    const cache = cacheOf([
      { name: 'no.test', rcode: 3, authorities: [`${SOA} 60`] },
      { name: 'no6.test', type: 'AAAA', authorities: [`${SOA} 3600`] },
      { name: 'nosoa.test', rcode: 3 },
      { name: 'elsewhere.test', rcode: 3, authorities: ['other 300 SOA ns.other a.other 1 2 3 4 60'] },
    ]);
    const no = notFound(cache, 'NO.test.', at(59));
    assert.deepEqual(no.negative, {
      name: 'no.test',
      rcode: 'NXDOMAIN',
      types: ['A'],
      dns_root: 'no.test',
      answeredAt: at(0),
      expiresAt: at(60),
    });
    assert.equal(no.message, '"NO.test." does not exist (NXDOMAIN)');
    const gone = notFound(cache, 'no.test', at(60));
    assert.deepEqual([gone.negative, gone.expired], [undefined, true]);
    assert.equal(notFound(cache, 'no6.test', at(299)).message, '"no6.test" has no AAAA records (NOERROR)');
    assert.equal(notFound(cache, 'no6.test', at(300)).negative, undefined);
    for (const key of ['nosoa.test', 'elsewhere.test']) {
      const none = notFound(cache, key);
      assert.deepEqual([none.negative, none.expired], [undefined, false], key);
    }
    assert.deepEqual(cache.stats().left, { 'nothing-kept': 2 });
  });

  it('a chain that ends in nothing says so; an address of another type outweighs it', () => {
    const cache = cacheOf([
      { name: 'a.test', rcode: 3, answers: ['a.test 60 CNAME gone.test'], authorities: [`${SOA} 60`] },
      { name: 'v4.test', answers: ['v4.test 60 A 10.0.0.4'] },
      { name: 'v4.test', type: 'AAAA', authorities: [`${SOA} 60`] },
    ]);
    const chain = cache.get('a.test', undefined, at(1));
    assert.deepEqual(chain.dns_queries, ['a.test', 'gone.test']);
    assert.deepEqual([chain.negative?.name, chain.negative?.rcode], ['gone.test', 'NXDOMAIN']);
    const v4 = cache.get('v4.test', undefined, at(1));
    assert.deepEqual([v4.ip_addresses, v4.negative], [['10.0.0.4'], undefined]);
    cache.add(told({ name: 'gone.test', at: 2, answers: ['gone.test 60 A 10.0.0.5'] }));
    assert.deepEqual(cache.get('a.test', undefined, at(2)).ip_addresses, ['10.0.0.5']);
    assert.equal(cache.get('a.test', undefined, at(59)).negative, undefined, 'it exists now');
  });

  it('no entry for empty names, nor for records without an address or a name', () => {
    const cache = cacheOf([
      { name: '.', type: 'NS', answers: ['. 60 NS a.root-servers.net'] },
      { name: '.', answers: ['. 60 A 10.0.0.1'] },
      { name: 'text.test', type: 'TXT', answers: ['text.test 60 TXT "hello"'] },
      { name: 'root.test', answers: ['root.test 60 CNAME .'] },
      { name: 'odd.test', answers: ['odd.test 60 A \\# 3 0a0000'] },
      { name: 'fail.test', rcode: 2, answers: ['fail.test 60 A 10.0.0.9'] },
    ]);
    assert.deepEqual([cache.stats().trees, cache.stats().nodes], [0, 0]);
    notFound(cache, '10.0.0.1');
  });
});
