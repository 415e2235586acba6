/** A million packets, cut and mutated, of every encapsulation: nothing is thrown, memory stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DnsPackets } from '../../src/capture/dns-packets.ts';
import { readIp } from '../../src/capture/ip-packet.ts';
import { findIp, READ_LINK_TYPES } from '../../src/capture/link-layer.ts';
import { encodeMessage, labels } from '../unit/dns-encode.ts';
import { encapsulations } from '../unit/encapsulations.ts';
import { ipv4, udp } from '../unit/pcap-write.ts';
import { Random } from './mutate.ts';

const PACKETS = Number(process.env['FUZZ_COUNT'] ?? 1_000_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_130);
const MAX_GROWTH = 4 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What stays after a collection. */
function kept(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('mutated packets of every link type', () => {
  const query = encodeMessage({
    id: 7,
    flags: 0x0100,
    questions: [{ name: labels('x.test'), type: 1, class: 1 }],
    answers: [],
    authorities: [],
    additionals: [],
  });
  const frames = encapsulations(ipv4(udp(40_000, 53, query)));
  const random = new Random(SEED);
  let given = 0;
  const packets = new DnsPackets([53], () => {
    given++;
  });
  let start = 0;
  for (let i = 0; i < PACKETS; i++) {
    const { frame, linkType } = random.of(frames);
    const bytes = Uint8Array.from(
      random.below(4) === 0 ? frame.subarray(0, random.below(frame.length)) : frame,
    );
    for (let changes = random.below(6); changes > 0; changes--)
      bytes[random.below(bytes.length + 1)] = random.below(256);
    // Now and then under another link type: what a header claims is not what follows.
    const type = random.below(16) === 0 ? random.of(READ_LINK_TYPES) : linkType;
    const offset = findIp(type, bytes, () => undefined);
    assert.ok(
      offset === -1 || (offset >= 0 && offset < bytes.length),
      `${type} ${Buffer.from(bytes).toString('hex')}`,
    );
    const packet = offset < 0 ? undefined : readIp(bytes, offset);
    if (packet !== undefined) packets.accept(packet, BigInt(i) * 1_000_000n);
    if (i === PACKETS / 10) start = kept();
  }
  packets.close();
  assert.ok(given > PACKETS / 10, `${given} messages`);
  const growth = kept() - start;
  assert.ok(growth < MAX_GROWTH, `what is kept grew by ${growth} bytes`);
});
