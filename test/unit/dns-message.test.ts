/** Known faults of other decoders, and every way a message can be malformed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeMessage } from '../../src/dns/message.ts';
import { NAME_BUDGET } from '../../src/dns/wire.ts';
import { DECODE_ERRORS } from '../../src/tables/decode-errors.ts';
import { type EncodedRecord, encodeMessage, labels, string, u16, u32 } from './dns-encode.ts';

const EMPTY = { id: 7, flags: 0x8180, questions: [], answers: [], authorities: [], additionals: [] };

function record(type: number, rdata: EncodedRecord['rdata'], recordClass = 1): EncodedRecord {
  return { name: labels('a.test'), type, class: recordClass, ttl: 60, rdata };
}

function decodeAnswer(type: number, ...rdata: EncodedRecord['rdata']) {
  const message = decodeMessage(encodeMessage({ ...EMPTY, answers: [record(type, rdata)] }));
  return { data: message.answers[0]?.data, reason: message.malformed?.reason };
}

function header(questions: number, answers = 0): Buffer {
  return Buffer.concat([u16(7), u16(0x0100), u16(questions), u16(answers), u16(0), u16(0)]);
}

/** A question message with raw bytes after the header. */
function question(...bytes: (number | string)[]): ReturnType<typeof decodeMessage> {
  const parts = bytes.map((part) =>
    typeof part === 'string' ? Buffer.from(part, 'latin1') : Uint8Array.of(part),
  );
  return decodeMessage(Buffer.concat([header(1), ...parts]));
}

test('the root name is "."', () => {
  assert.deepEqual(question(0, 0, 2, 0, 1).questions, [{ name: '.', type: 2, class: 1 }]);
});

test('127 labels and 255 octets are read, 256 are not', () => {
  const longest = '\x01a'.repeat(127);
  assert.equal(question(longest, 0, 0, 1, 0, 1).questions[0]?.name, Array(127).fill('a').join('.'));
  const tooLong = question('\x01a'.repeat(126), '\x02aa', 0, 0, 1, 0, 1);
  assert.deepEqual(tooLong.malformed, { reason: 'name_too_long', offset: 12 + 252 });
  assert.deepEqual(tooLong.questions, []);
});

test('dots, backslashes and octets outside printable ASCII are escaped, case is kept', () => {
  const { questions } = question('\x08A.b\\ \x00\xff"', 0, 0, 1, 0, 1);
  assert.equal(questions[0]?.name, 'A\\.b\\\\\\032\\000\\255"');
});

test('no questions, two questions, a count that lies', () => {
  assert.deepEqual(decodeMessage(header(0)).malformed, undefined);
  const two = decodeMessage(
    Buffer.concat([header(2), Buffer.from('\x01a\0\0\x01\0\x01\x01b\0\0\x1c\0\x01', 'latin1')]),
  );
  assert.deepEqual(
    two.questions.map(({ name }) => name),
    ['a', 'b'],
  );
  const lie = decodeMessage(Buffer.concat([header(3), Buffer.from('\x01a\0\0\x01\0\x01', 'latin1')]));
  assert.equal(lie.questionCount, 3);
  assert.equal(lie.questions.length, 1);
  assert.deepEqual(lie.malformed, { reason: 'name_overrun', offset: 19 });
});

test('compression pointers go back, and only back', () => {
  for (const [name, bytes, offset] of [
    ['to itself', [0xc0, 12], 12],
    ['forward', [0xc0, 20], 12],
    ['into the header', [0xc0, 0], 12],
    ['a loop of two', [1, 97, 0xc0, 12], 14],
    ['a loop through a pointer', [0xc0, 14, 0xc0, 12], 12],
    ['beyond the message', [0xff, 0xff], 12],
  ] as const) {
    const decoded = question(...bytes, 0, 1, 0, 1);
    assert.deepEqual(decoded.malformed, { reason: 'name_pointer', offset }, name);
    assert.deepEqual(decoded.questions, [], name);
  }
});

test('label types other than 00 and 11', () => {
  for (const type of [0x40, 0x41, 0x80, 0xbf]) {
    assert.deepEqual(question(type, 0, 0, 1, 0, 1).malformed, { reason: 'name_label_type', offset: 12 });
  }
});

test('fewer bytes than a header: no number is plausible', () => {
  for (let size = 0; size < 12; size++) {
    const message = decodeMessage(header(1).subarray(0, size));
    assert.deepEqual(message.malformed, { reason: 'short_header', offset: size });
    assert.deepEqual([message.id, message.opcode, message.rcode, message.questionCount], [-1, -1, -1, -1]);
  }
});

test('a cut copy says so wherever it ends', () => {
  const bytes = encodeMessage({
    ...EMPTY,
    questions: [{ name: labels('a.test'), type: 1, class: 1 }],
    answers: [record(1, [Uint8Array.of(192, 0, 2, 1)]), record(16, [string('text')])],
  });
  for (let size = 0; size < bytes.length; size++) {
    const cut = decodeMessage(bytes.subarray(0, size), bytes.length);
    assert.equal(cut.malformed?.reason, 'cut', `at ${size}`);
    const ended = decodeMessage(bytes.subarray(0, size));
    assert.ok(ended.malformed !== undefined && ended.malformed.reason !== 'cut', `at ${size}`);
  }
  assert.equal(decodeMessage(bytes, bytes.length).malformed, undefined);
});

test('bytes after the last record', () => {
  const bytes = encodeMessage(EMPTY);
  assert.deepEqual(decodeMessage(Buffer.concat([bytes, Buffer.of(0)])).malformed, {
    reason: 'trailing_bytes',
    offset: 12,
  });
  // The rest was not copied, but it is known to be there.
  assert.deepEqual(decodeMessage(bytes, 20).malformed, { reason: 'trailing_bytes', offset: 12 });
});

test('malformed RDATA: RFC 3597 form, the records around it are kept', () => {
  const message = decodeMessage(
    encodeMessage({
      ...EMPTY,
      answers: [
        record(1, [Uint8Array.of(1, 2, 3, 4)]),
        record(1, [Uint8Array.of(1, 2, 3)]),
        record(1, [Uint8Array.of(5, 6, 7, 8)]),
      ],
    }),
  );
  assert.deepEqual(
    message.answers.map(({ data }) => data),
    ['1.2.3.4', '\\# 3 010203', '5.6.7.8'],
  );
  assert.equal(message.malformed?.reason, 'rdata_short');
});

test('RDATA that breaks the definition of its type', () => {
  const name = { name: labels('b.test') };
  const of = (...octets: number[]) => Uint8Array.from(octets);
  const cases: readonly (readonly [string, number, EncodedRecord['rdata'], string])[] = [
    ['A of 5', 1, [u32(1), of(1)], 'rdata_trailing'],
    ['AAAA of 4', 28, [u32(1)], 'rdata_short'],
    ['empty NS', 2, [], 'rdata_short'],
    ['NS and more', 2, [name, of(0)], 'rdata_trailing'],
    ['name beyond RDATA', 2, [of(5, 97, 98)], 'name_overrun'],
    ['MX without name', 15, [u16(1)], 'rdata_short'],
    ['SOA with four numbers', 6, [name, name, u32(1), u32(1), u32(1), u32(1)], 'rdata_short'],
    ['empty TXT', 16, [], 'rdata_short'],
    ['TXT beyond RDATA', 16, [of(4, 97)], 'rdata_short'],
    ['HINFO of three strings', 13, [string('a'), string('b'), string('c')], 'rdata_trailing'],
    ['CAA without tag', 257, [of(0, 0, 97)], 'rdata_value'],
    ['CAA with a tag of spaces', 257, [of(0, 2, 32, 32, 97)], 'rdata_value'],
    ['NSEC with a window of 0 bytes', 47, [name, of(0, 0)], 'rdata_value'],
    ['NSEC with windows in disorder', 47, [name, of(1, 1, 1), of(0, 1, 1)], 'rdata_value'],
    ['NSEC with 33 bytes', 47, [name, of(0, 33), new Uint8Array(33)], 'rdata_value'],
    ['NSEC3 with salt beyond RDATA', 50, [of(1, 0, 0, 1, 9), of(1)], 'rdata_short'],
    ['RRSIG without signature', 46, [new Uint8Array(18), of(0)], 'rdata_short'],
    [
      'SVCB with keys in disorder',
      64,
      [u16(1), of(0), u16(3), u16(2), u16(1), u16(1), u16(0)],
      'rdata_value',
    ],
    [
      'SVCB with a key twice',
      64,
      [u16(1), of(0), u16(3), u16(2), u16(1), u16(3), u16(2), u16(1)],
      'rdata_value',
    ],
    ['SVCB with a value beyond RDATA', 64, [u16(1), of(0), u16(3), u16(3), u16(1)], 'rdata_short'],
    ['SVCB with a port of one octet', 65, [u16(1), of(0), u16(3), u16(1), of(1)], 'rdata_value'],
    ['SVCB with an empty protocol', 65, [u16(1), of(0), u16(1), u16(1), of(0)], 'rdata_value'],
    ['SVCB with half an address', 65, [u16(1), of(0), u16(4), u16(2), u16(1)], 'rdata_value'],
    ['SVCB: mandatory names itself', 65, [u16(1), of(0), u16(0), u16(2), u16(0)], 'rdata_value'],
    ['URI without target', 256, [u32(1)], 'rdata_short'],
  ];
  for (const [what, type, rdata, reason] of cases) {
    const answer = decodeAnswer(type, ...rdata);
    assert.equal(answer.reason, reason, what);
    assert.match(answer.data ?? '', /^\\# \d+/, what);
  }
});

test('a type that is unknown, or of another class, has RFC 3597 form', () => {
  assert.deepEqual(decodeAnswer(65_280, u32(0x0a000001)), { data: '\\# 4 0a000001', reason: undefined });
  const chaos = decodeMessage(encodeMessage({ ...EMPTY, answers: [record(1, [u32(0x0a000001)], 3)] }));
  assert.equal(chaos.answers[0]?.data, '\\# 4 0a000001');
  const cacheFlush = decodeMessage(
    encodeMessage({ ...EMPTY, answers: [record(1, [u32(0x0a000001)], 0x8001)] }),
  );
  assert.equal(cacheFlush.answers[0]?.data, '10.0.0.1');
});

test('a dynamic update: records without RDATA are not malformed (RFC 2136)', () => {
  const update = decodeMessage(
    encodeMessage({ ...EMPTY, flags: 0x2800, answers: [record(1, [], 255), record(15, [], 254)] }),
  );
  assert.equal(update.malformed, undefined);
  assert.deepEqual(
    update.answers.map(({ data }) => data),
    ['', ''],
  );
});

test('the times of a signature are those of the calendar, on every day that 32 bits reach (RFC 4034 section 3.2)', () => {
  const last = 0xffff_ffff;
  for (let day = 0; day <= last; day += 86_400) {
    const seconds = [day, Math.min(day + 86_399, last)];
    const { data = '' } = decodeAnswer(
      46,
      u16(1),
      Uint8Array.of(8, 2),
      u32(0),
      ...seconds.map(u32),
      u16(7),
      Uint8Array.of(0),
      Uint8Array.of(1),
    );
    const times = seconds.map((second) =>
      new Date(second * 1000).toISOString().replaceAll(/\D/g, '').slice(0, 14),
    );
    if (!data.includes(` ${times.join(' ')} 7 . `)) assert.fail(`${seconds}: ${data}`);
  }
});

test('more address hints than a message may have parts are not rendered', () => {
  for (const [key, size] of [
    [4, 4],
    [6, 16],
  ] as const) {
    const max = Math.floor(64_000 / size);
    const svcb = [u16(1), Uint8Array.of(0), u16(key), u16(max * size), Buffer.alloc(max * size, 1)];
    const { data = '', reason } = decodeAnswer(65, ...svcb);
    assert.equal(reason, 'rdata_limit');
    assert.match(data, /^\\# \d+ [0-9a-f]+$/);
    const few = decodeAnswer(
      65,
      u16(1),
      Uint8Array.of(0),
      u16(key),
      u16(2 * size),
      Buffer.alloc(2 * size, 1),
    );
    assert.equal(few.reason, undefined);
    assert.equal(few.data?.split(',').length, 2);
  }
});

test('a compression bomb stops at the budget, with what was read', () => {
  // A name of 255 octets, then 4 000 records whose owners point into its middle, each at another place.
  const name = Array.from({ length: 127 }, () => Buffer.from('a'));
  const head = encodeMessage({ ...EMPTY, questions: [{ name, type: 1, class: 1 }] });
  const bomb = [head];
  for (let i = 0; i < 4000; i++)
    bomb.push(Buffer.concat([u16(0xc000 | (12 + (i % 2) * 2)), u16(1), u16(1), u32(0), u16(4), u32(1)]));
  const bytes = Buffer.concat(bomb);
  bytes.writeUInt16BE(4000, 6);
  const { answers, malformed } = decodeMessage(bytes);
  assert.equal(malformed?.reason, 'name_budget');
  const max = NAME_BUDGET / 255;
  assert.ok(answers.length > max - 10 && answers.length < max, `${answers.length} answers`);
});

test('chains of 8 000 pointers stop at the budget', () => {
  // A first record holds pointers, each to the one before it; others are named by the last.
  const chain = Buffer.alloc(16_000);
  const start = 12 + 8 + 10;
  for (let at = 2; at < chain.length; at += 2) chain.writeUInt16BE(0xc000 | (start + at - 2), at);
  const last = 0xc000 | (start + chain.length - 2);
  const named = { ...record(1, [u32(1)]), name: [] };
  const bytes = encodeMessage({ ...EMPTY, answers: [record(65_400, [chain]), named, named, named, named] });
  let owner = start + chain.length;
  const parts: Uint8Array[] = [bytes.subarray(0, owner)];
  for (let i = 0; i < 4; i++, owner += 15)
    parts.push(u16(last - (i % 2) * 2), bytes.subarray(owner + 1, owner + 15));
  const { answers, malformed } = decodeMessage(Buffer.concat(parts));
  assert.equal(malformed?.reason, 'name_budget');
  // One chain costs 8 000 * 8 of the budget, a second is too much.
  assert.deepEqual(
    answers.slice(1).map(({ name }) => name),
    ['.'],
  );
});

test('more records than are decoded', () => {
  const message = decodeMessage(
    encodeMessage({ ...EMPTY, answers: Array.from({ length: 3000 }, () => record(1, [u32(1)])) }),
  );
  assert.equal(message.malformed?.reason, 'record_limit');
  assert.equal(message.answers.length, 1024);
});

test('every reason in the table is a word', () => {
  for (const reason of Object.keys(DECODE_ERRORS)) assert.match(reason, /^[a-z]+(_[a-z]+)*$/);
});
