/** UDP datagrams composed with MSG_MORE, and IP fragments. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../src/ledger.ts';
import type { RawMessage } from '../../src/model.ts';
import { type Fragment, FragmentTable, type Reassembled } from '../../src/streams/fragments.ts';
import type { RawHead } from '../../src/streams/message.ts';
import { Streams } from '../../src/streams/streams.ts';
import { Bench, dnsBytes, piece } from './stream-pieces.ts';

const MESSAGE = dnsBytes(5, 90);

function udp(from: number, to: number, fields: Partial<RawMessage> = {}): RawMessage {
  return piece(MESSAGE.subarray(from, to), { transport: 'udp', ...fields });
}

test('a datagram goes straight through', () => {
  const bench = new Bench().give(udp(0, 90));
  assert.deepEqual(bench.texts, [MESSAGE.toString('hex')]);
  assert.equal(bench.stage.snapshot().missing, 0);
});

test('the span of the thread that sends stays with its message', () => {
  const trace = { traceId: new Uint8Array(16).fill(1), spanId: new Uint8Array(8).fill(2), flags: 1 };
  const heads: RawHead[] = [];
  const streams = new Streams(new Ledger().stage('streams'));
  for (const fields of [{ trace }, {}]) streams.accept(udp(0, 90, fields), ({ raw }) => heads.push(raw));
  assert.deepEqual(heads[0]?.trace, trace);
  assert.ok(!('trace' in (heads[1] ?? {})));
});

test('MSG_MORE joins the sends of a socket', () => {
  const bench = new Bench().give(
    udp(0, 12, { more: true }),
    udp(0, 90, { socket: 10n }),
    udp(12, 50, { more: true }),
    udp(50, 90),
  );
  assert.deepEqual(bench.texts, Array(2).fill(MESSAGE.toString('hex')));
  assert.deepEqual(bench.stage.snapshot().filtered, { joined: 2 });
  assert.equal(bench.stage.snapshot().missing, 0);
});

test('UDP_CORK: an empty piece ends each of several datagrams', () => {
  const end = () => udp(0, 0, { streamEnd: true });
  const bench = new Bench().give(
    udp(0, 30, { more: true }),
    udp(30, 90, { more: true }),
    end(),
    end(), // nothing is in the making
    udp(0, 90, { more: true }),
    end(),
  );
  assert.deepEqual(bench.texts, Array(2).fill(MESSAGE.toString('hex')));
  assert.deepEqual(bench.stage.snapshot().filtered, { joined: 4 });
  assert.equal(bench.stage.held(), 0);
  assert.equal(bench.stage.snapshot().missing, 0);
});

test('UDP_CORK: the answer with the same id tells that the datagram had left', () => {
  const answer = { transport: 'udp', direction: 'response' } as const;
  const bench = new Bench().give(
    udp(0, 30, { more: true }),
    piece(dnsBytes(6, 40), answer), // to an earlier request of this socket
    udp(30, 90, { more: true }),
    piece(dnsBytes(5, 60), answer),
  );
  const hex = [dnsBytes(6, 40), MESSAGE, dnsBytes(5, 60)].map((bytes) => bytes.toString('hex'));
  assert.deepEqual(bench.texts, hex);
  assert.equal(bench.stage.held(), 0);
  assert.equal(bench.stage.snapshot().missing, 0);
});

test('a piece with a copy limit cuts the datagram', () => {
  const cut = udp(0, 50, { more: true });
  const bench = new Bench().give({ ...cut, payload: cut.payload.subarray(0, 20) }, udp(50, 90));
  assert.deepEqual(bench.texts, [MESSAGE.subarray(0, 20).toString('hex')]);
  assert.equal(bench.received[0]?.length, 90);
});

test('bounds of composed datagrams: count, size, age', () => {
  const bench = new Bench({ maxCorked: 4 });
  for (let i = 1; i <= 10; i++) bench.give(udp(0, 20, { more: true, socket: BigInt(i) }));
  assert.equal(bench.stage.held(), 4);
  assert.deepEqual(bench.stage.snapshot().dropped, { datagrams_full: 6 });
  const huge = new Bench();
  const block = Buffer.alloc(40_000);
  for (let i = 0; i < 2; i++) huge.give(piece(block, { transport: 'udp', more: true }));
  assert.deepEqual(huge.stage.snapshot().dropped, { datagram_too_long: 2 });
  bench.streams.expire(2_000_000_000_000n, bench.emit);
  assert.equal(bench.stage.held(), 0);
  assert.equal(bench.stage.dropped.get('datagram_unfinished'), 4);
  assert.equal(bench.stage.snapshot().missing, 0);
});

function fragmentTable(limits = {}) {
  const out: Reassembled[] = [];
  const table = new FragmentTable<undefined>((datagram) => out.push(datagram), limits);
  const give = (from: number, to: number, fields: Partial<Fragment> = {}) =>
    table.accept(
      {
        key: 'k',
        offset: from,
        length: to - from,
        more: to < 90,
        bytes: MESSAGE.subarray(from, to),
        time: 1n,
        ...fields,
      },
      undefined,
    );
  return { out, table, give };
}

test('fragments in any order, with duplicates', () => {
  const cuts = [
    [0, 32],
    [32, 64],
    [64, 90],
  ] as const;
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 1, 0, 2],
    [2, 0, 0, 1],
  ]) {
    const { out, table, give } = fragmentTable();
    for (const i of order) give(cuts[i]?.[0] ?? 0, cuts[i]?.[1] ?? 0);
    const whole = { bytes: Buffer.from(MESSAGE), length: 90, time: 1n, complete: true, parts: 3 };
    assert.deepEqual(out, [whole], String(order));
    assert.equal(table.size, 0);
  }
});

test('overlapping fragments make the datagram worthless (RFC 5722)', () => {
  const { out, table, give } = fragmentTable();
  give(0, 40);
  give(32, 64);
  assert.deepEqual([...table.dropped], [['fragment_overlap', 1]]);
  assert.deepEqual(out, []);
});

test('what is incomplete is given out cut if it has its beginning', () => {
  const { out, table, give } = fragmentTable();
  give(0, 32);
  give(64, 90);
  give(32, 64, { key: 'other' });
  table.close();
  const bytes = Buffer.from(MESSAGE.subarray(0, 32));
  assert.deepEqual(out, [{ bytes, length: 90, time: 1n, complete: false, parts: 2 }]);
  assert.deepEqual([...table.dropped], [['fragment_no_first', 1]]);
});

test('bounds of fragments: datagrams, fragments, size, age', () => {
  const { table, give } = fragmentTable({ maxDatagrams: 4 });
  for (let i = 0; i < 100; i++) give(32, 64, { key: String(i) });
  assert.equal(table.size, 4);
  give(0, 32, { key: 'late', time: 40_000_000_000n });
  assert.equal(table.size, 1);
  const tiny = fragmentTable();
  for (let i = 0; i < 65; i++) tiny.give(i, i + 1, { more: true });
  assert.deepEqual([...tiny.table.dropped], [['fragment_count', 1]]);
  const long = fragmentTable();
  long.give(0, 8, { offset: 65_528, more: false });
  assert.deepEqual([...long.table.dropped], [['fragment_too_long', 1]]);
});

test('several datagrams in one send (UDP_SEGMENT): each is a message, what was not copied by its length', () => {
  const messages = [dnsBytes(1, 40), dnsBytes(2, 40), dnsBytes(3, 25)];
  const whole = Buffer.concat(messages);
  const bench = new Bench().give(
    piece(whole, { transport: 'udp', sequence: 40 }),
    { ...piece(whole, { transport: 'udp', sequence: 40 }), payload: whole.subarray(0, 50) },
    piece(messages[0] as Buffer, { transport: 'udp', sequence: 40 }),
    piece(whole, { transport: 'udp', direction: 'response', sequence: 40 }),
  );
  assert.deepEqual(
    bench.received.map(({ text, length }) => [text.length / 2, length]),
    [
      [40, 40],
      [40, 40],
      [25, 25],
      [40, 40],
      [10, 40],
      [0, 25],
      [40, 40],
      [105, 105],
    ],
  );
  assert.deepEqual(
    bench.texts.slice(0, 3),
    messages.map((bytes) => bytes.toString('hex')),
  );
  assert.ok(
    bench.received.every(
      ({ raw }, index) => raw.direction === 'response' || raw.sequence === (index === 6 ? 40 : 0),
    ),
  );
  assert.equal(bench.streams.extra, 4);
  assert.equal(bench.stage.snapshot().missing, 0);
  const hostile = new Bench().give({
    ...piece(Buffer.alloc(100), { transport: 'udp', sequence: 1 }),
    length: 65_535,
  });
  assert.equal(hostile.received.length, 128);
  assert.equal(hostile.stage.snapshot().missing, 0);
});
