/** Mutated capture files: read or refused with one line, never an exception, never more than was in them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../src/lib/errors.ts';
import { replay } from '../golden/replay.ts';
import { ipv4, ipv6, Pcapng, tcp, udp } from '../unit/pcap-write.ts';
import { dnsBytes, framed } from '../unit/stream-pieces.ts';
import { mutate, Random } from './mutate.ts';

const COUNT = Math.ceil(Number(process.env['FUZZ_COUNT'] ?? 1_000_000) / 100);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_121);
const CAPTURES = new URL('../golden/pcaps/', import.meta.url).pathname;

function pcapng(): Buffer {
  const w = new Pcapng(true);
  const datagram = udp(4000, 53, dnsBytes(1, 100));
  const fragments = [
    ipv4(datagram.subarray(0, 40), { more: true }),
    ipv4(datagram.subarray(40), { fragmentOffset: 40 }),
    ipv6(tcp(4000, 53, 7, 2, Buffer.alloc(0)), 6),
    ipv6(tcp(4000, 53, 8, 0x18, framed(dnsBytes(1, 50), dnsBytes(2, 60))), 6),
  ];
  return Buffer.concat([
    w.section(),
    w.interface(101, 0),
    ...fragments.map((bytes) => w.enhanced(0, 1n, bytes)),
  ]);
}

test(`${COUNT} mutated capture files (FUZZ_SEED=${SEED})`, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-fuzz-'));
  const path = join(directory, 'file');
  const files = readdirSync(CAPTURES).filter((name) => name.endsWith('.pcap'));
  const seeds = [
    ...files.map((name) => readFileSync(CAPTURES + name)).filter((bytes) => bytes.length < 10_000),
    pcapng(),
  ];
  const random = new Random(SEED);
  const outcomes = { whole: 0, damaged: 0, refused: 0, events: 0 };
  for (let i = 0; i < COUNT; i++) {
    const bytes = mutate(random, seeds);
    writeFileSync(path, bytes);
    try {
      const { events, damage, ledger, stats } = await replay(path, [53, 8053]);
      assert.equal(ledger.missing, 0);
      assert.equal(ledger.held, 0);
      assert.ok((stats.counters['packets'] ?? 0) <= bytes.length / 16);
      assert.ok(damage === undefined || (damage.offset <= bytes.length && damage.reason.length < 100));
      outcomes[damage === undefined ? 'whole' : 'damaged']++;
      outcomes.events += events.length;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      outcomes.refused++;
    }
  }
  context.diagnostic(JSON.stringify(outcomes));
  assert.ok(Math.min(...Object.values(outcomes)) > 0);
  rmSync(directory, { recursive: true });
});
