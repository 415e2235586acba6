/** Connections: whose answers name a destination, and what was known at the time. With the real cache. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Connections } from '../../src/connections.ts';
import { DnsCache } from '../../src/dnscache/index.ts';
import { Ledger } from '../../src/ledger.ts';
import type { ConnectionEvent, Owner, ProcessIdentity } from '../../src/model.ts';
import { PROCESS, SECOND } from './correlate-events.ts';
import { at, type Told, told } from './dnscache-answers.ts';

/** As dnscache-answers.ts makes them: the start time is the pid. */
function process(pid: number, containerId?: string): ProcessIdentity {
  return { ...PROCESS, pid, startTime: BigInt(pid), containerId };
}

interface Connect {
  readonly seconds?: number;
  readonly address?: string;
  readonly namespace?: number;
}

class Bench {
  readonly ledger = new Ledger();
  readonly cache = new DnsCache();
  readonly events: ConnectionEvent[] = [];
  #process: ProcessIdentity = PROCESS;
  readonly #connections = new Connections({
    processes: { identify: () => this.#process },
    dnsCache: this.cache,
    onConnection: (event) => this.events.push(event),
    stage: this.ledger.stage('connections'),
  });

  tell(...answers: Told[]): void {
    for (const answer of answers) this.cache.add(told(answer));
  }

  connect(who: ProcessIdentity, { seconds = 10, address = '192.0.2.1', namespace = 1 }: Connect = {}) {
    this.#process = who;
    this.#connections.accept({
      kind: 'connection',
      time: at(seconds),
      family: address.includes(':') ? 6 : 4,
      networkNamespace: namespace,
      socket: 1n,
      local: { address: '198.51.100.1', port: 0 },
      remote: { address, port: 443 },
      owner: { pid: who.pid } as Owner,
    });
    return this.events.at(-1)?.resolution;
  }
}

const answer = (name: string) => [`${name} 60 A 192.0.2.1`];

test('the nearest scope that knows the address names it', () => {
  const bench = new Bench();
  bench.tell(
    { at: 1, pid: 1, container: 'a', namespace: 1, name: 'own.test', answers: answer('own.test') },
    { at: 2, pid: 2, container: 'a', namespace: 1, name: 'pod.test', answers: answer('pod.test') },
    { at: 3, pid: 3, container: 'b', namespace: 1, name: 'net.test', answers: answer('net.test') },
    { at: 4, pid: 4, container: 'c', namespace: 2, name: 'far.test', answers: answer('far.test') },
  );
  const seen = (who: ProcessIdentity, namespace: number) => {
    const found = bench.connect(who, { namespace });
    return [found?.scope, found?.names[0]];
  };
  assert.deepEqual(seen(process(1, 'a'), 1), ['process', 'own.test']);
  assert.deepEqual(seen(process(9, 'a'), 1), ['container', 'pod.test']);
  assert.deepEqual(seen(process(9, 'd'), 1), ['network-namespace', 'net.test']);
  assert.deepEqual(seen(process(9, 'd'), 3), ['host', 'far.test']);
  // Another process with the same pid is another process.
  assert.deepEqual(seen({ ...process(1), startTime: 77n }, 3), ['host', 'far.test']);
});

test('time since the answer and time left, also when it had expired', () => {
  const bench = new Bench();
  bench.tell({ at: 1, pid: 1, name: 'www.test', answers: answer('www.test') });
  const fresh = bench.connect(process(1), { seconds: 1.5 });
  assert.equal(at(1.5) - (fresh?.answered ?? 0n), SECOND / 2n);
  assert.equal((fresh?.expires ?? 0n) - (fresh?.answered ?? 0n), 60n * SECOND);
  const late = bench.connect(process(1), { seconds: 100 });
  assert.deepEqual(late?.names, ['www.test']);
  assert.ok((late?.expires ?? 0n) < at(100));
});

test('an address of another name, of a pointer, of nobody', () => {
  const bench = new Bench();
  bench.tell(
    { at: 1, pid: 1, name: 'www.test', type: 'AAAA', answers: ['www.test 60 AAAA 2001:db8::1'] },
    {
      at: 2,
      pid: 1,
      name: '7.2.0.192.in-addr.arpa',
      type: 'PTR',
      answers: ['7.2.0.192.in-addr.arpa 60 PTR says-who.test'],
    },
  );
  assert.deepEqual(bench.connect(process(1), { address: '2001:db8::1' })?.names, ['www.test']);
  // What the owner of an address calls it is no proof that anybody asked for that name.
  assert.equal(bench.connect(process(1), { address: '192.0.2.7' }), undefined);
  assert.equal(bench.connect(process(1), { address: '2001:db8::2' }), undefined);
});

test('a flood of names for one address stays bounded, and the ledger balances', () => {
  const bench = new Bench();
  for (let i = 0; i < 20_000; i++) {
    const name = `n${i}.test`;
    bench.tell({ at: 1 + i / 1000, pid: 1, name, answers: answer(name) });
  }
  const found = bench.connect(process(1), { seconds: 30 });
  assert.equal(found?.names[0], 'n19999.test');
  assert.ok((found?.names.length ?? 0) <= 16);
  bench.connect(process(1), { seconds: 30, address: '192.0.2.99' });
  const [stage] = bench.ledger.snapshot();
  assert.deepEqual([stage?.in, stage?.out, stage?.missing], [2, 2, 0]);
});
