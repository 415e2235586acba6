/** Records of mutated messages: what is written attribute by attribute is what the object with the attributes gives. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { decodeMessage } from '../../src/dns/message.ts';
import type { Lookup, Outcome } from '../../src/model.ts';
import { copyOf } from '../../src/sinks/limits.ts';
import { ProtobufWriter } from '../../src/sinks/otlp-encode.ts';
import { writeLogRecord } from '../../src/sinks/otlp-encode-record.ts';
import { toLogEvent } from '../../src/sinks/record.ts';
import { MAX_ATTRIBUTES } from '../../src/sinks/record-attributes.ts';
import { replay } from '../golden/replay.ts';
import { identity, lookup, TIME } from '../unit/sink-events.ts';
import { mutate, Random } from './mutate.ts';

const COUNT = Number(process.env['FUZZ_COUNT'] ?? 200_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_130);
const CAPTURES = new URL('../golden/pcaps/', import.meta.url).pathname;
const OUTCOMES: readonly Outcome[] = ['answered', 'answered', 'answered', 'timeout', 'sent', 'unknown'];
const TRACE = {
  traceId: Uint8Array.from({ length: 16 }, (_, i) => i + 1),
  spanId: new Uint8Array(8),
  flags: 1,
};

/** A lookup of two mutated messages, with what else a record may have. */
function randomLookup(random: Random, seeds: readonly Uint8Array[], process: Lookup['process']): Lookup {
  const outcome = random.of(OUTCOMES);
  const whole = lookup({
    process,
    outcome,
    retries: random.below(3),
    duration: BigInt(random.below(2_000_000_000)),
    raw: {
      ...(random.below(4) === 0 ? { dialed: { address: '203.0.113.9', port: 5353 } } : {}),
      ...(random.below(4) === 0 ? { owner: undefined } : {}),
      ...(random.below(4) === 0 ? { trace: TRACE } : {}),
      localAny: random.below(2) === 0,
      networkNamespace: random.below(2),
      transport: random.of(['udp', 'tcp']),
      family: random.of([4, 6]),
    },
    ...(random.below(4) === 0
      ? { search: { base: 'www', step: random.below(4), wasted: random.below(3) } }
      : {}),
  });
  const asked = mutate(random, seeds);
  const told = mutate(random, seeds);
  return {
    ...whole,
    ...(outcome === 'answered' && random.below(4) === 0
      ? { conflictsWith: random.of(['', 'first']), uid: 'own' }
      : {}),
    request: { ...whole.request, captured: asked.length, message: decodeMessage(asked, asked.length) },
    response: whole.response && {
      ...whole.response,
      length: told.length + random.below(2),
      captured: told.length,
      message: decodeMessage(told, told.length),
    },
  };
}

test(`${COUNT} records of mutated messages, seed ${SEED}`, async () => {
  const files = readdirSync(CAPTURES).filter((name) => name.endsWith('.pcap'));
  const seeds = (await Promise.all(files.map((file) => replay(CAPTURES + file, [53, 8053])))).flatMap(
    ({ payloads }) => payloads,
  );
  const random = new Random(SEED);
  const processes = [identity(), identity({ executableName: '', attribution: 'none' })];
  const [direct, plain] = [new ProtobufWriter(1024), new ProtobufWriter(1024)];
  let answers = 0;
  for (let i = 0; i < COUNT; i++) {
    const found = randomLookup(random, seeds, random.of(processes));
    const event = toLogEvent(found, TIME, { nxdomainError: random.below(2) === 0 });
    direct.position = 0;
    writeLogRecord(direct, event);
    plain.position = 0;
    writeLogRecord(plain, copyOf(event));
    const same = direct.bytes.subarray(0, direct.position).equals(plain.bytes.subarray(0, plain.position));
    if (!same) assert.deepEqual(found, undefined, `record ${i}`);
    assert.ok(Object.keys(event.attributes).length <= MAX_ATTRIBUTES);
    if (event.attributes['whodns.answers'] !== undefined) answers++;
  }
  assert.ok(answers > COUNT / 20, `${answers} with answers`);
});
