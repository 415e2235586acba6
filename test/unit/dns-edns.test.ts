/** The OPT record and its options (RFC 6891). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeMessage } from '../../src/dns/message.ts';
import type { DnsMessage } from '../../src/model.ts';
import { ednsOptionName } from '../../src/tables/edns.ts';
import { type EncodedRecord, encodeMessage, labels, string, u16 } from './dns-encode.ts';

function opt(options: Uint8Array[], { ttl = 0, size = 1232, name = '.' } = {}): EncodedRecord {
  return { name: labels(name), type: 41, class: size, ttl, rdata: options };
}

function option(code: number, value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'hex') : value;
  return Buffer.concat([u16(code), u16(bytes.length), bytes]);
}

function decode(additionals: EncodedRecord[], answers: EncodedRecord[] = []): DnsMessage {
  return decodeMessage(
    encodeMessage({ id: 1, flags: 0x8180, questions: [], answers, authorities: [], additionals }),
  );
}

test('version, size, DO bit, extended rcode; the record itself is not among the additional ones', () => {
  const message = decode([opt([], { ttl: 0x01_05_8000, size: 4096 })]);
  assert.deepEqual(message.edns, {
    version: 5,
    udpSize: 4096,
    do: true,
    extendedRcode: 1,
    options: [],
    clientSubnet: undefined,
    clientSubnetScope: undefined,
    extendedErrors: [],
  });
  assert.equal(message.rcode, 16);
  assert.deepEqual(message.additionals, []);
});

test('client subnet: address and source prefix, the scope beside it; only the octets of the prefix are sent', () => {
  for (const [hex, subnet, scope] of [
    ['0001180001020300'.slice(0, 14), '1.2.3.0/24', 0],
    ['00012018c0000201', '192.0.2.1/32', 24],
    ['00010000', '0.0.0.0/0', 0],
    ['00010020', '0.0.0.0/0', 32],
    ['00000000', '0/0', 0],
    ['0002380020010db8000100', '2001:db8:1::/56', 0],
    [`00028080${'ff'.repeat(16)}`, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128', 128],
  ] as const) {
    const { edns } = decode([opt([option(8, hex)])]);
    assert.deepEqual([edns?.clientSubnet, edns?.clientSubnetScope], [subnet, scope]);
    assert.equal(edns?.options[0]?.data, `${subnet}/${scope}`);
  }
});

test('client subnet: of several the first that is well-formed counts, with its own scope', () => {
  const options = [option(8, '0001ff'), option(8, '00012018c0000201'), option(8, '00012020c6336401')];
  const { edns, malformed } = decode([opt(options)]);
  assert.deepEqual([edns?.clientSubnet, edns?.clientSubnetScope], ['192.0.2.1/32', 24]);
  assert.equal(malformed?.reason, 'opt_option');
});

test('client subnet that breaks RFC 7871 is kept in hex and marked', () => {
  for (const hex of [
    '0001',
    '00012100010203',
    '0003180001020300'.slice(0, 14),
    '000118000102',
    '00011700010203',
    '000118000102030405',
    '00012021c0000201',
    '0002818120010db800000000000000000000000100',
    '000000ff01',
    '00ff0000',
  ]) {
    const message = decode([opt([option(8, hex)])]);
    assert.equal(message.malformed?.reason, 'opt_option', hex);
    assert.equal(message.edns?.clientSubnet, undefined, hex);
    assert.equal(message.edns?.clientSubnetScope, undefined, hex);
    assert.equal(message.edns?.options[0]?.data, hex);
  }
});

test('extended errors, several, with and without text', () => {
  const blocked = Buffer.concat([u16(15), Buffer.from('nein ü\0')]);
  const { edns, malformed } = decode([opt([option(15, blocked), option(15, '0016')])]);
  assert.deepEqual(edns?.extendedErrors, [
    { code: 15, text: 'nein ü' },
    { code: 22, text: '' },
  ]);
  assert.equal(edns?.options[0]?.data, '15 (Blocked) "nein \\195\\188\\000"');
  assert.equal(malformed, undefined);
  assert.equal(decode([opt([option(15, '00')])]).malformed?.reason, 'opt_option');
});

test('other options in words', () => {
  const agent = Buffer.concat([string('agent'), string('test'), Buffer.of(0)]);
  const options = [
    option(10, '0102030405060708'),
    option(11, '04d2'),
    option(12, '0000'),
    option(3, '6162'),
    option(18, agent),
  ];
  const { edns, malformed } = decode([opt(options)]);
  assert.equal(malformed, undefined);
  assert.ok(edns !== undefined);
  assert.deepEqual(
    edns.options.map(({ code, data }) => `${ednsOptionName(code)}: ${data}`),
    [
      'COOKIE: 0102030405060708',
      'edns-tcp-keepalive: 123.4s',
      'Padding: 2 bytes',
      'NSID: 6162',
      'Report-Channel: agent.test',
    ],
  );
});

test('an option longer than the record: those before it are kept', () => {
  const bad = Buffer.concat([option(3, '61'), u16(12), u16(9), Buffer.of(0)]);
  const { edns, malformed } = decode([opt([bad])]);
  assert.deepEqual(edns?.options, [{ code: 3, data: '61' }]);
  assert.equal(malformed?.reason, 'opt_option');
});

test('a second OPT record, one among the answers, one with a name', () => {
  assert.equal(decode([opt([]), opt([])]).malformed?.reason, 'opt_duplicate');
  const misplaced = decode([], [opt([])]);
  assert.equal(misplaced.malformed?.reason, 'opt_misplaced');
  assert.equal(misplaced.edns, undefined);
  assert.equal(misplaced.answers.length, 1);
  assert.equal(decode([opt([], { name: 'a.test' })]).malformed?.reason, 'opt_misplaced');
});

test('options are read with the budget of names that was left when they were reached', () => {
  // 249 owners in turn at two places of a name of 255 octets leave 42 of NAME_BUDGET; the last one is at the first place.
  const name = Array.from({ length: 127 }, () => Buffer.from('a'));
  const questions = [{ name, type: 1, class: 1 }];
  const channel = opt([option(18, 'c00c')]);
  const message = { id: 7, flags: 0x8180, questions, answers: [], authorities: [], additionals: [channel] };
  const bytes = encodeMessage(message);
  const start = bytes.length - 11 - 6;
  const owners = Array.from({ length: 249 }, (_, i) =>
    Buffer.concat([u16(0xc00c + 2 * (i % 2)), u16(1), u16(1), u16(0), u16(60), u16(4), u16(0), u16(1)]),
  );
  const whole = Buffer.concat([bytes.subarray(0, start), ...owners, bytes.subarray(start)]);
  whole.writeUInt16BE(owners.length, 6);
  const decoded = decodeMessage(whole);
  const text = Array(127).fill('a').join('.');
  // The place of the last owner again costs two octets, so it can be read; another place cannot.
  assert.deepEqual([decoded.malformed, decoded.answers.length], [undefined, 249]);
  for (let i = 0; i < 2; i++) assert.deepEqual(decoded.edns?.options, [{ code: 18, data: text }]);
  whole.writeUInt16BE(0xc00e, whole.length - 2);
  const other = decodeMessage(whole);
  assert.equal(other.malformed?.reason, 'opt_option');
  assert.deepEqual(other.edns?.options, [{ code: 18, data: 'c00e' }]);
});
