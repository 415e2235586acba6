/** TCP streams: order, framing, gaps, attach in mid-stream, bounds, and a ledger that balances after every piece. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawMessage } from '../../src/model.ts';
import { STREAM_DROPS, STREAM_FILTERS } from '../../src/tables/drops-streams.ts';
import { Bench, dnsBytes, framed, piece } from './stream-pieces.ts';

const A = dnsBytes(1, 40);
const B = dnsBytes(2, 300);
const C = dnsBytes(3, 12);
const STREAM = framed(A, B, C);
const TEXTS = [A, B, C].map((bytes) => bytes.toString('hex'));

/** Bytes from..to of a stream that starts at sequence number `start`. */
function part(
  bytes: Buffer,
  from: number,
  to: number,
  fields: Partial<RawMessage> & { start?: number } = {},
): RawMessage {
  const { start = 1000, ...rest } = fields;
  const payload = bytes.subarray(from, to);
  return piece(payload, {
    sequence: (start + from) >>> 0,
    streamStart: from === 0,
    length: to - from,
    ...rest,
  });
}

function balanced(bench: Bench): void {
  const { in: entered, missing, held, dropped, filtered } = bench.stage.snapshot();
  assert.equal(missing, 0);
  assert.ok(held >= 0);
  assert.ok(entered >= bench.streams.extra);
  for (const reason of Object.keys(dropped)) assert.ok(reason in STREAM_DROPS, reason);
  for (const reason of Object.keys(filtered)) assert.ok(reason in STREAM_FILTERS, reason);
}

test('cut in two at every byte', () => {
  for (let at = 1; at < STREAM.length; at++) {
    const bench = new Bench().give(part(STREAM, 0, at), part(STREAM, at, STREAM.length));
    assert.deepEqual(bench.texts, TEXTS, `at ${at}`);
    balanced(bench);
    assert.equal(bench.stage.held(), 0);
    assert.equal(bench.stage.in - bench.streams.extra, 2);
  }
});

test('byte by byte', () => {
  const bench = new Bench();
  for (let at = 0; at < STREAM.length; at++) bench.give(part(STREAM, at, at + 1));
  assert.deepEqual(bench.texts, TEXTS);
  assert.equal(bench.stage.in, STREAM.length);
  assert.deepEqual(bench.stage.snapshot().filtered, { joined: STREAM.length - 3 });
});

test('all messages in one piece', () => {
  const bench = new Bench().give(part(STREAM, 0, STREAM.length));
  assert.deepEqual(bench.texts, TEXTS);
  assert.equal(bench.streams.extra, 2);
  balanced(bench);
});

test('a prefix written on its own, as by kdig and others', () => {
  const bench = new Bench().give(
    part(STREAM, 0, 2),
    part(STREAM, 2, 42),
    part(STREAM, 42, 44),
    part(STREAM, 44, STREAM.length),
  );
  assert.deepEqual(bench.texts, TEXTS);
});

test('out of order, retransmitted, overlapping', () => {
  const cuts = [0, 1, 50, 120, 200, STREAM.length];
  const parts = cuts.slice(1).map((to, i) => part(STREAM, cuts[i] ?? 0, to));
  const orders = [
    [0, 4, 3, 2, 1],
    [0, 1, 1, 0, 3, 2, 4, 4],
    [0, 2, 4, 1, 3],
    [0, 3, 3, 2, 1, 2, 4],
  ];
  for (const order of orders) {
    const bench = new Bench();
    for (const i of order) {
      bench.give(parts[i] as RawMessage);
      balanced(bench);
    }
    assert.deepEqual(bench.texts, TEXTS, String(order));
    assert.equal(bench.stage.held(), 0);
  }
  const overlap = new Bench().give(
    part(STREAM, 0, 30),
    part(STREAM, 10, 100),
    part(STREAM, 0, 200),
    part(STREAM, 150, STREAM.length),
  );
  assert.deepEqual(overlap.texts, TEXTS);
});

test('the first piece comes late, after the SYN', () => {
  const syn = piece(new Uint8Array(0), { sequence: 1000, streamStart: true });
  const bench = new Bench().give(
    syn,
    part(STREAM, 100, STREAM.length),
    part(STREAM, 0, 100, { streamStart: false }),
  );
  assert.deepEqual(bench.texts, TEXTS);
  assert.deepEqual(bench.stage.snapshot().filtered, { control: 1, joined: 1 });
  balanced(bench);
});

test('sequence numbers wrap at 2^32', () => {
  for (const start of [0xffff_ffff, 0xffff_ff80, 0x7fff_fff0, 0x8000_0000]) {
    const bench = new Bench().give(
      part(STREAM, 0, 20, { start }),
      part(STREAM, 150, STREAM.length, { start }),
      part(STREAM, 20, 150, { start }),
    );
    assert.deepEqual(bench.texts, TEXTS, String(start));
  }
});

test('two directions and two connections are apart', () => {
  const answer = Buffer.from(STREAM);
  const bench = new Bench().give(
    part(STREAM, 0, 100),
    part(answer, 0, 150, { direction: 'response' }),
    part(STREAM, 0, 60, { local: { address: '10.0.0.1', port: 40_001 }, socket: 10n }),
    part(STREAM, 0, 61, { networkNamespace: 2, socket: 11n }),
    part(answer, 150, STREAM.length, { direction: 'response' }),
    part(STREAM, 100, STREAM.length),
  );
  assert.equal(bench.texts.filter((text) => text === TEXTS[1]).length, 2);
  assert.equal(bench.streams.size, 4);
  balanced(bench);
});

test('the piece that names a request is its first, of a response its last', () => {
  for (const [direction, time] of [
    ['request', 5n],
    ['response', 7n],
  ] as const) {
    const bench = new Bench().give(
      part(STREAM, 0, 10, { direction, time: 5n }),
      part(STREAM, 10, 42, { direction, time: 7n }),
    );
    assert.equal(bench.received[0]?.raw.time, time);
    assert.ok(!('payload' in (bench.received[0]?.raw ?? {})));
  }
});

test('copy limit: the message is cut, the framing goes on by the true lengths', () => {
  const whole = part(STREAM, 0, 344 - 2);
  const bench = new Bench().give(
    { ...whole, payload: whole.payload.subarray(0, 100) },
    part(STREAM, 342, STREAM.length),
  );
  assert.equal(bench.texts[0], TEXTS[0]);
  assert.equal(bench.received[1]?.length, 300);
  assert.equal(bench.texts[1], TEXTS[1]?.slice(0, 2 * (100 - 44)));
  assert.equal(bench.texts[2], TEXTS[2]);
  assert.equal(bench.texts.length, 3);
  balanced(bench);
});

test('copy limit hides a length prefix: discarded, then synchronised at the next message', () => {
  const whole = part(STREAM, 0, STREAM.length);
  const next = framed(dnsBytes(4, 33));
  const bench = new Bench().give(
    { ...whole, payload: whole.payload.subarray(0, 300) },
    piece(next, { sequence: 1000 + STREAM.length }),
  );
  assert.deepEqual(
    bench.received.map(({ length }) => length),
    [40, 300, 33],
  );
  assert.deepEqual(bench.stage.snapshot().dropped, { stream_unsynchronized: 1 });
  balanced(bench);
});

test('nothing of a piece could be read', () => {
  const unreadable = { ...part(STREAM, 0, 42), payload: new Uint8Array(0), unreadable: true };
  const bench = new Bench().give(unreadable, part(STREAM, 42, STREAM.length));
  assert.deepEqual(bench.texts, TEXTS.slice(1));
  assert.deepEqual(bench.stage.snapshot().dropped, { stream_unsynchronized: 1 });
  balanced(bench);
});

test('attach in mid-stream: from the next piece that begins a message', () => {
  for (const lone of [false, true]) {
    const bench = new Bench().give(part(STREAM, 20, 42));
    if (lone) bench.give(part(STREAM, 42, 44), part(STREAM, 44, STREAM.length));
    else bench.give(part(STREAM, 42, STREAM.length));
    assert.deepEqual(bench.texts, TEXTS.slice(1));
    balanced(bench);
  }
  const garbage = new Bench();
  for (let i = 0; i < 20; i++) garbage.give(piece(Buffer.alloc(50, 0xee), { sequence: 50 * i }));
  assert.deepEqual(garbage.texts, []);
  assert.deepEqual(garbage.stage.snapshot().dropped, { stream_unsynchronized: 20 });
});

test('not DNS: a length below a header', () => {
  const bench = new Bench().give(piece(Buffer.alloc(1000), { streamStart: true }));
  assert.deepEqual(bench.texts, []);
  assert.deepEqual(bench.stage.snapshot().dropped, { stream_unsynchronized: 1 });
  balanced(bench);
});

test('a lost piece is waited for, then the message is given cut', () => {
  const late = { time: 1_002_000_000_000n };
  const bench = new Bench().give(
    part(STREAM, 0, 60),
    part(STREAM, 80, 344),
    part(STREAM, 344, STREAM.length, late),
  );
  assert.deepEqual(
    bench.received.map(({ length }) => length),
    [40, 300, 12],
  );
  assert.equal(bench.texts[1], TEXTS[1]?.slice(0, 2 * (60 - 44)));
  balanced(bench);
  const quiet = new Bench().give(part(STREAM, 0, 60), part(STREAM, 80, STREAM.length));
  assert.equal(quiet.received.length, 1);
  quiet.streams.expire(1_002_000_000_000n, quiet.emit);
  assert.equal(quiet.received.length, 3);
  balanced(quiet);
});

test('lost pieces with a prefix: the message they began is dropped', () => {
  const late = { time: 1_002_000_000_000n };
  const bench = new Bench().give(
    part(STREAM, 0, 43),
    part(STREAM, 45, 344),
    part(STREAM, 344, STREAM.length, late),
  );
  assert.deepEqual(bench.texts, [TEXTS[0], TEXTS[2]]);
  assert.deepEqual(bench.stage.snapshot().dropped, { stream_gap: 1, stream_unsynchronized: 1 });
  balanced(bench);
});

test('more pieces out of order than are held', () => {
  const many = framed(...Array.from({ length: 200 }, (_, i) => dnsBytes(i, 30)));
  const bench = new Bench({ maxOutOfOrder: 8 }).give(part(many, 0, 32));
  for (let i = 2; i < 200; i++) bench.give(part(many, 32 * i, 32 * i + 32));
  assert.equal(bench.received.length, 199);
  balanced(bench);
});

test('FIN in the middle of a message', () => {
  const bench = new Bench().give(part(STREAM, 0, 100, { streamEnd: true }));
  assert.deepEqual(bench.texts, TEXTS.slice(0, 1));
  assert.deepEqual(bench.stage.snapshot().dropped, { stream_unfinished: 1 });
  bench.give(part(STREAM, 42, 100, { streamEnd: true }));
  assert.deepEqual(bench.stage.snapshot().filtered, { retransmission: 1 });
  balanced(bench);
});

test('the same ports again: by SYN, by socket, by a sequence number far away', () => {
  for (const fields of [
    { start: 5_000_000, socket: 0n },
    { socket: 77n },
    { start: 0x4000_0000, socket: 0n, streamStart: false },
  ]) {
    const bench = new Bench().give(part(STREAM, 0, 100), part(STREAM, 0, STREAM.length, fields));
    assert.deepEqual(bench.texts, [TEXTS[0], ...TEXTS]);
    assert.deepEqual(bench.stage.snapshot().dropped, { stream_replaced: 1 });
    balanced(bench);
  }
});

test('bounds: streams, bytes, idle time', () => {
  const streams = new Bench({ maxStreams: 10 });
  const connection = (port: number) => ({ local: { address: '10.0.0.1', port }, socket: BigInt(port) });
  for (let i = 1; i <= 25; i++) streams.give(part(STREAM, 0, 100, connection(i)));
  assert.equal(streams.streams.size, 10);
  assert.deepEqual(streams.stage.snapshot().dropped, { streams_full: 15 });
  balanced(streams);

  const long = framed(dnsBytes(1, 60_000));
  const bytes = new Bench({ maxBytes: 200_000 });
  for (let i = 1; i <= 25; i++) bytes.give(part(long, 0, 50_000, connection(i)));
  assert.ok(bytes.streams.heldBytes <= 200_000);
  assert.ok((bytes.stage.dropped.get('stream_bytes_full') ?? 0) > 15);
  balanced(bytes);

  const idle = new Bench().give(part(STREAM, 0, 100));
  idle.streams.expire(1_000_000_000_000n + 121_000_000_000n, idle.emit);
  assert.equal(idle.streams.size, 0);
  assert.equal(idle.streams.heldBytes, 0);
  assert.deepEqual(idle.stage.snapshot().dropped, { stream_idle: 1 });
  balanced(idle);
});

test('the end of the capture: nothing is held', () => {
  const bench = new Bench().give(part(STREAM, 0, 100), part(STREAM, 200, STREAM.length));
  bench.streams.close(bench.emit);
  assert.equal(bench.stage.held(), 0);
  assert.deepEqual(
    bench.received.map(({ length }) => length),
    [40, 300, 12],
  );
  balanced(bench);
});

test('memory grows with what came, not with what was announced', () => {
  const bench = new Bench();
  for (let i = 1; i <= 1000; i++) {
    const local = { address: '10.0.0.1', port: i };
    bench.give(piece(Buffer.of(0xff, 0xff, 0), { streamStart: true, local, socket: BigInt(i) }));
  }
  assert.ok(bench.streams.heldBytes < 1000 * 512, String(bench.streams.heldBytes));
});

test('many answers in one piece, longer together than the copy limit of one', () => {
  const answers = Array.from({ length: 60 }, (_, id) => dnsBytes(id, 500));
  const bytes = framed(...answers, dnsBytes(99, 6000), dnsBytes(100, 40));
  for (const size of [bytes.length, 16_384, 1460, 7]) {
    const bench = new Bench({}, 4096);
    for (let at = 0; at < bytes.length; at += size)
      bench.give(piece(bytes.subarray(at, at + size), { sequence: at, streamStart: at === 0 }));
    assert.equal(bench.texts.length, 62);
    assert.deepEqual(
      bench.received.map(({ text, length }) => [text.length / 2, length]),
      [...answers.map(() => [500, 500]), [4096, 6000], [40, 40]],
    );
    assert.equal(bench.stage.snapshot().missing, 0);
  }
});

test('what a gap cost is named when the connection ends: requests without an answer', () => {
  const ids = Array.from({ length: 20 }, (_, id) => id);
  const requests = framed(...ids.map((id) => dnsBytes(id, 30)));
  const answers = framed(
    ...ids.map((id) => {
      const bytes = dnsBytes(id, 100);
      bytes.writeUInt8(0x81, 2); // QR
      return bytes;
    }),
  );
  const response = { direction: 'response' } as const;
  // From where to where bytes are missing, and whether a message has begun to come before them.
  for (const [from, to, begun] of [
    [102 * 5, 102 * 12, 0],
    [102 * 5 + 1, 102 * 12, 1],
    [102 * 5 + 1, 102 * 12 + 50, 1],
    [102 * 17 - 101, 102 * 20, 1],
  ] as const) {
    const bench = new Bench().give(
      piece(requests, { streamStart: true, streamEnd: true }),
      piece(answers.subarray(0, from), { ...response, streamStart: true }),
    );
    for (let at = to; at < answers.length; at += 102)
      bench.give(
        piece(answers.subarray(at, at + 102), { ...response, sequence: at, time: 1_000_000_001_000n }),
      );
    bench.give(piece(Buffer.alloc(0), { ...response, sequence: answers.length, streamEnd: true }));
    bench.streams.expire(1_010_000_000_000n, bench.emit);
    bench.streams.close(bench.emit);
    const got = bench.received.filter(({ raw }) => raw.direction === 'response').length;
    const { dropped, missing } = bench.stage.snapshot();
    assert.ok(got < 20 && bench.stage.held() === 0);
    assert.equal(
      got + (dropped['stream_gap_answers'] ?? 0) + begun,
      20,
      `${from} to ${to}: ${JSON.stringify(dropped)}`,
    );
    assert.equal(missing, 0);
  }
});
