/** Streams cut, reordered, repeated, overlapped and capped at random: the same messages, a ledger that balances. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawMessage } from '../../src/model.ts';
import { Bench, dnsBytes, framed, piece } from '../unit/stream-pieces.ts';
import { Random } from './mutate.ts';

const RUNS = Number(process.env['FUZZ_COUNT'] ?? 20_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_121);

/** A stream of messages, cut into pieces that may overlap. */
function makePieces(random: Random, stream: Buffer, start: number, port: number): RawMessage[] {
  const pieces: RawMessage[] = [];
  for (let at = 0; at < stream.length; ) {
    const size = 1 + random.below(random.of([2, 20, 200, 2000]));
    const from = Math.max(0, at - (random.below(4) === 0 ? random.below(30) : 0));
    const to = Math.min(stream.length, at + size);
    pieces.push(
      piece(stream.subarray(from, to), {
        sequence: (start + from) >>> 0,
        streamStart: from === 0,
        local: { address: '10.0.0.1', port },
        socket: BigInt(port),
      }),
    );
    at = to;
  }
  return pieces;
}

/** Neighbours change places, some pieces come again; the first stays first: it tells where the stream starts. */
function disturb(random: Random, pieces: RawMessage[]): RawMessage[] {
  const order = [...pieces];
  for (let i = 1; i < order.length; i++) {
    const other = Math.min(order.length - 1, i + random.below(6));
    [order[i], order[other]] = [order[other] as RawMessage, order[i] as RawMessage];
    if (random.below(6) === 0) order.splice(1 + random.below(order.length), 0, random.of(order));
  }
  return order;
}

test(`${RUNS} streams in disorder give every message once, in order (FUZZ_SEED=${SEED})`, () => {
  const random = new Random(SEED);
  for (let run = 0; run < RUNS; run++) {
    const messages = Array.from({ length: 1 + random.below(6) }, (_, i) =>
      dnsBytes(i + 1, 12 + random.below(random.of([10, 600]))),
    );
    const pieces = makePieces(random, framed(...messages), random.below(0xffff_ffff), 1000);
    const bench = new Bench({ maxOutOfOrder: 1_000_000 });
    for (const one of disturb(random, pieces)) bench.give(one);
    const { missing, held, dropped } = bench.stage.snapshot();
    assert.deepEqual(
      bench.texts,
      messages.map((message) => message.toString('hex')),
      `run ${run}`,
    );
    assert.deepEqual({ missing, held, dropped }, { missing: 0, held: 0, dropped: {} }, `run ${run}`);
  }
});

test(`${RUNS} hostile streams: no exception, bounds kept, a ledger that balances (FUZZ_SEED=${SEED})`, () => {
  const random = new Random(SEED + 1);
  const bench = new Bench({ maxStreams: 50, maxBytes: 300_000, maxOutOfOrder: 16 });
  let time = 1_000_000_000_000n;
  for (let run = 0; run < RUNS; run++) {
    const messages = Array.from({ length: 1 + random.below(4) }, (_, i) =>
      dnsBytes(i, 12 + random.below(3000)),
    );
    const pieces = makePieces(random, framed(...messages), random.below(0xffff_ffff), 1 + random.below(200));
    for (const one of disturb(random, pieces)) {
      time += BigInt(random.below(50_000_000)) - 1_000_000n;
      if (random.below(10) === 0) continue;
      const capped =
        random.below(5) === 0 ? one.payload.subarray(0, random.below(one.length + 1)) : one.payload;
      const changed = random.below(20) === 0 ? Uint8Array.from(capped, () => random.below(256)) : capped;
      const sequence = random.below(50) === 0 ? random.below(0xffff_ffff) : one.sequence;
      const streamEnd = random.below(30) === 0;
      bench.give({
        ...one,
        time,
        payload: changed,
        sequence,
        streamEnd,
        streamStart: one.streamStart || random.below(100) === 0,
      });
    }
    const { missing, held } = bench.stage.snapshot();
    if (missing !== 0 || held < 0) assert.fail(`run ${run}: missing ${missing}, held ${held}`);
    if (bench.streams.size > 50 || bench.streams.heldBytes > 300_000)
      assert.fail(`run ${run}: over its bounds`);
    for (const { text, length } of bench.received.splice(0)) {
      if (text.length / 2 > length || length > 65_535 || length < 12)
        assert.fail(`run ${run}: length ${length}`);
    }
  }
  bench.streams.close(bench.emit);
  const { missing, held } = bench.stage.snapshot();
  assert.deepEqual({ missing, held, bytes: bench.streams.heldBytes }, { missing: 0, held: 0, bytes: 0 });
});
