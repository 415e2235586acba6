/**
 * Records of mutated messages: what is written straight from the bytes is what an object with the values gives, and says what the
 * decoded messages say.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Message } from '../../src/dns/message.ts';
import { ByteWriter } from '../../src/lib/byte-writer.ts';
import { hex } from '../../src/lib/random-bytes.ts';
import { EventView, LookupView } from '../../src/lookup/view.ts';
import type { Lookup, Outcome, Question, ResourceRecord } from '../../src/model.ts';
import { ProtobufWriter } from '../../src/otlp/encode.ts';
import { writeLogRecord } from '../../src/otlp/encode-record.ts';
import { writeJsonRecord } from '../../src/otlp/json-record.ts';
import { LookupRecord } from '../../src/records/lookup-record.ts';
import { MAX_LISTED } from '../../src/records/lookup-sections.ts';
import { bounded, MAX_ATTRIBUTES } from '../../src/records/record-common.ts';
import { copyOf } from '../../src/sinks/limits.ts';
import { className, opcodeName } from '../../src/tables/classes.ts';
import { typeName } from '../../src/tables/rrtypes.ts';
import { replay } from '../golden/replay.ts';
import { envelopeOf } from '../unit/message-bytes.ts';
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
function randomLookup(random: Random, seeds: readonly Uint8Array[], process: Lookup['process']): LookupView {
  const outcome = random.of(OUTCOMES);
  const { request, response } = lookup({
    outcome,
    raw: {
      ...(random.below(4) === 0 ? { dialed: { address: '203.0.113.9', port: 5353 } } : {}),
      ...(random.below(4) === 0 ? { owner: undefined } : {}),
      ...(random.below(4) === 0 ? { trace: TRACE } : {}),
      local: random.of([
        { address: '198.51.100.7', port: 41215 },
        { address: '2001:db8::7', port: 1 },
      ]),
      localAny: random.below(2) === 0,
      networkNamespace: random.below(2),
      transport: random.of(['udp', 'tcp']),
      family: random.of([4, 6]),
    },
  });
  const asked = mutate(random, seeds);
  const told = mutate(random, seeds);
  const message = (bytes: Uint8Array, missing: number) =>
    new Message().parse(bytes, 0, bytes.length, bytes.length + missing);
  const view = new LookupView(
    process,
    new EventView(envelopeOf(request.raw), message(asked, 0)),
    response && new EventView(envelopeOf(response.raw), message(told, random.below(2))),
  );
  view.outcome = outcome;
  view.hasResponse = response !== undefined;
  view.retries = random.below(3);
  view.durationNs = response === undefined ? -1 : random.below(2_000_000_000);
  if (random.below(4) === 0) view.search = { base: 'www', step: random.below(4), wasted: random.below(3) };
  if (response !== undefined && random.below(4) === 0) view.conflictsWith = random.of(['', 'first']);
  return view;
}

function questionLine({ name, type, class: of }: Question): string {
  return bounded(`${name} ${typeName(type)}${of === 1 ? '' : ` ${className(of)}`}`);
}

function recordLine({ name, ttl, type, data }: ResourceRecord): string {
  return `${name} ${ttl} ${typeName(type)} ${data}`;
}

/** What the decoded messages say. */
function assertTold({ request, answer, hasResponse, asked }: LookupView, record: LookupRecord): void {
  const { attributes, body } = record;
  const { questions } = asked;
  const { opcode } = request.message;
  assert.equal(attributes['dns.question.name'], questions[0]?.name);
  assert.equal(attributes['dns.op_code'], opcode > 0 ? opcodeName(opcode) : undefined);
  assert.deepEqual(
    attributes['whodns.questions'],
    questions.length > 1 ? questions.slice(0, MAX_LISTED).map(questionLine) : undefined,
  );
  assert.ok(body.length <= 1024 && body.isWellFormed());
  const answers = hasResponse && opcode <= 0 ? answer.message.answers.slice(0, MAX_LISTED) : [];
  assert.deepEqual(
    attributes['whodns.answers'],
    answers.length === 0 ? undefined : answers.map((each) => bounded(recordLine(each))),
  );
  const addresses = answers
    .filter(
      ({ type, class: of, data }) =>
        (type === 1 || type === 28) && (of & 0x7fff) === 1 && !data.startsWith('\\'),
    )
    .map(({ data }) => data);
  assert.deepEqual(attributes['dns.answers'], addresses.length === 0 ? undefined : addresses);
  const malformed = (hasResponse ? answer.message.malformed : undefined) ?? request.message.malformed;
  assert.equal(attributes['whodns.malformed'], malformed?.reason);
}

type JsonValue = Readonly<Record<string, unknown>> & { readonly arrayValue?: { values: JsonValue[] } };

function plain({ arrayValue, ...value }: JsonValue): unknown {
  if (arrayValue !== undefined) return arrayValue.values.map(plain);
  const [only] = Object.values(value);
  return 'intValue' in value ? Number(only) : only;
}

/** The same as JSON. */
function assertJson(text: string, record: LookupRecord): void {
  const { attributes, ...fields } = JSON.parse(text) as {
    attributes: { key: string; value: JsonValue }[];
    body: unknown;
  };
  assert.deepEqual(
    Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)])),
    record.attributes,
  );
  const trace = record.trace && {
    traceId: hex(record.trace.traceId),
    spanId: hex(record.trace.spanId),
    flags: record.trace.flags,
  };
  assert.deepEqual(fields, {
    timeUnixNano: String(record.time),
    severityNumber: record.severity,
    body: { stringValue: record.body },
    observedTimeUnixNano: String(record.observedTime),
    eventName: 'whodns.query',
    ...trace,
  });
}

test(`${COUNT} records of mutated messages, seed ${SEED}`, async () => {
  const files = readdirSync(CAPTURES).filter((name) => name.endsWith('.pcap'));
  const seeds = (await Promise.all(files.map((file) => replay(CAPTURES + file, [53, 8053])))).flatMap(
    ({ payloads }) => payloads,
  );
  const random = new Random(SEED);
  const processes = [
    identity(),
    identity({ executableName: '', attribution: 'none' }),
    identity({ executableName: 'a"\\\n\u001bé日' }),
  ];
  const [direct, plain] = [new ProtobufWriter(16), new ProtobufWriter(1024)];
  const json = new ByteWriter(16);
  const records = [true, false].map((nxdomainError) => new LookupRecord({ nxdomainError }));
  let answers = 0;
  for (let i = 0; i < COUNT; i++) {
    const view = randomLookup(random, seeds, random.of(processes));
    const record = random.of(records).of(view, TIME);
    direct.position = 0;
    writeLogRecord(direct, record);
    plain.position = 0;
    writeLogRecord(plain, copyOf(record));
    const same = direct.bytes.subarray(0, direct.position).equals(plain.bytes.subarray(0, plain.position));
    if (!same) assert.deepEqual(copyOf(record), undefined, `record ${i}`);
    assertTold(view, record);
    json.position = 0;
    writeJsonRecord(json, direct);
    assertJson(json.bytes.toString('utf8', 0, json.position), record);
    assert.ok(Object.keys(record.attributes).length <= MAX_ATTRIBUTES);
    if (record.attributes['whodns.answers'] !== undefined) answers++;
  }
  assert.ok(answers > COUNT / 20, `${answers} with answers`);
});
