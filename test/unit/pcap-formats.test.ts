/** Container formats and link types: the same request comes out of each. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { replay } from '../golden/replay.ts';
import { encodeMessage, labels, u16, u32 } from './dns-encode.ts';
import { ipv4, ipv6, Pcapng, pcap, tcp, udp } from './pcap-write.ts';
import { framed } from './stream-pieces.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodns-pcap-'));
after(() => rmSync(directory, { recursive: true }));

const EMPTY = { answers: [], authorities: [], additionals: [] };
const QUERY = encodeMessage({
  ...EMPTY,
  id: 77,
  flags: 0x0100,
  questions: [{ name: labels('a.test'), type: 1, class: 1 }],
});
const ANSWER = encodeMessage({
  ...EMPTY,
  id: 77,
  flags: 0x8180,
  questions: [{ name: labels('a.test'), type: 1, class: 1 }],
});
const PACKET = ipv4(udp(40_000, 53, QUERY));
const PACKET6 = ipv6(udp(40_000, 53, QUERY));
const BIG_PACKET6 = ipv6(udp(40_001, 53, QUERY));
const TIME = 1_700_000_000_123_456_000n;

async function read(file: Uint8Array, ports?: readonly number[]) {
  const path = join(directory, 'file');
  writeFileSync(path, file);
  return await replay(path, ports);
}

/** The file holds `count` requests, whole and in order. */
async function assertQueries(file: Uint8Array, count: number, what: string, time?: bigint): Promise<void> {
  const { events, damage, ledger } = await read(file);
  assert.equal(damage, undefined, what);
  assert.deepEqual(
    events.map(({ message }) => `${message.id} ${message.questions[0]?.name} ${message.malformed?.reason}`),
    Array(count).fill('77 a.test undefined'),
    what,
  );
  assert.ok(events.every(({ raw }) => raw.direction === 'request' && raw.remote.port === 53));
  assert.ok(
    events.every(({ raw }) => raw.hook === 'pcap' && raw.owner === undefined && raw.networkNamespace === 0),
  );
  if (time !== undefined)
    assert.ok(
      events.every(({ raw }) => raw.time === time),
      what,
    );
  assert.equal(ledger.missing, 0);
}

test('pcap: microseconds and nanoseconds, both byte orders', async () => {
  for (const nano of [false, true]) {
    for (const big of [false, true]) {
      const file = pcap(
        101,
        [
          { bytes: PACKET, time: TIME },
          { bytes: PACKET6, time: TIME },
        ],
        { nano, big },
      );
      await assertQueries(file, 2, `nano ${nano} big ${big}`, TIME);
    }
  }
});

test('pcapng: several interfaces, resolutions, block types, sections in both byte orders', async () => {
  const parts: Uint8Array[] = [];
  for (const big of [false, true]) {
    const w = new Pcapng(big);
    // Equal packets of one time would be one packet, taken several times.
    const numbered = (n: number) => ipv4(udp(40_000, 53, QUERY), { identification: n + (big ? 2 : 0) });
    const seconds = TIME / 1_000_000_000n;
    parts.push(
      w.section(),
      w.interface(101, 0),
      w.interface(1, 65_535, w.option(2, Buffer.from('eth0')), w.option(9, Buffer.of(9))),
      w.interface(228, 0, w.option(9, Buffer.of(0x80))),
      w.block(4, Buffer.from('name resolution, not read')),
      w.block(0x0bad, Buffer.alloc(300_000)),
      w.enhanced(0, TIME / 1000n, numbered(1)),
      w.enhanced(1, TIME, Buffer.concat([Buffer.alloc(12), u16(0x86dd), big ? BIG_PACKET6 : PACKET6])),
      w.packet(0, TIME / 1000n, numbered(2)),
    );
    assert.equal(seconds, 1_700_000_000n);
  }
  await assertQueries(Buffer.concat(parts), 6, 'pcapng', TIME);
  const w = new Pcapng(false);
  const simple = Buffer.concat([w.section(), w.interface(101, 0), w.simple(PACKET)]);
  await assertQueries(simple, 1, 'simple packet block has no time', 0n);
  const binary = Buffer.concat([
    w.section(),
    w.interface(101, 0, w.option(9, Buffer.of(0x81))),
    w.enhanced(0, 3n, PACKET),
  ]);
  await assertQueries(binary, 1, 'halves of a second', 1_500_000_000n);
});

test('link types', async () => {
  const mac = Buffer.alloc(12, 2);
  const cases: readonly (readonly [string, number, Uint8Array])[] = [
    ['Ethernet', 1, Buffer.concat([mac, u16(0x0800), PACKET, Buffer.alloc(6)])],
    ['Ethernet IPv6', 1, Buffer.concat([mac, u16(0x86dd), PACKET6])],
    ['VLAN', 1, Buffer.concat([mac, u16(0x8100), u16(5), u16(0x0800), PACKET])],
    ['QinQ', 1, Buffer.concat([mac, u16(0x88a8), u16(5), u16(0x8100), u16(6), u16(0x86dd), PACKET6])],
    ['MPLS', 1, Buffer.concat([mac, u16(0x8847), u32(0x00010040), u32(0x00020140), PACKET])],
    ['null, little endian', 0, Buffer.concat([Buffer.of(2, 0, 0, 0), PACKET])],
    ['null, big endian', 0, Buffer.concat([Buffer.of(0, 0, 0, 2), PACKET])],
    ['null, IPv6 of FreeBSD', 0, Buffer.concat([Buffer.of(28, 0, 0, 0), PACKET6])],
    ['loop', 108, Buffer.concat([u32(24), PACKET6])],
    ['PPP', 9, Buffer.concat([Buffer.of(0xff, 3), u16(0x21), PACKET])],
    ['PPP, compressed fields', 9, Buffer.concat([Buffer.of(0x57), PACKET6])],
    ['PPP with direction', 204, Buffer.concat([Buffer.of(1, 0xff, 3), u16(0x21), PACKET])],
    ['PPP in HDLC framing', 50, Buffer.concat([Buffer.of(0xff, 3), u16(0x57), PACKET6])],
    ['Cisco HDLC', 50, Buffer.concat([Buffer.of(0x0f, 0), u16(0x0800), PACKET])],
    ['cooked v1', 113, Buffer.concat([Buffer.alloc(14), u16(0x0800), PACKET])],
    ['cooked v2', 276, Buffer.concat([u16(0x86dd), Buffer.alloc(18), PACKET6])],
    ...[12, 14, 101, 228].map((type) => [`raw ${type}`, type, PACKET] as const),
    ['raw IPv6', 229, PACKET6],
  ];
  for (const [what, type, frame] of cases) await assertQueries(pcap(type, [{ bytes: frame }]), 1, what);
});

test('IPv4 options, IPv6 extension headers', async () => {
  const options = ipv4(udp(40_000, 53, QUERY), { options: Buffer.of(1, 1, 1, 0) });
  const hopByHop = Buffer.of(60, 0, 1, 4, 0, 0, 0, 0);
  const destination = Buffer.of(44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const atomicFragment = Buffer.of(51, 0, 0, 0, 0, 0, 0, 1);
  const authentication = Buffer.of(17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1);
  const extended = ipv6(
    udp(40_000, 53, QUERY),
    0,
    Buffer.concat([hopByHop, destination, atomicFragment, authentication]),
  );
  await assertQueries(pcap(101, [{ bytes: options }, { bytes: extended }]), 2, 'headers');
});

test('fragments of IPv4 and IPv6 in any order; an incomplete one is cut', async () => {
  const datagram = udp(40_000, 53, QUERY);
  const first = ipv4(datagram.subarray(0, 16), { more: true });
  const second = ipv4(datagram.subarray(16), { fragmentOffset: 16 });
  const fragment = (from: number, to: number, more: boolean) =>
    ipv6(
      datagram.subarray(from, to),
      44,
      Buffer.concat([Buffer.of(17, 0), u16(from | Number(more)), u32(9)]),
    );
  const frames = [
    second,
    first,
    fragment(24, datagram.length, false),
    fragment(0, 8, true),
    fragment(8, 24, true),
  ];
  await assertQueries(
    pcap(
      101,
      frames.map((bytes) => ({ bytes })),
    ),
    2,
    'fragments',
  );
  for (const lost of [[first], [fragment(0, 16, true)]]) {
    const { events } = await read(
      pcap(
        101,
        lost.map((bytes) => ({ bytes })),
      ),
    );
    assert.deepEqual(
      events.map(({ message, length }) => [message.malformed?.reason, length]),
      [['cut', QUERY.length]],
    );
  }
  const { events, stats } = await read(pcap(101, [{ bytes: second }]));
  assert.deepEqual(events, []);
  assert.deepEqual(stats.drops, { fragment_no_first: 1 });
});

test('direction: by port, else by the QR bit, for TCP by who opened', async () => {
  const source = [
    udp(40_000, 53, QUERY),
    udp(53, 40_000, ANSWER),
    udp(53, 53, QUERY),
    udp(53, 53, ANSWER),
    udp(5353, 53, ANSWER),
  ];
  const { events } = await read(
    pcap(
      101,
      source.map((bytes) => ({ bytes: ipv4(bytes) })),
    ),
    [53, 5353],
  );
  assert.deepEqual(
    events.map(({ raw }) => `${raw.direction} ${raw.local.address}:${raw.local.port}`),
    [
      'request 10.0.0.1:40000',
      'response 10.0.0.2:40000',
      'request 10.0.0.1:53',
      'response 10.0.0.2:53',
      'response 10.0.0.2:53',
    ],
  );
  const stream = framed(QUERY);
  const segments = [
    tcp(53, 53, 99, 2, new Uint8Array(0)),
    tcp(53, 53, 100, 0x18, stream.subarray(0, 5)),
    tcp(53, 53, 105, 0x18, stream.subarray(5)),
  ];
  const opened = await read(
    pcap(
      101,
      segments.map((bytes) => ({ bytes: ipv4(bytes, { protocol: 6 }) })),
    ),
  );
  assert.deepEqual(
    opened.events.map(({ raw, message }) => `${raw.direction} ${message.id}`),
    ['request 77'],
  );
});

test('other traffic is counted, not given', async () => {
  const frames = [
    ipv4(udp(1, 2, QUERY)),
    ipv4(QUERY, { protocol: 1 }),
    Buffer.from('no IP'),
    ipv4(udp(1, 53, QUERY)).subarray(0, 24),
  ];
  const { events, stats } = await read(
    pcap(
      101,
      frames.map((bytes) => ({ bytes })),
    ),
  );
  assert.deepEqual(events, []);
  assert.deepEqual(stats.counters, {
    packets: 4,
    requests: 0,
    responses: 0,
    unreadable: 2,
    skipped: 2,
    fragments: 0,
    tunnels: 0,
    duplicates: 0,
    submitted: 0,
  });
});
