/** Answers in IP fragments: joined in any order, and what the kernel would not give to a program is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawMessage } from '../../src/model.ts';
import { Bench, dnsBytes, piece } from './stream-pieces.ts';

const SERVER = { address: '10.0.0.2', port: 53 };
const CLIENT = { address: '10.0.0.1', port: 40_000 };
const NOWHERE = { address: '10.0.0.2', port: 0 };

function checksum(bytes: Uint8Array, source: readonly number[], destination: readonly number[]): number {
  const all = [...source, ...destination, 0, 17, bytes.length >> 8, bytes.length & 0xff, ...bytes];
  let sum = 0;
  for (let i = 0; i < all.length; i += 2) sum += ((all[i] ?? 0) << 8) | (all[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff || 0xffff;
}

/** A UDP datagram from the server to the client. */
function datagram(payload: Uint8Array, change: (header: Buffer) => void = () => {}): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(SERVER.port, 0);
  header.writeUInt16BE(CLIENT.port, 2);
  header.writeUInt16BE(payload.length + 8, 4);
  const whole = Buffer.concat([header, payload]);
  whole.writeUInt16BE(checksum(whole, [10, 0, 0, 2], [10, 0, 0, 1]), 6);
  change(whole);
  return whole;
}

/** As the kernel programs tell fragments of `whole` that end at the offsets given. */
function fragments(whole: Uint8Array, ends: readonly number[], id = 1, skipped = 0): RawMessage[] {
  return ends.map((end, index) => {
    const offset = index === 0 ? 0 : (ends[index - 1] ?? 0);
    const from = Math.max(offset - skipped, 0);
    return piece(whole.subarray(from, end - skipped), {
      transport: 'udp',
      direction: 'response',
      hook: 'tracepoint',
      socket: 0n,
      local: CLIENT,
      remote: index === 0 ? SERVER : NOWHERE,
      time: BigInt(1000 + index),
      fragment: {
        datagram: id,
        offset,
        more: end - skipped < whole.length,
        skipped: index === 0 ? skipped : 0,
      },
    });
  });
}

const MESSAGE = dnsBytes(7, 3000);
const WHOLE = datagram(MESSAGE);
const ENDS = [1480, 2960, WHOLE.length];
const HEX = MESSAGE.toString('hex');

function assertBalanced(bench: Bench): void {
  assert.equal(bench.stage.snapshot().missing, 0);
}

test('in any order, with duplicates: one answer, at the time of the last piece', () => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 2, 0],
    [2, 0, 0, 1],
  ]) {
    const parts = fragments(WHOLE, ENDS);
    const bench = new Bench().give(
      ...order.map((index, at) => ({ ...(parts[index] as RawMessage), time: BigInt(5000 + at) })),
    );
    assert.deepEqual(bench.texts, [HEX], String(order));
    const [answer] = bench.received;
    assert.equal(answer?.length, 3000);
    assert.equal(answer?.raw.time, BigInt(5000 + order.length - 1));
    assert.deepEqual([answer?.raw.remote, answer?.raw.local], [SERVER, CLIENT]);
    assert.equal(bench.stage.held(), 0);
    assertBalanced(bench);
  }
});

test('two answers at once are kept apart', () => {
  const other = dnsBytes(8, 2000);
  const [a, b, c] = fragments(WHOLE, ENDS) as [RawMessage, RawMessage, RawMessage];
  const [d, e] = fragments(datagram(other), [1480, 2008], 2) as [RawMessage, RawMessage];
  const bench = new Bench().give(a, d, b, e, c);
  assert.deepEqual(bench.texts, [other.toString('hex'), HEX]);
  assertBalanced(bench);
});

test('extension headers before the UDP header', () => {
  const parts = fragments(WHOLE, [1480, WHOLE.length + 16], 3, 16);
  for (const order of [parts, parts.toReversed()]) {
    const bench = new Bench().give(...order);
    assert.deepEqual(bench.texts, [HEX]);
    assertBalanced(bench);
  }
});

const REFUSED: Readonly<Record<string, Buffer>> = {
  'a wrong checksum': datagram(MESSAGE, (whole) => whole.writeUInt16BE(1, 6)),
  'a changed byte': datagram(MESSAGE, (whole) => whole.writeUInt8(1, 2000)),
  'a length of more than came': datagram(MESSAGE, (whole) => whole.writeUInt16BE(4000, 4)),
  'a length below its header': datagram(MESSAGE, (whole) => whole.writeUInt16BE(7, 4)),
};
for (const [what, whole] of Object.entries(REFUSED))
  test(`${what}: no answer, as for the kernel`, () => {
    const bench = new Bench().give(...fragments(whole, ENDS));
    assert.deepEqual(bench.texts, []);
    assert.equal(bench.stage.snapshot().filtered['refused'], 3);
    assertBalanced(bench);
  });

test('no checksum is right in IPv4 and wrong in IPv6 (RFC 8200 section 8.1)', () => {
  const none = datagram(MESSAGE, (whole) => whole.writeUInt16BE(0, 6));
  assert.deepEqual(new Bench().give(...fragments(none, ENDS)).texts, [HEX]);
  const v6 = fragments(none, ENDS).map((part) => ({
    ...part,
    local: { address: 'fd00::1', port: 40_000 },
    remote: { address: 'fd00::2', port: part.remote.port },
  }));
  assert.deepEqual(new Bench().give(...v6).texts, []);
});

test('overlapping and incomplete ones are dropped and counted', () => {
  const [first, second, third] = fragments(WHOLE, ENDS) as [RawMessage, RawMessage, RawMessage];
  const shifted = { ...second, fragment: { datagram: 1, offset: 1472, more: true, skipped: 0 } };
  const bench = new Bench().give(first, shifted, third);
  assert.deepEqual(bench.texts, []);
  assert.equal(bench.stage.snapshot().dropped['fragment_overlap'], 2);
  bench.streams.expire(60_000_000_000n, bench.emit);
  assert.equal(bench.stage.snapshot().filtered['other_fragment'], 1);
  bench.give(...fragments(WHOLE, ENDS, 9).slice(0, 2));
  bench.streams.close(bench.emit);
  assert.equal(bench.stage.snapshot().dropped['fragments_unfinished'], 2);
  assert.equal(bench.stage.held(), 0);
  assertBalanced(bench);
});

test('a flood of pieces that never become whole holds little, and the ledger balances', () => {
  const bench = new Bench();
  for (let i = 0; i < 3000; i++) {
    const parts = fragments(WHOLE, ENDS, i);
    bench.give(parts[i % 3] as RawMessage);
  }
  for (let offset = 8; offset < 4000; offset += 8) {
    const [, second] = fragments(WHOLE, [offset, offset + 8, WHOLE.length], 5000);
    bench.give(second as RawMessage);
  }
  assert.ok(bench.stage.held() <= 256 + 128);
  assert.deepEqual(bench.texts, []);
  assertBalanced(bench);
  bench.give(...fragments(WHOLE, ENDS, 6000));
  assert.deepEqual(bench.texts, [HEX]);
  bench.streams.close(bench.emit);
  assertBalanced(bench);
});

test('the copy limit cuts the answer, not a fragment', () => {
  const bench = new Bench({}, 2000).give(...fragments(WHOLE, ENDS));
  assert.deepEqual(bench.texts, [MESSAGE.subarray(0, 2000).toString('hex')]);
  assert.equal(bench.received[0]?.length, 3000);
  assertBalanced(bench);
});
