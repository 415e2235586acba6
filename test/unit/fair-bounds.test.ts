/** Every bound of the pipeline under a flood of one owner: nothing of another one is given up, and it is said whose gave way. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cooldown } from '../../src/detect/cooldown.ts';
import type { DetectorEvent } from '../../src/detect/detector.ts';
import { DnsCache } from '../../src/dnscache/index.ts';
import { ProcessTable } from '../../src/enrich/process/process.ts';
import { UserNames } from '../../src/enrich/process/users.ts';
import { Stage } from '../../src/ledger.ts';
import { FairMap } from '../../src/lib/fair-map.ts';
import { Fairness } from '../../src/lib/fairness.ts';
import { Streams } from '../../src/streams/streams.ts';
import { OWNER } from './correlate-events.ts';
import { lookup, record } from './sink-events.ts';
import { dnsBytes, framed, piece } from './stream-pieces.ts';

const VICTIM = { ...OWNER, pid: 7, tid: 7, uid: 33 };
const FLOOD = { ...OWNER, pid: 666, tid: 666, uid: 1000 };
const MESSAGE = framed(dnsBytes(1, 600));

function streams(limits: ConstructorParameters<typeof Streams>[1]) {
  const stage = new Stage('streams');
  const fairness = new Fairness();
  const lost: string[] = [];
  const whole: number[] = [];
  const all = new Streams(stage, limits, fairness, (head, reason) =>
    lost.push(`${head.local.port} ${reason}`),
  );
  const half = (port: number, owner: typeof OWNER, direction: 'request' | 'response' = 'request') =>
    all.accept(
      piece(MESSAGE.subarray(0, 300), {
        streamStart: true,
        sequence: 0,
        direction,
        local: { address: '10.0.0.1', port },
        socket: BigInt(port),
        owner: direction === 'request' ? owner : undefined,
        length: 300,
      }),
      () => {},
    );
  const rest = (port: number, direction: 'request' | 'response' = 'request') =>
    all.accept(
      piece(MESSAGE.subarray(300), {
        sequence: 300,
        direction,
        local: { address: '10.0.0.1', port },
        socket: BigInt(port),
      }),
      ({ raw }) => whole.push(raw.local.port),
    );
  return { stage, fairness, lost, whole, half, rest, all };
}

describe('fair bounds', () => {
  it('TCP streams: half-sent messages of one process cost none of another, in either direction', () => {
    const { stage, fairness, whole, half, rest, lost } = streams({ maxStreams: 100 });
    for (let port = 1; port <= 20; port++) {
      half(port, VICTIM);
      half(port, VICTIM, 'response');
    }
    for (let port = 1000; port < 7000; port++) half(port, FLOOD);
    for (let port = 1; port <= 20; port++) {
      rest(port);
      rest(port, 'response');
    }
    assert.equal(whole.length, 40);
    assert.equal(stage.snapshot().missing, 0);
    assert.deepEqual(lost, []);
    assert.deepEqual(
      fairness.workloads().map(({ owner, counts }) => [owner.pid, counts]),
      [[666, { streams_full: 5940 }]],
    );
  });

  it('TCP streams: bytes of one process push out nothing of another; a lost answer is told by its connection', () => {
    const { stage, whole, half, rest, lost } = streams({ maxBytes: 64 * 1024 });
    half(1, VICTIM);
    for (let port = 1000; port < 2000; port++) {
      half(port, FLOOD);
      half(port, FLOOD, 'response');
    }
    rest(1);
    assert.deepEqual(whole, [1]);
    assert.equal(stage.snapshot().missing, 0);
    assert.ok(lost.length > 500 && lost.every((each) => each.endsWith(' streams_full')));
    assert.ok(lost.every((each) => !each.startsWith('1 ')));
  });

  it('composed datagrams', () => {
    const { stage, all, fairness } = streams({ maxCorked: 8 });
    const whole: number[] = [];
    const part = (socket: number, owner: typeof OWNER, more: boolean) =>
      all.accept(
        piece(Buffer.alloc(40), { transport: 'udp', more, socket: BigInt(socket), owner }),
        ({ raw }) => whole.push(Number(raw.socket)),
      );
    for (let socket = 1; socket <= 3; socket++) part(socket, VICTIM, true);
    for (let socket = 100; socket < 1000; socket++) part(socket, FLOOD, true);
    for (let socket = 1; socket <= 3; socket++) part(socket, VICTIM, false);
    assert.deepEqual(whole, [1, 2, 3]);
    assert.equal(stage.snapshot().missing, 0);
    assert.equal(fairness.workloads()[0]?.owner.pid, 666);
  });

  it('identities of processes: a user with many new ones does not make others be forgotten', () => {
    const table = new ProcessTable({
      host: {},
      users: new UserNames(),
      bootTime: 0n,
      maxProcesses: 500,
    });
    const mine = Array.from({ length: 50 }, (_, i) => table.identify({ ...VICTIM, pid: 10 + i }));
    for (let pid = 1000; pid < 20_000; pid++) table.identify({ ...FLOOD, pid });
    const now = Array.from({ length: 50 }, (_, i) => table.identify({ ...VICTIM, pid: 10 + i }));
    assert.ok(mine.every((identity, i) => identity === now[i]));
    assert.equal(table.size, 500);
  });

  it('the DNS cache: names of a flood do not push out what another process learnt', () => {
    const cache = new DnsCache({ trees: 200, now: () => 1_793_000_001_000_000_000n });
    const learn = (name: string, owner: typeof OWNER, data: string) =>
      cache.add(lookup({ name, answers: [record(name, 1, data)], raw: { owner } }));
    for (let i = 0; i < 50; i++) learn(`v${i}.example`, VICTIM, `10.0.0.${i}`);
    // First asked for by the flood: its name would go with the flood's.
    learn('shared.example', FLOOD, '10.1.0.1');
    for (let i = 0; i < 200; i++) learn(`g${i}.example`, FLOOD, '10.2.0.1');
    learn('shared.example', FLOOD, '10.1.0.1');
    learn('shared.example', VICTIM, '10.1.0.1');
    for (let i = 0; i < 5000; i++) learn(`f${i}.example`, FLOOD, '10.2.0.1');
    for (let i = 0; i < 50; i++) assert.ok(!('found' in cache.find(`v${i}.example`)), `v${i}`);
    assert.ok(!('found' in cache.find('shared.example')));
    assert.equal(cache.stats().trees, 200);
  });

  it('the DNS cache learns nothing of a conflicting answer, and says that what it has is doubted', () => {
    const cache = new DnsCache({ now: () => 1_793_000_001_000_000_000n });
    const name = 'www.example.com';
    cache.add(lookup({ answers: [record(name, 1, '10.1.2.3')] }));
    assert.equal(cache.list()[0]?.conflicting, undefined);
    cache.add(lookup({ answers: [record(name, 1, '6.6.6.6')], conflictsWith: 'x' }));
    const found = cache.find(name);
    assert.ok(!('found' in found));
    assert.deepEqual([found.ip_addresses, found.conflicting], [['10.1.2.3'], true]);
    assert.equal(cache.list()[0]?.conflicting, true);
    assert.equal(cache.stats().left['conflicting'], 1);
    cache.add(lookup({ answers: [record(name, 1, '10.1.2.3')] }));
    assert.equal(cache.list()[0]?.conflicting, undefined);
  });

  it('findings: one user of a workload leaves a part of them to the others', () => {
    const cooldown = new Cooldown(1000);
    const event = (owner: typeof OWNER, pid: number): DetectorEvent =>
      ({
        kind: 'lookup',
        at: 1000,
        process: { pid, startTime: 1n },
        lookup: { request: { raw: { owner } } },
      }) as unknown as DetectorEvent;
    let flood = 0;
    for (let pid = 0; pid < 5000; pid++)
      if (typeof cooldown.admit('rule', event(FLOOD, pid), 'x') === 'number') flood++;
    assert.ok(flood >= 100 && flood < 200, String(flood));
    assert.equal(cooldown.admit('rule', event(VICTIM, 9000), 'x'), 0);
  });

  it('a map with owners', () => {
    const gone: number[] = [];
    const map = new FairMap<number, string>(10, { reason: 'x-full', onEvict: (key) => gone.push(key) });
    for (let key = 0; key < 4; key++) map.set(key, 'victim', VICTIM);
    for (let key = 100; key < 200; key++) map.set(key, 'flood', FLOOD);
    assert.equal(map.size, 10);
    assert.ok([0, 1, 2, 3].every((key) => map.get(key) === 'victim'));
    assert.deepEqual(gone[0], 100);
    assert.equal(map.peek(199), 'flood');
    assert.equal(map.delete(199), true);
    assert.equal(map.delete(199), false);
  });
});
